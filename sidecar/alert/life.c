/*
 * The life of an alert. It is a tick old before anybody hears of it, so that
 * what it is called does not hang on which series was looked at first; then it
 * is pending for a tick, or fires at once if the evidence is overwhelming. A
 * failure that retries hide from clients must last before it fires: a peer
 * that restarts is gone for a second, and nobody noticed. So must slowness that
 * is within what is expected again: the machine stalled.
 *
 * While it fires it is told again every half minute. It ends when none of its
 * series is in alarm any more; or when its own series has been well for a
 * while, or most parts of a cloud, region, zone or of the total are, and what
 * is left must have another cause, which is told in the next tick.
 *
 * One that ended and is back within ten minutes flaps: each time it takes
 * longer without alarm until it is said to be over.
 */
#include "room.h"

#include <stdlib.h>

#define SECOND 1000000u
#define REMINDER (30u * SECOND)
#define FLAP_MEMORY (600u * (uint64_t)SECOND)
#define FLAP_QUIET 15u      /* ticks, doubled by each return */
#define FLAP_QUIET_MAX 300u /* ticks */
#define INNOCENT_MAX 20     /* ticks */
#define INNOCENT_SPLIT 5u   /* ticks; where parts show it, or of the total */
#define FIRE_AGE 3          /* ticks; one less if sudden */
#define LASTING_AGE 5u
#define LASTING_LATELY 0x03u /* one of the last two ticks with traffic */

static void clear_counts(struct record *record)
{
    unsigned i;

    record->members = 0;
    record->seen <<= 1;
    for (i = 0; i < RECORD_SCOPES; i++) {
        record->parts[i] = 0;
    }
    record->sudden = record->clients_see = record->users_known = false;
}

/* Does it hurt whoever waits for the answer? */
static bool is_felt(enum feature feature)
{
    return feature == FEATURE_ERRORS || feature == FEATURE_LATENCY_P50 ||
           feature == FEATURE_LATENCY_P95 || feature == FEATURE_RATE ||
           feature == FEATURE_HEADER;
}

static void count_members(struct alerts *alerts)
{
    uint32_t slot, i;

    for (i = 0; i < ALERTS_MAX; i++) {
        if (alerts->records[i] != NULL) {
            clear_counts(alerts->records[i]);
        }
    }
    for (slot = 0; slot < alerts->standings.max; slot++) {
        const struct standing *row = &alerts->standings.rows[slot];
        struct record *record;

        if (row->identity == NULL || !row->alarm ||
            row->owner == STANDING_NONE) {
            continue;
        }
        record = alerts->records[row->owner];
        record->members++;
        record->sudden = record->sudden || row->sudden;
        if (slot != record->slot) {
            record->parts[row->identity->scope]++;
        }
        if (row->identity->of_requests && is_felt(row->feature)) {
            record->clients_see = true;
            record->seen |= row->harmed ? 1u : 0u;
        }
    }
}

/* Is there anything that would show whether clients see it? */
static bool users_known(const struct alerts *alerts,
                        const struct record *record)
{
    const struct identity *who = alerts_cause(alerts, record);
    uint32_t i;

    for (i = 0; who != NULL && i < who->link_count; i++) {
        uint32_t slot = who->links[i];

        if (slot < alerts->standings.max &&
            alerts->standings.rows[slot].identity != NULL &&
            alerts->standings.rows[slot].identity->of_requests) {
            return true;
        }
    }
    return false;
}

static enum severity severity_of(const struct record *record)
{
    if (record->clients_see) {
        return SEVERITY_CRITICAL;
    }
    if (record->feature == FEATURE_CACHE_HITS ||
        (record->feature == FEATURE_RATE && record->scope == SCOPE_PEER)) {
        return SEVERITY_INFO; /* dearer, or drained; nobody suffers */
    }
    if (record->users_known || record->scope == SCOPE_PEER ||
        record->scope == SCOPE_COLUMN) {
        return SEVERITY_WARNING;
    }
    return record_is_failing(record) || is_felt(record->feature)
               ? SEVERITY_CRITICAL
               : SEVERITY_WARNING;
}

static bool is_beyond(const struct standing *row)
{
    return !(row->observed_value >= row->low &&
             row->observed_value <= row->high);
}

