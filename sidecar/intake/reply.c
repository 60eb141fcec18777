/*
 * Reading XREAD's reply. hiredis' reader spends two to three hundred
 * instructions on each of the fifty strings of an entry, which alone would
 * cost more than Redis itself spends on taking the entry in; so the one shape
 * of reply that comes hundreds of thousands of times a second has a scanner of
 * its own. test/bench/intake.c compares the two.
 *
 * An entry is scanned as a whole: if its end has not come yet, it is scanned
 * again from its beginning when more bytes are there. Redis is trusted to keep
 * its protocol, whoever may XADD is not: an entry that is too long, or has an
 * odd number of fields, is skipped piece by piece without being kept, and
 * reported with no pairs.
 */
#include "reply.h"

#include <string.h>

#define REPLY_PAIRS_MAX 256
#define REPLY_LENGTH_MAX ((uint64_t)1 << 30)

enum { START, STREAM, ENTRY, SKIP, DONE };

/* How far one token or entry could be read. */
enum scan { WHOLE, SHORT, BROKEN };

struct scanner {
    const char *at, *end;
};

void reply_start(struct reply *reply, struct reply_sink sink)
{
    memset(reply, 0, sizeof(*reply));
    reply->sink = sink;
    reply->state = START;
}

/* `mark`, digits, CRLF. -1 is told as *nil. */
static enum scan scan_number(struct scanner *s, char mark, uint64_t *value,
                             bool *nil)
{
    const char *p = s->at;
    uint64_t number = 0;

    *nil = false;
    if (p == s->end) {
        return SHORT;
    }
    if (*p++ != mark) {
        return BROKEN;
    }
    if (p != s->end && *p == '-') {
        *nil = true;
        p++;
    }
    for (; p != s->end && *p >= '0' && *p <= '9'; p++) {
        number = number * 10 + (uint64_t)(*p - '0');
        if (number > REPLY_LENGTH_MAX) {
            return BROKEN;
        }
    }
    if (s->end - p < 2) {
        return s->end - p == 1 && *p != '\r' ? BROKEN : SHORT;
    }
    if (p[0] != '\r' || p[1] != '\n' || p - s->at < 2) {
        return BROKEN;
    }
    *value = number;
    s->at = p + 2;
    return WHOLE;
}

static enum scan scan_array(struct scanner *s, uint64_t *count)
{
    bool nil;
    enum scan got = scan_number(s, '*', count, &nil);

    return got == WHOLE && nil ? BROKEN : got;
}

static enum scan scan_bulk_any(struct scanner *s, struct tocsin_span *text)
{
    uint64_t len;
    bool nil;
    enum scan got = scan_number(s, '$', &len, &nil);

    if (got != WHOLE || nil) {
        return got == WHOLE ? BROKEN : got;
    }
    if ((uint64_t)(s->end - s->at) < len + 2) {
        return SHORT;
    }
    text->data = s->at;
    text->len = len;
    s->at += len;
    if (s->at[0] != '\r' || s->at[1] != '\n') {
        return BROKEN;
    }
    s->at += 2;
    return WHOLE;
}

/* Nearly all strings are shorter than 100 bytes: a short way for these, which
 * leaves whatever looks odd to the long one. */
static inline enum scan scan_bulk(struct scanner *s, struct tocsin_span *text)
{
    const char *p = s->at;
    unsigned len, digit;

    if (s->end - p < 112 || p[0] != '$' || p[1] < '0' || p[1] > '9') {
        return scan_bulk_any(s, text);
    }
    len = (unsigned)(p[1] - '0');
    p += 2;
    digit = (unsigned)(unsigned char)*p - '0';
    if (digit <= 9) {
        len = 10 * len + digit;
        p++;
    }
    if (p[0] != '\r' || p[1] != '\n' || p[len + 2] != '\r' ||
        p[len + 3] != '\n') {
        return scan_bulk_any(s, text);
    }
    text->data = p + 2;
    text->len = len;
    s->at = p + len + 4;
    return WHOLE;
}

bool reply_parse_id(struct tocsin_span text, struct stream_id *id)
{
    uint64_t parts[2] = {0, 0};
    unsigned part = 0, digits = 0;
    size_t i;

    for (i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';

        if (digit <= 9) {
            if (parts[part] > (UINT64_MAX - digit) / 10) {
                return false;
            }
            parts[part] = parts[part] * 10 + digit;
            digits++;
        } else if (text.data[i] == '-' && part == 0 && digits != 0) {
            part = 1;
            digits = 0;
        } else {
            return false;
        }
    }
    id->ms = parts[0];
    id->n = parts[1];
    return part == 1 && digits != 0;
}

/* "*2 $id *fields" */
static enum scan scan_entry_head(struct scanner *s, struct stream_id *id,
                                 uint64_t *strings)
{
    struct tocsin_span text;
    uint64_t two;
    enum scan got = scan_array(s, &two);

    if (got != WHOLE) {
        return got;
    }
    got = scan_bulk(s, &text);
    if (got != WHOLE) {
        return got;
    }
    if (two != 2 || !reply_parse_id(text, id)) {
        return BROKEN;
    }
    return scan_array(s, strings);
}

