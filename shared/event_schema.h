/*
 * The event streams as tables: one row is one field, in the order in which it
 * stands in an entry of its stream. The rows make struct tocsin_event, the
 * encoder, the decoder, the documentation and the tests.
 *
 *     X(member, KIND, wire name, unit, help)
 *
 *     UINT   uint64_t; decimal
 *     OPT    uint64_t; decimal, or empty when it was not observed
 *            (TOCSIN_NONE): absent is never 0
 *     MILLI  uint64_t in thousandths; decimal with up to three places
 *     FLAGS  uint64_t, a mask of enum tocsin_flag; names joined by ','
 *     TEXT   struct tocsin_span, at most TOCSIN_TEXT_MAX bytes
 *     PAIRS  struct tocsin_span, at most TOCSIN_LABELS_MAX bytes; items
 *            joined by ',', the parts of an item by '='; within a part the
 *            bytes % , = and those below 0x21 and 0x7f are percent-encoded
 *     LONG   as PAIRS, but up to TOCSIN_EVIDENCE_MAX bytes
 */
#ifndef TOCSIN_EVENT_SCHEMA_H
#define TOCSIN_EVENT_SCHEMA_H

/*
 * Parts of tables have names where the encoder of records has a way of its own
 * for them.
 */

/* An entry begins with these: constant for as long as a producer lives. */
#define TOCSIN_PRODUCER_FIELDS(X)                                              \
    X(v, UINT, "v", "", "schema version")                                      \
    X(src, TEXT, "src", "", "producer: host/slot/generation")

#define TOCSIN_REQUEST_FIELDS(X)                                               \
    TOCSIN_PRODUCER_FIELDS(X)                                                  \
    TOCSIN_REQUEST_BODY(X)

#define TOCSIN_SEQ_FIELD(X)                                                    \
    X(seq, UINT, "seq", "", "running number of the producer in this stream")

#define TOCSIN_REQ_FIELD(X)                                                    \
    X(req, UINT, "req", "", "seq of the request it belongs to")

#define TOCSIN_TS_FIELD(X)                                                     \
    X(ts, UINT, "ts", "us", "when it ended, since the epoch")

/* Most events of most deployments have got nothing here. */
#define TOCSIN_PLACE_FIELDS(X)                                                 \
    TOCSIN_GRPC_FIELD(X)                                                       \
    TOCSIN_CLOUD_FIELDS(X)

#define TOCSIN_GRPC_FIELD(X)                                                   \
    X(grpc, OPT, "grpc", "", "gRPC status, where there is one")

#define TOCSIN_CLOUD_FIELDS(X)                                                 \
    X(cloud, TEXT, "cloud", "", "cloud.provider (of the last attempt)")        \
    X(region, TEXT, "region", "", "cloud.region (of the last attempt)")        \
    X(zone, TEXT, "zone", "", "cloud.availability_zone (of the last attempt)")

#define TOCSIN_SAMPLE_FIELDS(X)                                                \
    X(weight, MILLI, "weight", "", "how many events this one stands for")      \
    X(flags, FLAGS, "flags", "", "what is special about it")

#define TOCSIN_REQUEST_BODY(X)                                                 \
    TOCSIN_SEQ_FIELD(X)                                                        \
    TOCSIN_TS_FIELD(X)                                                         \
    TOCSIN_REQUEST_MAIN(X)                                                     \
    TOCSIN_PLACE_FIELDS(X)                                                     \
    TOCSIN_SAMPLE_FIELDS(X)                                                    \
    TOCSIN_LABELS_FIELD(X)                                                     \
    TOCSIN_FIELDS_FIELD(X)

/* Known of a location once and for all, as are the upstream and the place. */
#define TOCSIN_WHERE_FIELDS(X)                                                 \
    X(server, TEXT, "server", "", "server name")                               \
    X(route, TEXT, "route", "", "route label; default: matched location")

#define TOCSIN_HOW_FIELDS(X)                                                   \
    X(method, TEXT, "method", "", "request method, _OTHER if unknown")         \
    X(proto, TEXT, "proto", "", "protocol version: 0.9, 1.0, 1.1, 2, 3")

#define TOCSIN_REQUEST_MAIN(X)                                                 \
    TOCSIN_REQUEST_DUR(X)                                                      \
    TOCSIN_WHERE_FIELDS(X)                                                     \
    TOCSIN_HOW_FIELDS(X)                                                       \
    TOCSIN_REQUEST_REST(X)

#define TOCSIN_REQUEST_DUR(X) X(dur, UINT, "dur", "us", "first byte to last")

#define TOCSIN_REQUEST_REST(X)                                                 \
    X(status, UINT, "status", "", "status sent to the client")                 \
    X(in, UINT, "in", "By", "bytes received")                                  \
    X(out, UINT, "out", "By", "bytes sent")                                    \
    X(cache, TEXT, "cache", "", "cache status, empty without a cache")         \
    X(attempts, UINT, "attempts", "", "number of upstream attempts")

