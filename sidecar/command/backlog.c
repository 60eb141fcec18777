/*
 * The very intake of the sidecar, from the beginning of the streams. Redis
 * says where they end when the connection is made; what is added afterwards is
 * not looked at, so that reading ends however busy Redis is. Where nothing is
 * added, intake lets the newest millisecond go after a second, and has then
 * caught up.
 */
#include "backlog.h"

#include <string.h>

#include "../base/clock.h"
#include "command.h"

#define POLL_MS 200

struct backlog {
    struct intake_sink sink;
    struct recording_stats *stats;
    uint64_t end_ms; /* the newest entry at the start */
    bool passed;     /* there are newer ones by now */
};

static void on_event(void *ctx, const struct tocsin_event *ev, uint64_t id_ms)
{
    struct backlog *backlog = ctx;
    struct recording_stats *stats = backlog->stats;

    if (id_ms > backlog->end_ms) {
        backlog->passed = true;
        return;
    }
    stats->first_ms = stats->events == 0 ? id_ms : stats->first_ms;
    stats->last_ms = id_ms;
    stats->events++;
    if (backlog->end_ms > stats->first_ms) {
        stats->share = (double)(id_ms - stats->first_ms) /
                       (double)(backlog->end_ms - stats->first_ms);
    }
    backlog->sink.event(backlog->sink.ctx, ev, id_ms);
}

static void on_time(void *ctx, uint64_t id_ms)
{
    struct backlog *backlog = ctx;

    if (id_ms > backlog->end_ms) {
        backlog->passed = true;
    } else {
        backlog->sink.time(backlog->sink.ctx, id_ms);
    }
}

static int read_all(struct backlog *backlog, struct intake *intake,
                    struct err *err)
{
    /* Connects, and learns where the streams end; delivers nothing yet. */
    if (intake_poll(intake, POLL_MS, err) < 0) {
        return -1;
    }
    backlog->end_ms = intake_stats(intake)->newest_ms;
    while (!backlog->passed && !intake_caught_up(intake)) {
        if (intake_poll(intake, POLL_MS, err) < 0) {
            return -1;
        }
    }
    return 0;
}

int backlog_read(const struct config *config, struct intake_sink sink,
                 struct recording_stats *stats, struct err *err)
{
    struct backlog backlog = {.sink = sink, .stats = stats};
    struct intake_options options = {
        .redis = command_redis(config),
        .prefix = config->redis_prefix,
        .shards = (unsigned)config->redis_shards,
        .backlog = UINT64_MAX,
    };
    struct intake_sink own = {&backlog, on_event, on_time};
    struct intake *intake = intake_create(&options, own, err);
    int rc;

    memset(stats, 0, sizeof(*stats));
    if (intake == NULL) {
        return -1;
    }
    rc = read_all(&backlog, intake, err);
    intake_destroy(intake);
    if (rc == 0 && stats->events == 0) {
        rc = err_set(err, ERR_INPUT, "%s holds no events of \"%s\"",
                     config->redis_url, config->redis_prefix);
    }
    if (rc == 0) {
        sink.time(sink.ctx, stats->last_ms + 1);
    }
    return rc;
}
