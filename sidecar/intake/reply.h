/*
 * The reply to XREAD as a stream of entries: takes bytes as they come from the
 * socket, hands on each entry as soon as it is whole, keeps nothing.
 *
 *     *streams  *2 $key *entries  *2 $id *fields $name $value ...
 */
#ifndef TOCSIN_REPLY_H
#define TOCSIN_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/err.h"
#include "shared/span.h"

/* An entry that is longer is skipped, not kept. */
#define REPLY_ENTRY_MAX ((size_t)65536)

struct stream_id {
    uint64_t ms, n;
};

struct reply_sink {
    void *ctx;
    /* The next entries are of this key; -1 (*err) if it was not asked for. */
    int (*stream)(void *ctx, struct tocsin_span key, struct err *err);
    /* `fields` are the encoded bulk strings of 2 * pairs names and values,
     * valid during the call; pairs is 0 for an entry that is not as it should
     * be. -1 (*err) ends the reply. */
    int (*entry)(void *ctx, struct stream_id id, struct tocsin_span fields,
                 uint32_t pairs, struct err *err);
};

struct reply {
    struct reply_sink sink;
    unsigned state;
    uint32_t streams, entries; /* left of what was announced */
    uint64_t skip_strings;     /* left of an entry that is skipped */
    uint64_t skip_bytes;       /* left of one of its strings */
    struct stream_id id;       /* of that entry */
};

void reply_start(struct reply *reply, struct reply_sink sink);

/*
 * Takes from data what it can and says in *used how much. 1: the reply is
 * whole; 0: call again with what was not used and more; -1: *err is
 * ERR_REFUSED with Redis' words, or ERR_INPUT for what is no such reply.
 */
int reply_take(struct reply *reply, const char *data, size_t len, size_t *used,
               struct err *err);

/* "123-4" */
bool reply_parse_id(struct tocsin_span text, struct stream_id *id);

/* Cuts the next bulk string off the `fields` of an entry, which have been
 * checked before: there must be one. */
static inline struct tocsin_span reply_field(const char **fields)
{
    const char *p = *fields + 1; /* '$' */
    size_t len = 0;

    for (; *p != '\r'; p++) {
        len = 10 * len + (size_t)(*p - '0');
    }
    *fields = p + 2 + len + 2;
    return tocsin_span_of(p + 2, len);
}

#endif