#define TOCSIN_LABELS_FIELD(X)                                                 \
    X(labels, PAIRS, "labels", "", "tocsin_label: name=value, ...")

#define TOCSIN_FIELDS_FIELD(X)                                                 \
    X(fields, PAIRS, "fields", "", "tocsin_field: name=value, ...")

#define TOCSIN_UPSTREAM_FIELDS(X)                                              \
    TOCSIN_PRODUCER_FIELDS(X)                                                  \
    TOCSIN_UPSTREAM_BODY(X)

#define TOCSIN_UPSTREAM_BODY(X)                                                \
    TOCSIN_SEQ_FIELD(X)                                                        \
    TOCSIN_REQ_FIELD(X)                                                        \
    TOCSIN_TS_FIELD(X)                                                         \
    TOCSIN_UPSTREAM_MAIN(X)                                                    \
    TOCSIN_PLACE_FIELDS(X)                                                     \
    TOCSIN_SAMPLE_FIELDS(X)                                                    \
    TOCSIN_LABELS_FIELD(X)

#define TOCSIN_UPSTREAM_MAIN(X)                                                \
    TOCSIN_UPSTREAM_DUR(X)                                                     \
    TOCSIN_WHERE_FIELDS(X)                                                     \
    TOCSIN_WHO_FIELD(X)                                                        \
    TOCSIN_UPSTREAM_REST(X)

#define TOCSIN_UPSTREAM_DUR(X)                                                 \
    X(dur, UINT, "dur", "us", "from asking for the peer to letting it go")

#define TOCSIN_WHO_FIELD(X) X(upstream, TEXT, "upstream", "", "upstream name")

#define TOCSIN_UPSTREAM_REST(X)                                                \
    X(peer, TEXT, "peer", "", "peer address, empty if none was live")          \
    X(attempt, UINT, "attempt", "", "ordinal, from 1")                         \
    X(status, UINT, "status", "", "the peer's status, 0 if it gave none")      \
    X(error, TEXT, "error", "", "why there was no whole answer, or empty")     \
    X(connect, OPT, "connect", "us", "time to connect")                        \
    X(header, OPT, "header", "us", "time to the end of the header")            \
    X(in, UINT, "in", "By", "bytes received from the peer")                    \
    X(out, UINT, "out", "By", "bytes sent to the peer")

/* One every second from each producer. The counters cover the life of src. */
#define TOCSIN_BEAT_FIELDS(X)                                                  \
    TOCSIN_PRODUCER_FIELDS(X)                                                  \
    TOCSIN_BEAT_BODY(X)

#define TOCSIN_BEAT_BODY(X)                                                    \
    X(ts, UINT, "ts", "us", "when it was sent, since the epoch")               \
    X(request_seq, UINT, "request_seq", "", "last seq in the request stream")  \
    X(upstream_seq, UINT, "upstream_seq", "", "last seq in upstream")          \
    X(emitted, UINT, "emitted", "", "events taken by the log phase")           \
    X(delivered, UINT, "delivered", "", "events that Redis acknowledged")      \
    X(dropped, UINT, "dropped", "", "events lost, for whatever reason")        \
    X(buffered, UINT, "buffered", "", "events waiting in the ring")            \
    X(inflight, LONG, "inflight", "",                                          \
      "upstream=peer=count=oldest age in us=cloud=region=zone, ...")

#define TOCSIN_EVENT_FLAGS(X)                                                  \
    X(LONG_LIVED, "long_lived", "WebSocket, SSE, CONNECT: no latency")         \
    X(UPGRADED, "upgraded", "101 switching protocols")                         \
    X(INTERNAL, "internal", "was redirected internally")                       \
    X(SUBREQUEST, "subrequest", "auth_request, mirror, SSI, ...")              \
    X(ABORTED, "aborted", "the client went away before the end")               \
    X(EARLY, "early", "refused before a location was chosen: 400, 413, ...")   \
    X(SLOW, "slow", "took as long as slow= of tocsin_sample, or longer")       \
    X(COARSE, "coarse", "times are in ms: seen through upstream_states")

/* What the `error` of an attempt may say. */
#define TOCSIN_EVENT_ERRORS(X)                                                 \
    X(NONE, "", "the peer gave a whole answer, whatever its status")           \
    X(CONNECT, "connect", "refused, unreachable, or no socket")                \
    X(CONNECT_TIMEOUT, "connect_timeout", "no connection in time")             \
    X(TIMEOUT, "timeout", "connected, but no answer in time")                  \
    X(RESET, "reset", "closed or reset before the end of the header")          \
    X(TRUNCATED, "truncated", "ended within the body")                         \
    X(INVALID, "invalid", "header or body could not be parsed")                \
    X(TLS, "tls", "handshake or certificate")                                  \
    X(NO_LIVE, "no_live", "no peer was live: nothing was tried")               \
    X(ABORTED, "aborted", "the client left first: says nothing of the peer")   \
    X(LOCAL, "local", "our own failure: memory, files, resolver")

#endif