/* Failures that clients saw are told even when they are over; but where they
 * were hidden, a single one that is seen later is another matter. Slowness must
 * be there when it is told: beyond what is expected, or for a while. What is
 * hidden must be there for a while. */
static bool has_lasted(const struct alerts *alerts, const struct record *record)
{
    const struct standing *row = &alerts->standings.rows[record->slot];
    unsigned ticks = standing_ticks(row->harm);

    if (alerts_cause(alerts, record) == NULL) {
        return false;
    }
    if (record_is_hidden(record)) {
        return (row->harm & LASTING_LATELY) != 0 && ticks >= LASTING_TICKS;
    }
    if (record_is_failing(record)) {
        return record->age <= LASTING_AGE || ticks > 1 ||
               standing_ticks(record->seen) > 1;
    }
    return (row->harm & 1) != 0 && (ticks >= LASTING_TICKS || is_beyond(row));
}

static bool is_wide(const struct record *record)
{
    return record->scope == SCOPE_ZONE || record->scope == SCOPE_REGION ||
           record->scope == SCOPE_CLOUD || record->scope == SCOPE_TOTAL;
}

/* A fault that met another one, or a moment in which all stalled, may have been
 * taken for something wide: are most parts well, and one goes on? */
static bool is_split(const struct alerts *alerts, const struct record *record)
{
    return is_wide(record) && alerts_cause(alerts, record) != NULL &&
           group_is_split(alerts->group, &alerts->standings, record->slot);
}

static void look_at_cause(struct alerts *alerts, struct record *record)
{
    const struct standing *row = &alerts->standings.rows[record->slot];
    struct band band = trace_last(&record->trace);

    if (alerts_cause(alerts, record) != NULL && row->alarm) {
        record->innocent = is_split(alerts, record) ? record->innocent + 1 : 0;
        if (row->incident > record->score) {
            record->score = row->incident;
        }
        if (row->column == record->column && row->feature == record->feature) {
            band = (struct band){row->expected, row->low, row->high};
        }
    } else {
        record->innocent++;
    }
    trace_add(&record->trace, band);
}

/* ------------------------------------------------------------------ flaps */

static const struct flap *find_flap(const struct alerts *alerts, uint64_t key)
{
    unsigned i;

    for (i = 0; i < FLAPS_MAX; i++) {
        if (alerts->flaps[i].ended != 0 && alerts->flaps[i].key == key) {
            return &alerts->flaps[i];
        }
    }
    return NULL;
}

static void remember_flap(struct alerts *alerts, const struct record *record)
{
    struct flap *place = &alerts->flaps[0];
    unsigned i;

    for (i = 0; i < FLAPS_MAX; i++) {
        struct flap *flap = &alerts->flaps[i];

        if (flap->ended != 0 && flap->key == record->hash) {
            place = flap;
            break;
        }
        if (flap->ended < place->ended) {
            place = flap;
        }
    }
    *place = (struct flap){record->hash, alerts->end, record->flaps};
}

static uint32_t count_flaps(const struct alerts *alerts,
                            const struct record *record)
{
    const struct flap *flap = find_flap(alerts, record->hash);

    return flap != NULL && alerts->end - flap->ended < FLAP_MEMORY
               ? flap->count + 1
               : 0;
}

static uint32_t quiet_needed(const struct record *record)
{
    uint32_t ticks;

    if (record->flaps == 0) {
        return 1;
    }
    ticks = FLAP_QUIET << (record->flaps < 6 ? record->flaps : 6);
    return ticks < FLAP_QUIET_MAX ? ticks : FLAP_QUIET_MAX;
}

/* ------------------------------------------------------------------ states */

/* Those of a narrowed alert have been in alarm for long: what is left of it
 * need not wait to be told on its own. */
static void free_members(struct alerts *alerts, uint32_t index,
                         enum ending ending)
{
    uint32_t slot;

    for (slot = 0; slot < alerts->standings.max; slot++) {
        struct standing *row = &alerts->standings.rows[slot];

        if (row->owner == index) {
            row->owner = STANDING_NONE;
            row->orphan = ending == ENDING_NARROWED ? STANDING_RIPE : 0;
        }
    }
}

