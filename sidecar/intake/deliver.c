/*
 * From what the lanes hold to events and stream time, in one order. A beat may
 * have the last word on the time (pace.h); whatever else is delivered counts at
 * the time that was handed on last, which never goes back.
 */
#include "../base/clock.h"
#include "../base/log.h"
#include "room.h"

#define ROOM "intake"

#define HOLD_MAX 1000000u    /* us after which the newest ms is let go */
#define PACE_SAID 5000       /* ms that are worth a word */
#define PACE_QUIET 60000000u /* us between two lines on Redis' clock */

static void hand_on_time(struct intake *intake)
{
    if (intake->pace.now > intake->told_ms) {
        intake->told_ms = intake->pace.now;
        intake->sink.time(intake->sink.ctx, intake->told_ms);
    }
}

/* All entries below that millisecond are there. */
static void tell_time(struct intake *intake, uint64_t ms)
{
    if (ms > intake->stats.processed_ms) {
        intake->stats.processed_ms = ms;
    }
    pace_entry(&intake->pace, ms, 0);
    hand_on_time(intake);
}

/* A Redis that stood still for some seconds looks the same at first. */
static void tell_jump(struct intake *intake)
{
    uint64_t now = clock_monotonic();
    int64_t shift = intake->pace.shift;

    intake->stats.shift_ms = shift;
    if (now >= intake->pace_log_at &&
        (shift > PACE_SAID || -shift > PACE_SAID)) {
        intake->pace_log_at = now + PACE_QUIET;
        log_warn(ROOM,
                 "Redis' clock was set, or stands: by the beats of nginx it "
                 "is %.1f s later than the ids of entries say",
                 (double)shift / 1e3);
    }
}

/* A beat has no number, but its time; it is a repeat only where one may be. */
static bool take_beat(struct intake *intake, const struct tocsin_event *ev,
                      uint64_t ms, bool again)
{
    uint64_t last[PRODUCERS_KINDS] = {ev->request_seq, ev->upstream_seq};
    uint64_t jumps = intake->pace.jumps;
    struct pace_beat *beat =
        producers_beat_at(intake->producers, ev->src, ev->ts / 1000, again);

    if (beat == NULL) {
        return false;
    }
    pace_beat(&intake->pace, beat, ms, ev->ts / 1000);
    if (intake->pace.jumps != jumps) {
        tell_jump(intake);
    }
    if (ev->buffered == 0) {
        producers_beat(intake->producers, ev->src, last);
    }
    return true;
}

/* ------------------------------------------------------------- delivering */

static void hand_on(struct intake *intake, const struct tocsin_event *ev,
                    uint64_t ms, bool again)
{
    if (ev->stream == TOCSIN_BEAT) {
        if (!take_beat(intake, ev, ms, again)) {
            return;
        }
    } else if (!producers_event(intake->producers, ev->src, ev->stream,
                                ev->seq)) {
        return;
    } else {
        pace_entry(&intake->pace, ms, ev->ts / 1000);
    }
    hand_on_time(intake);
    intake->stats.events++;
    intake->sink.event(intake->sink.ctx, ev, intake->told_ms);
}

static void deliver(struct intake *intake, struct lane *lane)
{
    const struct held *entry = lane_head(lane);
    const char *rest = lane_fields(lane, entry).data;
    struct tocsin_span name, value;
    struct tocsin_event ev;
    uint32_t i;
    int rc = entry->pairs == 0 ? -1 : 0;

    tocsin_event_init(&ev, lane->kind);
    for (i = 0; i < entry->pairs && rc == 0; i++) {
        name = reply_field(&rest);
        value = reply_field(&rest);
        rc = tocsin_event_field(&ev, i, name, value);
    }
    if (rc != 0 || ev.v == 0 || ev.src.len == 0) {
        intake->stats.malformed++;
    } else {
        hand_on(intake, &ev, entry->id.ms,
                !stream_id_less(lane->again, entry->id));
    }
    lane_pop(lane);
    intake->delivered++;
}

/* False if some of it has to be read first. */
static bool deliver_crowd(struct intake *intake, uint64_t ms)
{
    struct lane *lane;

    while ((lane = lanes_next_told(&intake->lanes, ms)) != NULL) {
        deliver(intake, lane);
    }
    return lanes_next(&intake->lanes, ms + 1) == NULL;
}

static void deliver_below(struct intake *intake, uint64_t bound)
{
    const struct held *entry;
    struct lane *lane;
    uint64_t ms;

    while ((lane = lanes_next(&intake->lanes, bound)) != NULL) {
        ms = lane_head(lane)->id.ms;
        tell_time(intake, ms);
        if (lanes_crowded(&intake->lanes, ms)) {
            if (!deliver_crowd(intake, ms)) {
                return;
            }
            continue;
        }
        while ((entry = lane_head(lane)) != NULL && entry->id.ms == ms) {
            deliver(intake, lane);
        }
    }
}

/*
 * The newest millisecond waits for a newer one. It is let go after a second,
 * since nothing can be added to it by then - except by a Redis whose clock
 * was set back, which goes on with the same millisecond until time has caught
 * up; then the order within it is that of arrival.
 */
static bool may_let_go(struct intake *intake)
{
    uint64_t now = clock_monotonic();

    if (lanes_hold_much(&intake->lanes)) {
        return true;
    }
    if (intake->delivered != 0 || intake->redis == NULL ||
        !lanes_hold_any(&intake->lanes) || !lanes_at_end(&intake->lanes)) {
        intake->held_since = now;
    }
    return now - intake->held_since > HOLD_MAX;
}

void intake_deliver(struct intake *intake)
{
    uint64_t bound = lanes_bound(&intake->lanes);

    deliver_below(intake, bound);
    tell_time(intake, bound);
    if (may_let_go(intake)) {
        deliver_below(intake, bound + 1);
    }
}
