/* One scalar of tocsin.yaml -> one value of struct config. */
#ifndef TOCSIN_CONFIG_VALUE_H
#define TOCSIN_CONFIG_VALUE_H

#include <stddef.h>

#include "config.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_NAME,
    CONFIG_PATH,
    CONFIG_REDIS_URL,
    CONFIG_URL,
    CONFIG_UINT,
    CONFIG_REAL,
    CONFIG_BOOL,
    CONFIG_DURATION,
    CONFIG_LEVEL,
    CONFIG_SETS, /* from here on no scalars */
    CONFIG_URLS,
    CONFIG_WEBHOOKS
};

struct config_key {
    const char *path;
    enum config_type type;
    size_t offset, size; /* of its member in struct config */
    double least, most;
    const char *value; /* its default, as YAML */
    const char *help;
};

extern const struct config_key config_keys[];
extern const unsigned config_key_count;

/* Writes the value that a text gives into *to, a member of the key's type;
 * -1 if it is none, *to is then as before. */
int config_value_parse(const struct config_key *key, const char *text,
                       void *to);

/* A label's name. */
int config_label_parse(const char *text, char to[CONFIG_LABEL_MAX]);

#define CONFIG_EXPECTED_MAX 160

/* "a whole number from 1 to 64" into text; returns text. */
const char *config_value_expected(const struct config_key *key,
                                  char text[CONFIG_EXPECTED_MAX]);

/* "500ms", "1h": the largest unit that divides it. */
const char *config_duration_text(uint64_t us, char text[32]);

#endif
