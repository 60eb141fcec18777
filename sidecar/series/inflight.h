/*
 * What each producer's beats told: the last one of exchanges in flight, those
 * of the last seconds of its clock. A beat is stamped and sent at once, so its
 * entry's id less its time is how far that clock is behind ours, or more if it
 * was held up on the way, but never less: the least of some beats is the truth
 * if any of them came straight. (So does NTP choose among its samples: the
 * clock filter of RFC 5905, section 10.)
 */
#ifndef TOCSIN_INFLIGHT_H
#define TOCSIN_INFLIGHT_H

#include "series.h"
#include "shared/names.h"

/* Producers beyond that are not listened to, and counted. */
#define INFLIGHT_PRODUCERS_MAX 4096

/* In how many seconds beats must come later than they used to, before that is
 * the clock and not the way: what was held up comes in one, all at once. */
#define CLOCK_SECONDS 4

/* Times beyond that are nobody's: sums and differences of two fit. */
#define CLOCK_TIME_MAX (INT64_MAX / 4)

struct contribution {
    uint32_t slot, generation;
    uint64_t count;
    uint64_t oldest; /* us */
};

struct producer {
    char src[TOCSIN_TEXT_MAX + 1];
    uint32_t src_len;
    uint64_t hash;
    uint64_t beat; /* us: when the last one came, by stream time */
    /* us that its clock is behind stream time, or more: the least that a beat
     * said, in each of the last seconds with one, the newest first */
    int64_t least[CLOCK_SECONDS];
    uint64_t second; /* of the newest */
    bool heard;      /* of its clock */
    uint64_t late;   /* us: when a beat last came later than they used to */
    uint64_t ts, emitted; /* what its last beat said; 0: none did */
    bool behind;          /* what is newest of its events has not arrived yet */
    struct contribution *items;
    uint32_t count, room;
};

struct inflight {
    struct producer *producers;
    uint32_t count, room;
};

void inflight_release(struct inflight *inflight);

/* The producer of a beat, with what it told before forgotten; NULL when there
 * are too many or memory ran out. */
struct producer *inflight_beat(struct inflight *inflight,
                               struct tocsin_span src, uint64_t us);

/* What the beat that came at `us` says of the producer's clock, which stands
 * at `ts`. Nothing if that is 0. */
void producer_clock(struct producer *producer, uint64_t us, uint64_t ts);

/* What a beat sent at `ts` says of its events: so many emitted so far, so many
 * of them waiting. */
void producer_backlog(struct producer *producer, uint64_t ts, uint64_t emitted,
                      uint64_t buffered);

/* Does any of them have more to tell than what came in time, of what happened
 * since then? Where beats are late, so are events. */
bool inflight_behind(const struct inflight *inflight, uint64_t since);

/* us that its clock is behind stream time, as far as its beats tell. */
int64_t producer_skew(const struct producer *producer);

/* Is its clock so wrong that somebody should look after it? */
bool producer_is_off(const struct producer *producer);

/* The time at which a producer says that something happened, in stream time.
 * As it is, if nothing is known of its clock. */
uint64_t inflight_time(struct inflight *inflight, struct tocsin_span src,
                       uint64_t ts);

int producer_add(struct producer *producer, const struct contribution *item);

/* Forgets what producers told whose last beat is older than `since`, but not
 * their clocks until a minute later. How many of the others there are. */
uint32_t inflight_expire(struct inflight *inflight, uint64_t since);

#endif
