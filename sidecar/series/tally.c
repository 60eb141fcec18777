/*
 * What counts as what. series.c calls this once an event.
 *
 * A request is an error if its status is 5xx or its gRPC status says that the
 * server failed (the list is that of OpenTelemetry's conventions for server
 * spans). An attempt is one also if the peer gave no whole answer. Who left
 * first says nothing of the server: aborted exchanges are counted apart and
 * stay out of both error shares.
 *
 * Latency is that of whole answers, and of time-outs, whose time was really
 * waited. A refused connection lasts microseconds and would make a failing
 * peer look fast. Long-lived and upgraded exchanges last as long as people
 * stay: no latency either.
 *
 * Sums are in thousandths, since a sampled event may stand for 2.5 of them,
 * and saturate, since weights come from outside.
 */
#include "tally.h"

#define WEIGHT_MAX 1000000000u /* a million events */
#define BYTES_MAX ((uint64_t)1 << 40)
#define TIME_MAX ((uint64_t)1 << 32) /* us: 71 minutes */

static uint64_t capped(uint64_t value, uint64_t max)
{
    return value < max ? value : max;
}

/* In whole bytes: thousandths of them would soon fill 64 bits. */
static uint64_t weighted_bytes(uint64_t bytes, uint64_t weight)
{
    bytes = capped(bytes, BYTES_MAX);
    return bytes * (weight / 1000) + bytes * (weight % 1000) / 1000;
}

static bool grpc_server_error(uint64_t grpc)
{
    /* UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE,
     * DATA_LOSS */
    return grpc == 2 || grpc == 4 || (grpc >= 12 && grpc <= 15);
}

static bool grpc_client_error(uint64_t grpc)
{
    return grpc != TOCSIN_NONE && grpc > 1 && !grpc_server_error(grpc);
}

static bool from_cache(struct tocsin_span cache)
{
    return tocsin_span_eq(cache, TOCSIN_SPAN("HIT")) ||
           tocsin_span_eq(cache, TOCSIN_SPAN("STALE")) ||
           tocsin_span_eq(cache, TOCSIN_SPAN("UPDATING")) ||
           tocsin_span_eq(cache, TOCSIN_SPAN("REVALIDATED"));
}

static void tally_status(struct tally *tally, const struct tocsin_event *ev)
{
    if (ev->status >= 500 || grpc_server_error(ev->grpc)) {
        tally->errors = tally->weight;
    } else if (ev->status >= 400 || grpc_client_error(ev->grpc)) {
        tally->client_errors = tally->weight;
    }
}

static void tally_request(struct tally *tally, const struct tocsin_event *ev)
{
    uint64_t w = tally->weight;

    if ((ev->flags & TOCSIN_FLAG_ABORTED) != 0) {
        tally->aborted = w;
    } else {
        tally_status(tally, ev);
    }
    if (ev->attempts > 1) {
        tally->retries = capped(ev->attempts - 1, 1000) * w;
    }
    tally->bytes = weighted_bytes(ev->out, w);
    tally->cacheable = ev->cache.len != 0 ? w : 0;
    tally->cache_hits = from_cache(ev->cache) ? w : 0;
    tally->duration = sketch_bucket(ev->dur);
}

static void tally_attempt(struct tally *tally, const struct tocsin_event *ev)
{
    enum tocsin_error error = tocsin_error_parse(ev->error);
    uint64_t w = tally->weight;
    bool aborted = error == TOCSIN_ERROR_ABORTED ||
                   ((ev->flags & TOCSIN_FLAG_ABORTED) != 0 && ev->status == 0);

    if (aborted) {
        tally->aborted = w;
    } else if (error != TOCSIN_ERROR_NONE) {
        tally->errors = tally->local_errors = w;
    } else {
        tally_status(tally, ev);
    }
    tally->retries = ev->attempt > 1 ? w : 0;
    tally->bytes = weighted_bytes(ev->in, w);
    if (!aborted &&
        (error == TOCSIN_ERROR_NONE || error == TOCSIN_ERROR_TIMEOUT ||
         error == TOCSIN_ERROR_CONNECT_TIMEOUT)) {
        tally->duration = sketch_bucket(ev->dur);
    }
    if (ev->connect != TOCSIN_NONE) {
        tally->connects = w;
        tally->connect_sum = capped(ev->connect, TIME_MAX) * w;
    }
    if (ev->header != TOCSIN_NONE) {
        tally->header = sketch_bucket(ev->header);
    }
}

void tally_event(struct tally *tally, const struct tocsin_event *ev)
{
    *tally = (struct tally){
        .weight = capped(ev->weight, WEIGHT_MAX),
        .duration = TALLY_NO_BUCKET,
        .header = TALLY_NO_BUCKET,
    };
    if (ev->stream == TOCSIN_UPSTREAM) {
        tally_attempt(tally, ev);
    } else {
        tally_request(tally, ev);
    }
    if ((ev->flags & (TOCSIN_FLAG_LONG_LIVED | TOCSIN_FLAG_UPGRADED)) != 0) {
        tally->duration = TALLY_NO_BUCKET;
    }
}

static void add(uint64_t *sum, uint64_t more)
{
    if (__builtin_add_overflow(*sum, more, sum)) {
        *sum = UINT64_MAX;
    }
}

int tally_add(const struct tally *tally, struct aggregate *to,
              struct arena *arena)
{
    int rc = 0;

    to->events++;
    add(&to->weight, tally->weight);
    add(&to->errors, tally->errors);
    add(&to->client_errors, tally->client_errors);
    add(&to->local_errors, tally->local_errors);
    add(&to->aborted, tally->aborted);
    add(&to->retries, tally->retries);
    add(&to->bytes, tally->bytes);
    add(&to->cacheable, tally->cacheable);
    add(&to->cache_hits, tally->cache_hits);
    add(&to->connects, tally->connects);
    add(&to->connect_sum, tally->connect_sum);
    if (tally->duration != TALLY_NO_BUCKET) {
        rc |= sketch_add(&to->duration, arena, tally->duration, tally->weight);
    }
    if (tally->header != TALLY_NO_BUCKET) {
        rc |= sketch_add(&to->header, arena, tally->header, tally->weight);
    }
    return rc;
}
