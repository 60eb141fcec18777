/*
 * The series room: main hands it events and stream time, it hands ticks to the
 * features room.
 *
 *     event -> resolver (which series) -> tally (what it adds) -> open tick
 *     beat  -> inflight (what is on its way at which peer)
 *     time  -> closes ticks: one row for every series, seen or not
 *
 * What must stay true: all that happens depends on the entries and their ids
 * alone, never on a clock, so replaying a stream gives the same ticks as
 * living it; and between two closes every slot with an aggregate belongs to
 * the series that the aggregate was made for.
 *
 * Subrequests (auth_request, mirror, SSI) do not count as requests: the client
 * made one, and its latency has them in it. The attempts they make do count:
 * the peer cannot tell them apart, and neither should its series.
 *
 * Late and early events. A tick is closed `lateness` after its end. What comes
 * after that is only counted, as late: adding it to the tick of its arrival
 * would show the end of an outage of Redis as a burst of traffic. But all that
 * a host tells is late if its clock is behind, and its traffic would look like
 * silence: what is out of time is placed by what beats say of the producer's
 * clock. While they come later than they used to, which may be its clock or the
 * way, nothing is silence. An event that is ahead of stream time even so is
 * counted in the tick of its arrival.
 */
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "beat.h"
#include "room.h"
#include "tally.h"

/* A tick is alive if a producer gave a sign in it; of short ticks, within
 * this long before its last moment. Beats come every second. What is late is no
 * sign, and nothing is where a backlog is on its way. */
#define SIGN_WINDOW 1500000u
/* How long after its last beat a producer's exchanges are in flight. */
#define PRODUCER_LIFE 3000000u
/* Links are renewed once an epoch, and by every 32nd event of a producer. */
#define LINK_EPOCH 5000000u
#define LINK_SAMPLE 32
#define LINK_LIFE 600000000u
/* Between two lines of log on wrong clocks. */
#define CLOCK_QUIET 60000000u

static unsigned open_ticks(const struct series_options *options)
{
    uint64_t late = (options->lateness + options->tick - 1) / options->tick;

    return (unsigned)late + TICKS_OPEN_MAX - TICKS_LATENESS_MAX;
}

static int check_options(const struct series_options *options, struct err *err)
{
    if (options->tick == 0 || options->max == 0 ||
        options->max >= ROSTER_NONE / 2) {
        return err_set(err, ERR_USAGE, "series need a tick and a maximum");
    }
    if (options->lateness > TICKS_LATENESS_MAX * options->tick) {
        return err_set(err, ERR_USAGE,
                       "lateness of more than %d ticks is not supported",
                       TICKS_LATENESS_MAX);
    }
    return 0;
}

static int init(struct series *series, const struct series_options *options,
                struct err *err)
{
    if (check_options(options, err) != 0 ||
        label_sets_init(&series->sets, options, err) != 0 ||
        roster_init(&series->roster, options->max, err) != 0 ||
        ticks_init(&series->ticks, open_ticks(options), options->max, err) !=
            0) {
        return -1;
    }
    series->resolver = resolver_create(&series->sets, &series->roster, err);
    if (series->resolver == NULL) {
        return -1;
    }
    series->rows = calloc(options->max, sizeof(*series->rows));
    if (series->rows == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory for %u rows", options->max);
    }
    series->roster.ctx = series->sink.ctx;
    series->roster.leave = series->sink.leave;
    series->roster.link_life = LINK_LIFE / options->tick + 1;
    return 0;
}

struct series *series_create(const struct series_options *options,
                             struct series_sink sink, struct err *err)
{
    struct series *series = calloc(1, sizeof(*series));

    if (series == NULL) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    series->tick = options->tick;
    series->lateness = options->lateness;
    series->idle = options->idle;
    series->sink = sink;
    if (init(series, options, err) != 0) {
        series_destroy(series);
        return NULL;
    }
    return series;
}

void series_destroy(struct series *series)
{
    if (series == NULL) {
        return;
    }
    label_sets_release(&series->sets);
    roster_release(&series->roster);
    ticks_release(&series->ticks);
    inflight_release(&series->inflight);
    resolver_destroy(series->resolver);
    free(series->rows);
    free(series);
}

void series_clear(struct series *series)
{
    roster_clear(&series->roster);
    ticks_clear(&series->ticks);
    inflight_release(&series->inflight);
    resolver_clear(series->resolver);
    memset(&series->stats, 0, sizeof(series->stats));
    series->started = false;
    series->now = series->sign = series->told = 0;
}

/* ------------------------------------------------------------- closing */

