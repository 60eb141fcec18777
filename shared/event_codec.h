/*
 * struct tocsin_event <-> the fields of a stream entry.
 *
 * The encoder serves the module, the decoder the sidecar; neither allocates.
 * Texts are views: into the caller's memory when encoding, into the reply when
 * decoding.
 */
#ifndef TOCSIN_EVENT_CODEC_H
#define TOCSIN_EVENT_CODEC_H

#include <stdint.h>

#include "event_schema.h"
#include "pairs.h"
#include "span.h"

#define TOCSIN_NONE UINT64_MAX /* of an OPT: not observed */

/* No encoded event is longer. */
#define TOCSIN_EVENT_ENCODED_MAX 9216

enum tocsin_stream {
    TOCSIN_REQUEST,
    TOCSIN_UPSTREAM,
    TOCSIN_BEAT,
    TOCSIN_STREAMS
};

enum tocsin_flag_bit {
#define X(name, text, help) TOCSIN_FLAG_BIT_##name,
    TOCSIN_EVENT_FLAGS(X)
#undef X
        TOCSIN_FLAG_COUNT
};

enum tocsin_flag {
#define X(name, text, help) TOCSIN_FLAG_##name = 1 << TOCSIN_FLAG_BIT_##name,
    TOCSIN_EVENT_FLAGS(X)
#undef X
};

enum tocsin_error {
#define X(name, text, help) TOCSIN_ERROR_##name,
    TOCSIN_EVENT_ERRORS(X)
#undef X
        TOCSIN_ERRORS
};

/* The union of all streams' fields; a stream uses those of its table. */
struct tocsin_event {
    enum tocsin_stream stream;

    uint64_t v, seq, req, ts, dur, status, in, out, attempts, attempt;
    uint64_t connect, header, grpc;
    uint64_t weight; /* thousandths */
    uint64_t flags;  /* enum tocsin_flag */
    uint64_t request_seq, upstream_seq;
    uint64_t emitted, delivered, dropped, buffered;

    struct tocsin_span src, server, route, method, proto, cache;
    struct tocsin_span upstream, peer, error;
    struct tocsin_span cloud, region, zone, labels, fields, inflight;

    /* For records only: the pieces that are ready, see event_record.h. */
    struct tocsin_span where, how, who, place;
};

/* Text of an error for the wire; static. */
struct tocsin_span tocsin_error_text(enum tocsin_error error);

/* The error that a text names; TOCSIN_ERRORS if none does. */
enum tocsin_error tocsin_error_parse(struct tocsin_span text);

/* Number of fields of a stream's entry. */
unsigned tocsin_event_field_count(enum tocsin_stream stream);

/* Appends the RESP bulk strings of all names and values: 2 * count of them.
 * Texts above their cap are cut, PAIRS and LONG by whole items. */
void tocsin_event_encode(struct tocsin_out *out, const struct tocsin_event *ev);

/*
 * Decoding goes field by field, as a parser of replies delivers them.
 * tocsin_event_init() empties (OPT becomes TOCSIN_NONE, weight 1000).
 * tocsin_event_field() takes one pair; `hint` is the running number of the
 * pair within its entry and makes the look-up O(1) for entries in our order.
 * Unknown names are ignored (a newer producer may add some).
 * Returns 0, or -1 for a value that is not of the field's kind: *ev is then
 * as before, and the entry should be counted as malformed.
 */
void tocsin_event_init(struct tocsin_event *ev, enum tocsin_stream stream);
int tocsin_event_field(struct tocsin_event *ev, unsigned hint,
                       struct tocsin_span name, struct tocsin_span value);

#endif
