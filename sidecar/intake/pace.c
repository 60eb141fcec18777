/*
 * Three findings, and what follows. Ids ahead of a beat: shift them back. Ids
 * behind a beat: shift them on. A beat that is out of step with its own last
 * one: its producer's clock was set, or beats are missing; learn its lead anew
 * and leave time alone. A way that was slow for a while (a Redis that stood
 * still) is at worst taken for a jump until the next beat that is fast again.
 */
#include "pace.h"

/* The fastest way is forgotten so slowly, in ms a beat: clocks drift. */
#define LEAD_LEAK 1

static uint64_t time_of(const struct pace *pace, uint64_t id_ms)
{
    int64_t time = (int64_t)id_ms + pace->shift;

    return time > 0 ? (uint64_t)time : 0;
}

static void advance(struct pace *pace, uint64_t id_ms)
{
    uint64_t time = time_of(pace, id_ms);

    if (time > pace->now) {
        pace->now = time;
    }
}

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Nobody has confirmed yet that it is so late. */
static bool is_jump(const struct pace *pace, uint64_t id_ms)
{
    return pace->now != 0 && time_of(pace, id_ms) > pace->now + PACE_JUMP;
}

/* Does a clock say that it is the time before the jump rather? */
static bool is_denied(const struct pace *pace, uint64_t id_ms, uint64_t ts)
{
    return apart(ts, pace->now) < apart(ts, time_of(pace, id_ms));
}

static void shift(struct pace *pace, int64_t by)
{
    pace->shift += by;
    pace->jumps++;
}

void pace_entry(struct pace *pace, uint64_t id_ms, uint64_t ts)
{
    if (is_jump(pace, id_ms) && (ts == 0 || is_denied(pace, id_ms, ts))) {
        return;
    }
    advance(pace, id_ms);
}

/* The first beat of a producer, or one by a clock that was set. */
static void begin(struct pace *pace, struct pace_beat *beat, uint64_t id_ms,
                  uint64_t ts)
{
    if (is_jump(pace, id_ms) && is_denied(pace, id_ms, ts)) {
        shift(pace, (int64_t)pace->now - (int64_t)time_of(pace, id_ms));
    }
    beat->lead = (int64_t)time_of(pace, id_ms) - (int64_t)ts;
}

void pace_beat(struct pace *pace, struct pace_beat *beat, uint64_t id_ms,
               uint64_t ts)
{
    int64_t lead = (int64_t)time_of(pace, id_ms) - (int64_t)ts;

    if (beat->ts == 0 || ts <= beat->ts) {
        begin(pace, beat, id_ms, ts);
    } else if (lead > beat->lead + PACE_JUMP ||
               (lead < beat->lead - PACE_LAG &&
                ts - beat->ts <= PACE_BEAT_MAX)) {
        shift(pace, beat->lead - lead);
    } else if (lead < beat->lead) {
        beat->lead = lead;
    } else {
        beat->lead += LEAD_LEAK;
    }
    beat->ts = ts;
    advance(pace, id_ms);
}
