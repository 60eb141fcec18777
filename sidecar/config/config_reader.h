/* libyaml's events, one at a time, with what a configuration may not have
 * (anchors, aliases, tags, a second document) refused on the way. */
#ifndef TOCSIN_CONFIG_READER_H
#define TOCSIN_CONFIG_READER_H

#include <yaml.h>

#include "../base/err.h"

struct config_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the last one */
    const char *name;   /* of the file, for messages */
    struct err *err;
};

int config_reader_open(struct config_reader *reader, const char *name,
                       const char *data, size_t len, struct err *err);
void config_reader_close(struct config_reader *reader);

/* Moves to the next event; -1 and *err if there is none or it is refused.
 * The text of a scalar has no '\0' in it. */
int config_reader_next(struct config_reader *reader);

/* The scalar of the last event; NULL if it is none. */
const char *config_reader_text(const struct config_reader *reader);

/* Whether that is nothing: `key:`, `key: ~` or `key: null`. */
int config_reader_is_null(const struct config_reader *reader);

/* "name:line:column: path: ..." at a mark; path may be "". Returns -1. */
int config_reader_fail(struct config_reader *reader, yaml_mark_t mark,
                       const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