/* Is its own series in alarm still? If it ends even so, alerts that go on
 * explain that. */
static bool is_bad(const struct alerts *alerts, const struct record *record)
{
    const struct standing *row = &alerts->standings.rows[record->slot];

    return alerts_cause(alerts, record) != NULL && row->alarm;
}

/* Its own series is well, or most of its parts are: what is left must have
 * another cause. That takes longer each time that it comes back. */
static bool is_innocent(const struct alerts *alerts,
                        const struct record *record)
{
    bool split = is_bad(alerts, record) || record->scope == SCOPE_TOTAL;
    uint32_t flaps = record->flaps < 6 ? record->flaps : 6;

    return record->members > 0 &&
           record->innocent >= (split ? INNOCENT_SPLIT << flaps : INNOCENT_MAX);
}

static enum ending ending_of(const struct alerts *alerts,
                             const struct record *record)
{
    const struct standing *row = &alerts->standings.rows[record->slot];

    if (alerts_cause(alerts, record) == NULL) {
        return ENDING_GONE;
    }
    if (row->alarm) {
        return is_innocent(alerts, record) ? ENDING_NARROWED : ENDING_PART;
    }
    return standing_accepts(row, record->column) ? ENDING_ACCEPTED
                                                 : ENDING_BACK;
}

static void end(struct alerts *alerts, uint32_t index)
{
    struct record *record = alerts->records[index];
    enum ending ending = ending_of(alerts, record);

    if (record->state != RECORD_UNTOLD) {
        alerts_tell(alerts, record, ending);
    }
    if (record->state == RECORD_FIRING && ending != ENDING_PART) {
        remember_flap(alerts, record);
    }
    free_members(alerts, index, ending);
    free(record);
    alerts->records[index] = NULL;
}

static void tell(struct alerts *alerts, struct record *record)
{
    record->told = alerts->end;
    alerts_tell(alerts, record, ENDING_NONE);
}

static bool may_fire(const struct alerts *alerts, const struct record *record)
{
    return record->age >= (record->sudden ? FIRE_AGE - 1 : FIRE_AGE) &&
           has_lasted(alerts, record);
}

static void go_on(struct alerts *alerts, struct record *record)
{
    enum severity severity = severity_of(record);

    if (record->state == RECORD_UNTOLD && record->age >= FIRE_AGE - 1) {
        record->flaps = count_flaps(alerts, record);
        record_name(record, &alerts->standings, alerts->tick);
        record->severity = severity_of(record);
        record->state =
            may_fire(alerts, record) ? RECORD_FIRING : RECORD_PENDING;
        tell(alerts, record);
    } else if (record->state == RECORD_PENDING && may_fire(alerts, record)) {
        record->state = RECORD_FIRING;
        record->severity = severity;
        tell(alerts, record);
    } else if (record->state == RECORD_FIRING &&
               (severity > record->severity ||
                alerts->end - record->told >= REMINDER)) {
        /* It may get worse; while it lasts it is not played down. */
        record->severity =
            severity > record->severity ? severity : record->severity;
        tell(alerts, record);
    }
}

/* Whether it is split is asked in every tick, not only in those with orphans.
 */
static void tally_for_wide(struct alerts *alerts)
{
    uint32_t i;

    for (i = 0; i < ALERTS_MAX; i++) {
        if (alerts->records[i] != NULL && is_wide(alerts->records[i])) {
            group_tally(alerts->group, &alerts->standings);
            return;
        }
    }
}

void alerts_live(struct alerts *alerts)
{
    uint32_t i;

    count_members(alerts);
    tally_for_wide(alerts);
    for (i = 0; i < ALERTS_MAX; i++) {
        struct record *record = alerts->records[i];

        if (record == NULL) {
            continue;
        }
        record->age++;
        record->users_known = users_known(alerts, record);
        look_at_cause(alerts, record);
        record->quiet = record->members > 0 ? 0 : record->quiet + 1;
        if (record->quiet >= quiet_needed(record) ||
            (record->members == 0 && is_bad(alerts, record)) ||
            (record->state == RECORD_UNTOLD &&
             alerts_cause(alerts, record) == NULL) ||
            is_innocent(alerts, record)) {
            end(alerts, i);
        } else {
            go_on(alerts, record);
        }
    }
}
