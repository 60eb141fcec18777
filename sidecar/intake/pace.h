/*
 * Stream time: what time it is where a stream has been read up to. It is that
 * of the ids, as long as the clock that makes them goes as clocks do.
 *
 * Redis makes ids by its own clock. When that is set forward, ids jump; when it
 * is set back, they stand still until it has caught up, for they never go back.
 * Producers beat once a second, with the time of their own clocks. So each beat
 * tells how far stream time is ahead of its producer's clock: the way of a beat
 * takes time, sometimes more, never less than at its fastest. Is it far more
 * all at once, Redis' clock has jumped; is it less, Redis' clock stands. Time
 * is then shifted against ids so that it goes on as the producer's clock does.
 *
 * All that decides stands in the stream: a replay gives the same time.
 */
#ifndef TOCSIN_PACE_H
#define TOCSIN_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* ms by which ids may run ahead before a beat or an event has to confirm it,
 * and by which they may stay behind a beat. */
#define PACE_JUMP 2000
#define PACE_LAG 800
/* Between two beats of a producer whose clock is not suspected itself. */
#define PACE_BEAT_MAX 10000

struct pace {
    uint64_t now;   /* ms: the time that was told last; never goes back */
    int64_t shift;  /* ms from ids to time */
    uint64_t jumps; /* how often ids were found to have left time */
};

/* What is kept of each producer. */
struct pace_beat {
    uint64_t ts;  /* ms: of its last beat, by its clock; 0 before the first */
    int64_t lead; /* ms: time less that clock, at the fastest way */
};

/* An entry of that millisecond comes, or all below it are there: raises
 * pace->now. `ts` (ms) is the producer's own word on when, 0 for none. */
void pace_entry(struct pace *pace, uint64_t id_ms, uint64_t ts);

/* The same for a beat, which may have the last word. */
void pace_beat(struct pace *pace, struct pace_beat *beat, uint64_t id_ms,
               uint64_t ts);

#endif