static void add_inflight(struct series *series, struct open_tick *tick,
                         const struct contribution *item)
{
    struct aggregate *aggregate;

    if (!roster_used(&series->roster, item->slot) ||
        series->roster.members[item->slot].generation != item->generation) {
        return;
    }
    aggregate = open_tick_aggregate(tick, item->slot);
    if (aggregate == NULL) {
        return;
    }
    if (__builtin_add_overflow(aggregate->inflight, item->count,
                               &aggregate->inflight)) {
        aggregate->inflight = UINT64_MAX;
    }
    if (item->oldest > aggregate->oldest) {
        aggregate->oldest = item->oldest;
    }
}

static void add_all_inflight(struct series *series, struct open_tick *tick)
{
    for (uint32_t i = 0; i < series->inflight.count; i++) {
        const struct producer *producer = &series->inflight.producers[i];

        for (uint32_t k = 0; k < producer->count; k++) {
            add_inflight(series, tick, &producer->items[k]);
        }
    }
}

/* Rows of all series; those that counted nothing share four aggregates. */
static uint32_t make_rows(struct series *series, struct open_tick *tick,
                          bool alive, bool heard)
{
    static const struct aggregate nothing[2][2] = {
        {{.alive = false}, {.alive = false, .inflight_known = true}},
        {{.alive = true}, {.alive = true, .inflight_known = true}},
    };
    const struct roster *roster = &series->roster;
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < roster->high; slot++) {
        const struct member *member = &roster->members[slot];
        struct aggregate *aggregate = tick->of[slot];
        bool known = heard && member->of_beats;

        if (member->segment == SEGMENT_FREE) {
            continue;
        }
        if (aggregate != NULL) {
            aggregate->alive = alive || aggregate->events != 0;
            aggregate->inflight_known = known;
        }
        series->rows[count].identity = &member->identity;
        series->rows[count].aggregate =
            aggregate != NULL ? aggregate : &nothing[alive][known];
        count++;
    }
    return count;
}

static bool is_alive(const struct series *series, uint64_t start)
{
    uint64_t last = start + series->tick + series->lateness;
    uint64_t window = last > SIGN_WINDOW ? last - SIGN_WINDOW : 0;

    return series->sign != 0 && !inflight_behind(&series->inflight, start) &&
           series->sign >= (window < start ? window : start);
}

static void count_series(struct series *series)
{
    series->stats.series = series->roster.max - series->roster.free_count;
}

static void close_tick(struct series *series)
{
    uint64_t index = series->ticks.first, start = index * series->tick;
    struct open_tick *tick = ticks_find(&series->ticks, index);
    uint64_t idle = series->idle / series->tick;
    struct series_tick out = {start + series->tick, series->tick, series->rows,
                              0};
    bool alive = is_alive(series, start);
    uint32_t live = inflight_expire(
        &series->inflight, start > PRODUCER_LIFE ? start - PRODUCER_LIFE : 0);

    add_all_inflight(series, tick);
    if (series->roster.links_changed ||
        index % (LINK_EPOCH / series->tick + 1) == 0) {
        roster_expose_links(&series->roster, index);
    }
    out.count = make_rows(series, tick, alive, alive && live != 0);
    series->stats.tick = out.end;
    series->sink.tick(series->sink.ctx, &out);

    for (uint32_t i = 0; i < tick->touched_count; i++) {
        roster_touch(&series->roster, tick->touched[i], index);
    }
    ticks_shift(&series->ticks);
    series->roster.open = series->ticks.first;
    if (index > idle) {
        series->stats.idled += roster_expire(&series->roster, index - idle);
    }
    count_series(series);
}

void series_time(struct series *series, uint64_t id_ms)
{
    uint64_t us = id_ms < UINT64_MAX / 2000 ? id_ms * 1000 : UINT64_MAX / 2;
    uint64_t first =
        (us > series->lateness ? us - series->lateness : 0) / series->tick;

    if (!series->started) {
        series->started = true;
        series->ticks.first = first;
    }
    for (unsigned closed = 0; series->ticks.first < first; closed++) {
        if (closed == SERIES_GAP_MAX) {
            /* More than were open: what is skipped counted nothing. */
            series->ticks.first = first;
            break;
        }
        close_tick(series);
    }
    if (us > series->now) {
        series->now = us;
    }
    series->roster.open = series->ticks.first;
    series->roster.now = series->now / series->tick;
}

/* -------------------------------------------------------------- events */

static void link_all(struct series *series, const struct tocsin_event *ev,
                     const struct resolution *to, uint64_t epoch)
{
    struct roster *roster = &series->roster;
    struct resolution related;

    resolver_related(series->resolver, ev, &related);
    for (uint32_t i = 0; i < to->count; i++) {
        for (uint32_t k = i + 1; k < to->count; k++) {
            roster_link(roster, to->slots[i], to->slots[k], roster->now);
        }
        for (uint32_t k = 0; k < related.count; k++) {
            roster_link(roster, to->slots[i], related.slots[k], roster->now);
        }
        roster->members[to->slots[i]].linked = epoch;
    }
}

