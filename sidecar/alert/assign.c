/*
 * Orphans find their alert. In this order:
 *
 * 1. An orphan that is a part of what an alert blames joins it silently.
 * 2. Those that are left may have a cause of their own (group.h), and then a
 *    new alert begins; but only when one of them is a tick old, for in the
 *    first tick of a fault some of its series are in alarm and some not yet,
 *    and blame would fall on whichever was first. If it is wider than the
 *    cause of an alert that is there, it takes that one's series over: a
 *    second peer, a third, then it was the upstream all along, although that
 *    had joined the first peer.
 * 3. Consequences upwards join: the region that looks bad because of one
 *    peer; the routes that suffer from an upstream.
 *
 * A series in alarm has one alert at most.
 */
#include "room.h"

#include <stdlib.h>

#define NEW_MAX 64 /* alerts that may begin in one tick */

const struct identity *alerts_cause(const struct alerts *alerts,
                                    const struct record *record)
{
    const struct identity *who = alerts->standings.rows[record->slot].identity;

    return who != NULL && who->hash == record->hash ? who : NULL;
}

static bool is_orphan(const struct standing *row)
{
    return row->identity != NULL && row->alarm && row->owner == STANDING_NONE;
}

/* May a new alert that blames `cause` take series of this one over? */
static bool gives_way(const struct record *old, const struct identity *cause)
{
    struct identity was = {.scope = old->scope,
                           .of_requests = old->of_requests};

    return group_is_wider(cause, &was) ||
           (old->of_requests && !cause->of_requests);
}

/* What is wider may turn out to have been the cause all along. */
static void own(struct alerts *alerts, struct standing *row, uint32_t index)
{
    if (row->owner == STANDING_NONE) {
        alerts->standings.orphans--;
    }
    row->owner = index;
    row->orphan = 0;
    row->spoilt = gives_way(alerts->records[index], row->identity);
}

/* Part of what the record blames; or a user of it. */
static bool is_part(const struct alerts *alerts, const struct record *record,
                    const struct identity *who)
{
    const struct identity *cause = alerts_cause(alerts, record);

    if (cause == NULL) {
        return false;
    }
    if (cause == who) {
        return true;
    }
    if (!group_linked(cause, who)) {
        return false;
    }
    return group_is_wider(cause, who) ||
           (who->of_requests && !cause->of_requests);
}

static bool is_consequence(const struct alerts *alerts,
                           const struct record *record,
                           const struct identity *who)
{
    const struct identity *cause = alerts_cause(alerts, record);

    return cause != NULL && group_linked(cause, who);
}

/* By way of a series that already has its alert. */
static uint32_t owner_of_link(const struct standings *standings,
                              const struct identity *who)
{
    uint32_t i;

    for (i = 0; i < who->link_count; i++) {
        uint32_t slot = who->links[i];

        if (slot < standings->max && standings->rows[slot].alarm &&
            standings->rows[slot].owner != STANDING_NONE) {
            return standings->rows[slot].owner;
        }
    }
    return STANDING_NONE;
}

typedef bool explains(const struct alerts *alerts, const struct record *record,
                      const struct identity *who);

static void join(struct alerts *alerts, explains *test)
{
    uint32_t slot, i;

    for (slot = 0;
         slot < alerts->standings.max && alerts->standings.orphans > 0;
         slot++) {
        struct standing *row = &alerts->standings.rows[slot];

        if (!is_orphan(row)) {
            continue;
        }
        for (i = 0; i < ALERTS_MAX; i++) {
            if (alerts->records[i] != NULL &&
                test(alerts, alerts->records[i], row->identity)) {
                own(alerts, row, i);
                break;
            }
        }
    }
}

static void join_by_links(struct alerts *alerts)
{
    uint32_t slot;

    for (slot = 0; slot < alerts->standings.max; slot++) {
        struct standing *row = &alerts->standings.rows[slot];
        uint32_t owner = STANDING_NONE;

        if (is_orphan(row)) {
            owner = owner_of_link(&alerts->standings, row->identity);
        }
        if (owner != STANDING_NONE) {
            own(alerts, row, owner);
        }
    }
}

static uint32_t free_record(const struct alerts *alerts)
{
    uint32_t i;

    for (i = 0; i < ALERTS_MAX; i++) {
        if (alerts->records[i] == NULL) {
            return i;
        }
    }
    return STANDING_NONE;
}

static void take_over(struct alerts *alerts, const struct identity *cause,
                      uint32_t index)
{
    struct record *record = alerts->records[index];
    uint32_t slot;

    for (slot = 0; slot < alerts->standings.max; slot++) {
        struct standing *row = &alerts->standings.rows[slot];
        bool taken;

        if (row->identity == NULL || !row->alarm ||
            (row->identity != cause && !group_linked(cause, row->identity))) {
            continue;
        }
        taken = row->owner == STANDING_NONE ||
                gives_way(alerts->records[row->owner], cause);
        if (taken) {
            if (row->orphan > record->age + 1) {
                record->age = row->orphan - 1;
            }
            own(alerts, row, index);
        }
    }
}

static bool begin(struct alerts *alerts, uint32_t slot)
{
    uint32_t index = free_record(alerts);
    struct record *record;

    if (index == STANDING_NONE) {
        return false;
    }
    record = malloc(sizeof(*record));
    if (record == NULL) {
        return false;
    }
    record_begin(record, &alerts->standings, slot);
    alerts->records[index] = record;
    own(alerts, &alerts->standings.rows[slot], index);
    take_over(alerts, alerts->standings.rows[slot].identity, index);
    return true;
}

static bool has_ripe(const struct standings *standings)
{
    uint32_t slot;

    for (slot = 0; slot < standings->max; slot++) {
        if (is_orphan(&standings->rows[slot]) &&
            standings->rows[slot].orphan >= STANDING_RIPE) {
            return true;
        }
    }
    return false;
}

void alerts_assign(struct alerts *alerts)
{
    unsigned i;

    if (alerts->standings.orphans == 0) {
        return;
    }
    join(alerts, is_part);
    if (!has_ripe(&alerts->standings)) {
        return;
    }
    group_tally(alerts->group, &alerts->standings);
    for (i = 0; i < NEW_MAX && alerts->standings.orphans > 0; i++) {
        uint32_t slot = group_cause(alerts->group, &alerts->standings);

        if (slot == STANDING_NONE || !begin(alerts, slot)) {
            break;
        }
    }
    join(alerts, is_consequence);
    if (alerts->standings.orphans > 0) {
        join_by_links(alerts);
    }
}
