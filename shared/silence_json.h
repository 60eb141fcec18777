/*
 * Silences in the JSON of Alertmanager's API v2: read from what people post,
 * written for those who ask.
 */
#ifndef TOCSIN_SILENCE_JSON_H
#define TOCSIN_SILENCE_JSON_H

#include <stdint.h>

#include "alert_codec.h"
#include "matcher.h"

#define TOCSIN_SILENCES 256  /* that are or will be, of one deployment */
#define TOCSIN_SILENCE_ID 36 /* bytes of a UUID */
#define TOCSIN_AUTHOR_MAX 255
#define TOCSIN_COMMENT_MAX 1023

/* Where the texts of a command that was read are. */
struct tocsin_silence_room {
    char id[TOCSIN_SILENCE_ID];
    char author[TOCSIN_AUTHOR_MAX];
    char comment[TOCSIN_COMMENT_MAX];
    char matchers[TOCSIN_MATCHERS_MAX];
};

/* 8-4-4-4-12 hexadecimal digits? */
bool tocsin_is_uuid(struct tocsin_span text);

/* The UUID, version 4, of 16 random bytes. */
void tocsin_uuid(char to[TOCSIN_SILENCE_ID], const unsigned char random[16]);

/* us since the epoch of RFC 3339; 0, or -1. */
int tocsin_time_parse(struct tocsin_span text, uint64_t *us);

/*
 * A postable silence: {id?, matchers[{name, value, isRegex, isEqual?}],
 * startsAt, endsAt, createdBy, comment}. Fills id (empty if it has none),
 * starts, ends, author, comment and matchers of the command; the rest is as
 * before. NULL, or what is wrong with it.
 */
const char *tocsin_silence_read(struct tocsin_span body, uint64_t now,
                                struct tocsin_command *command,
                                struct tocsin_silence_room *room);

/* A gettable silence; nothing if the row's texts make no sense. */
void tocsin_silence_json(struct tocsin_json *json,
                         const struct tocsin_silence_row *row, uint64_t now);

enum tocsin_silence_state {
    TOCSIN_SILENCE_PENDING,
    TOCSIN_SILENCE_ACTIVE,
    TOCSIN_SILENCE_EXPIRED,
    TOCSIN_SILENCE_STATES
};

extern const char *const tocsin_silence_states[TOCSIN_SILENCE_STATES];

enum tocsin_silence_state
tocsin_silence_state(const struct tocsin_silence_row *row, uint64_t now);

/* The silence that the board names for this alert; empty if it has none. */
struct tocsin_span tocsin_silenced_by(struct tocsin_span silenced,
                                      struct tocsin_span alert);

#endif