static enum scan scan_strings(struct scanner *s, uint64_t count)
{
    struct tocsin_span text;
    enum scan got = WHOLE;

    while (count-- != 0 && got == WHOLE) {
        got = scan_bulk(s, &text);
    }
    return got;
}

/* Leaves s after the entry, or where it was. */
static enum scan take_entry(struct reply *reply, struct scanner *s,
                            struct err *err)
{
    struct scanner ahead = *s;
    struct tocsin_span fields;
    struct stream_id id;
    uint64_t strings;
    enum scan got = scan_entry_head(&ahead, &id, &strings);

    if (got != WHOLE) {
        return got;
    }
    fields.data = ahead.at;
    if (strings % 2 == 0 && strings <= 2 * REPLY_PAIRS_MAX) {
        got = scan_strings(&ahead, strings);
        if (got == WHOLE) {
            fields.len = (size_t)(ahead.at - fields.data);
            s->at = ahead.at;
            reply->entries--;
            return reply->sink.entry(reply->sink.ctx, id, fields,
                                     (uint32_t)(strings / 2), err) == 0
                       ? WHOLE
                       : BROKEN;
        }
        if (got == BROKEN || (size_t)(s->end - s->at) < REPLY_ENTRY_MAX) {
            return got;
        }
    }
    s->at = fields.data;
    reply->id = id;
    reply->skip_strings = strings;
    reply->skip_bytes = 0;
    reply->state = SKIP;
    return WHOLE;
}

/* Forgets the strings of an entry as they come, then reports it as empty. */
static enum scan take_skip(struct reply *reply, struct scanner *s,
                           struct err *err)
{
    uint64_t there, len;
    enum scan got;
    bool nil;

    while (reply->skip_strings != 0 || reply->skip_bytes != 0) {
        there = (uint64_t)(s->end - s->at);
        if (there > reply->skip_bytes) {
            there = reply->skip_bytes;
        }
        s->at += there;
        reply->skip_bytes -= there;
        if (reply->skip_bytes != 0) {
            return SHORT;
        }
        if (reply->skip_strings != 0) {
            got = scan_number(s, '$', &len, &nil);
            if (got != WHOLE || nil) {
                return got == WHOLE ? BROKEN : got;
            }
            reply->skip_strings--;
            reply->skip_bytes = len + 2;
        }
    }
    reply->state = ENTRY;
    reply->entries--;
    return reply->sink.entry(reply->sink.ctx, reply->id,
                             tocsin_span_of(NULL, 0), 0, err) == 0
               ? WHOLE
               : BROKEN;
}

/* "*2 $key *entries" */
static enum scan take_stream(struct reply *reply, struct scanner *s,
                             struct err *err)
{
    struct scanner ahead = *s;
    struct tocsin_span key;
    uint64_t two, entries = 0;
    enum scan got = scan_array(&ahead, &two);

    if (got == WHOLE) {
        got = scan_bulk(&ahead, &key);
    }
    if (got == WHOLE) {
        got = scan_array(&ahead, &entries);
    }
    if (got != WHOLE) {
        return got;
    }
    if (two != 2 || reply->sink.stream(reply->sink.ctx, key, err) != 0) {
        return BROKEN;
    }
    reply->streams--;
    reply->entries = (uint32_t)entries;
    reply->state = ENTRY;
    s->at = ahead.at;
    return WHOLE;
}

static enum scan take_error(struct scanner *s, struct err *err)
{
    const char *end = memchr(s->at, '\r', (size_t)(s->end - s->at));

    if (end == NULL) {
        return s->end - s->at > 4096 ? BROKEN : SHORT;
    }
    err_set(err, ERR_REFUSED, "redis: XREAD: %.*s", (int)(end - s->at) - 1,
            s->at + 1);
    return BROKEN;
}

static enum scan take_start(struct reply *reply, struct scanner *s,
                            struct err *err)
{
    uint64_t streams;
    bool nil;
    enum scan got;

    if (s->at != s->end && *s->at == '-') {
        return take_error(s, err);
    }
    got = scan_number(s, '*', &streams, &nil);
    if (got == WHOLE) {
        reply->streams = nil ? 0 : (uint32_t)streams;
        reply->state = STREAM;
    }
    return got;
}

static enum scan take_next(struct reply *reply, struct scanner *s,
                           struct err *err)
{
    switch (reply->state) {
    case START:
        return take_start(reply, s, err);
    case STREAM:
        if (reply->streams == 0) {
            reply->state = DONE;
            return WHOLE;
        }
        return take_stream(reply, s, err);
    case ENTRY:
        if (reply->entries == 0) {
            reply->state = STREAM;
            return WHOLE;
        }
        return take_entry(reply, s, err);
    default:
        return take_skip(reply, s, err);
    }
}

int reply_take(struct reply *reply, const char *data, size_t len, size_t *used,
               struct err *err)
{
    struct scanner s = {data, data + len};
    enum scan got = WHOLE;

    err_set(err, ERR_INPUT, "redis: XREAD: not the reply it should be");
    while (reply->state != DONE && got == WHOLE) {
        got = take_next(reply, &s, err);
    }
    *used = (size_t)(s.at - data);
    if (got == BROKEN) {
        return -1;
    }
    return reply->state == DONE;
}