/* Looking at links costs some us, so that not every event does: one of each
 * series in every epoch, so that the rare ones are linked, and every 32nd, so
 * that whatever goes together often is found to do so. */
static void renew_links(struct series *series, const struct tocsin_event *ev,
                        const struct resolution *to)
{
    uint64_t epoch = series->now / LINK_EPOCH;
    bool due = ev->seq % LINK_SAMPLE == 0;

    for (uint32_t i = 0; i < to->count; i++) {
        due = due || series->roster.members[to->slots[i]].linked != epoch;
    }
    if (due) {
        link_all(series, ev, to, epoch);
    }
}

/* The tick that an event counts in; NULL if it is closed. */
static struct open_tick *place(struct series *series,
                               const struct tocsin_event *ev, uint64_t *index)
{
    uint64_t now = series->now / series->tick;

    *index = ev->ts / series->tick;
    if (*index < series->ticks.first || *index > now + 1) {
        *index =
            inflight_time(&series->inflight, ev->src, ev->ts) / series->tick;
    }
    if (*index < series->ticks.first) {
        series->stats.late++;
        return NULL;
    }
    if (*index > now + 1) {
        series->stats.future++;
        *index = now;
    }
    return ticks_find(&series->ticks, *index);
}

static void count_event(struct series *series, const struct tocsin_event *ev)
{
    struct resolution to;
    struct tally tally;
    struct open_tick *tick;
    uint64_t index = 0, seen;

    tick = place(series, ev, &index);
    if (tick == NULL) {
        return;
    }
    series->sign = series->now;
    resolver_event(series->resolver, ev, &to);
    series->stats.evicted += to.evicted;
    series->stats.refused += to.refused != 0;
    tally_event(&tally, ev);
    seen = index > series->roster.now ? index : series->roster.now;
    for (uint32_t i = 0; i < to.count; i++) {
        struct aggregate *aggregate = open_tick_aggregate(tick, to.slots[i]);

        roster_see(&series->roster, to.slots[i], seen);
        if (aggregate == NULL ||
            tally_add(&tally, aggregate, &tick->arena) != 0) {
            series->stats.refused++;
        }
    }
    renew_links(series, ev, &to);
}

/* --------------------------------------------------------------- beats */

static void hear_item(struct series *series, struct producer *producer,
                      const struct beat_item *heard)
{
    struct contribution item = {.count = heard->count, .oldest = heard->oldest};
    struct resolution to;

    resolver_beat(series->resolver, &heard->labels, &to);
    series->stats.evicted += to.evicted;
    series->stats.refused += to.refused != 0;
    for (uint32_t i = 0; i < to.count; i++) {
        item.slot = to.slots[i];
        item.generation = series->roster.members[to.slots[i]].generation;
        if (producer_add(producer, &item) != 0) {
            series->stats.refused++;
        }
    }
}

static void hear_clock(struct series *series, struct producer *producer,
                       uint64_t ts)
{
    producer_clock(producer, series->now, ts);
    if (producer_is_off(producer) &&
        (series->told == 0 || series->now > series->told + CLOCK_QUIET)) {
        series->told = series->now;
        log_warn("series",
                 "the clock of %s is off by %.1f s: its events are placed by "
                 "ours",
                 producer->src, -(double)producer_skew(producer) / 1e6);
    }
}

static void hear_beat(struct series *series, const struct tocsin_event *beat)
{
    struct producer *producer =
        inflight_beat(&series->inflight, beat->src, series->now);
    struct tocsin_span rest = beat->inflight;
    struct beat_item item;

    if (producer == NULL) {
        series->stats.refused++;
        return;
    }
    hear_clock(series, producer, beat->ts);
    producer_backlog(producer, beat->ts, beat->emitted, beat->buffered);
    while (beat_item_next(&rest, &item)) {
        if (item.count != 0) {
            hear_item(series, producer, &item);
        }
    }
}

void series_event(struct series *series, const struct tocsin_event *ev,
                  uint64_t id_ms)
{
    series_time(series, id_ms);
    if (ev->stream == TOCSIN_BEAT) {
        series->sign = series->now;
        hear_beat(series, ev);
    } else if (ev->stream != TOCSIN_REQUEST ||
               (ev->flags & TOCSIN_FLAG_SUBREQUEST) == 0) {
        count_event(series, ev);
    }
    count_series(series);
}

const struct series_stats *series_stats(const struct series *series)
{
    return &series->stats;
}

const struct identity *series_identity(const struct series *series,
                                       uint32_t slot)
{
    return roster_used(&series->roster, slot)
               ? &series->roster.members[slot].identity
               : NULL;
}
