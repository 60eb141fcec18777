/*
 * Grouping and blame.
 *
 * A fault shows in many series at once: a region that is down shows in its
 * peers, their upstreams, the routes that use them, the region and the cloud.
 * Series say which others lately counted the same exchanges (identity.links);
 * so for each series we know how many of its narrower ones are bad and how
 * many are well.
 *
 * A series is a possible cause if it is in alarm and its parts agree: two
 * thirds of the peers (upstreams, regions) that had traffic are bad as well,
 * or none is known to be. A region whose one bad peer makes its average look
 * bad is no cause; its other peers speak for it. And among attempts and
 * requests alike: an upstream of which only one route in five suffers is not
 * to blame, the route is; a bad peer whose siblings are well is to blame,
 * whatever the routes say. Where all upstreams of a route fail, two at least,
 * and nobody else's, the route is what they have in common.
 *
 * Of the possible causes the widest is blamed: the total, cloud, region, zone,
 * upstream, peer, then what requests alone can tell. But not one that explains
 * no more than a narrower: a region with one upstream says less than that
 * upstream does. (An upstream with one peer is named rather than the peer.)
 * The total has parts in both views, and four fifths of each must agree: two
 * faults at a time are more likely than that everything has one.
 *
 * Silence is the other way round: it begins with those who ask. Attempts that
 * fall silent because a route does are not to blame for it.
 *
 * While the parts disagree, narrower series may still be on their way into
 * alarm: an orphan waits PATIENCE ticks for a better explanation before it is
 * told on its own.
 */
#include "group.h"

#include <stdlib.h>

#define PATIENCE 5 /* ticks */
#define SETTLE 3   /* ticks after which parts that are well are believed */
#define SCOPES (SCOPE_COLUMN + 1)

struct tally {
    uint16_t all[SCOPES], bad[SCOPES]; /* linked series, by scope */
};

struct group {
    struct tally *tallies; /* [max] */
    uint32_t max;
};

/* From the widest to the narrowest, attempts before requests. */
static const enum scope order[] = {SCOPE_TOTAL,  SCOPE_CLOUD,    SCOPE_REGION,
                                   SCOPE_ZONE,   SCOPE_UPSTREAM, SCOPE_PEER,
                                   SCOPE_SERVER, SCOPE_ROUTE,    SCOPE_COLUMN};

#define ORDERS (sizeof(order) / sizeof(order[0]))

struct group *group_create(uint32_t max, struct err *err)
{
    struct group *group = calloc(1, sizeof(*group));

    if (group == NULL ||
        (group->tallies = calloc(max, sizeof(*group->tallies))) == NULL) {
        free(group);
        err_set(err, ERR_SYSTEM, "no memory for %u series", max);
        return NULL;
    }
    group->max = max;
    return group;
}

void group_destroy(struct group *group)
{
    if (group != NULL) {
        free(group->tallies);
        free(group);
    }
}

static bool lists(const struct identity *who, uint32_t slot)
{
    uint32_t i;

    for (i = 0; i < who->link_count; i++) {
        if (who->links[i] == slot) {
            return true;
        }
    }
    return false;
}

bool group_linked(const struct identity *a, const struct identity *b)
{
    return lists(a, b->slot) || lists(b, a->slot);
}

/* Requests and attempts are two views of the same; within one, scopes nest. */
static bool same_view(const struct identity *a, const struct identity *b)
{
    return a->of_requests == b->of_requests;
}

static unsigned place(enum scope scope)
{
    unsigned i = 0;

    while (i < ORDERS - 1 && order[i] != scope) {
        i++;
    }
    return i;
}

bool group_is_wider(const struct identity *wide, const struct identity *other)
{
    return (same_view(wide, other) || wide->scope == SCOPE_TOTAL) &&
           place(wide->scope) < place(other->scope);
}

/* What counts as evidence about `whom`: its parts, and the other view. */
static bool is_evidence(const struct identity *part,
                        const struct identity *whom)
{
    return group_is_wider(whom, part) || !same_view(whom, part);
}

static void count(struct tally *tally, const struct standing *part)
{
    enum scope scope = part->identity->scope;

    if (part->observed && tally->all[scope] < UINT16_MAX) {
        tally->all[scope]++;
        tally->bad[scope] = (uint16_t)(tally->bad[scope] + (part->bad ? 1 : 0));
    }
}

static const struct standing *at(const struct standings *standings,
                                 uint32_t slot)
{
    const struct standing *row =
        slot < standings->max ? &standings->rows[slot] : NULL;

    return row != NULL && row->identity != NULL ? row : NULL;
}

static void tally_pair(struct group *group, const struct standing *a,
                       const struct standing *b)
{
    if (is_evidence(a->identity, b->identity)) {
        count(&group->tallies[b->identity->slot], a);
    }
    if (is_evidence(b->identity, a->identity)) {
        count(&group->tallies[a->identity->slot], b);
    }
}

/* Links are lists of limited length: a cloud cannot list all its peers, but
 * they list the cloud. A pair counts once, whoever lists the other. */
void group_tally(struct group *group, const struct standings *standings)
{
    uint32_t slot, i;

    memset(group->tallies, 0, group->max * sizeof(*group->tallies));
    for (slot = 0; slot < standings->max; slot++) {
        const struct standing *row = at(standings, slot);

        for (i = 0; row != NULL && i < row->identity->link_count; i++) {
            const struct standing *other =
                at(standings, row->identity->links[i]);

            if (other == NULL || other == row ||
                (other->identity->slot < slot &&
                 lists(other->identity, slot))) {
                continue;
            }
            tally_pair(group, row, other);
        }
    }
}

/* Two thirds of them, or none at all. */
static bool agree(const struct tally *tally, enum scope scope)
{
    return tally->bad[scope] == 0 ||
           3u * tally->bad[scope] >= 2u * tally->all[scope];
}

/* Of what uses it from the other side: half of them, or none. */
static bool users_agree(const struct tally *tally, enum scope scope)
{
    return tally->bad[scope] == 0 ||
           2u * tally->bad[scope] >= tally->all[scope];
}

/* A sibling that is well: another peer of the same upstream. */
static bool has_well_sibling(const struct group *group,
                             const struct standings *standings,
                             const struct identity *who)
{
    uint32_t i;

    for (i = 0; i < who->link_count; i++) {
        const struct standing *wide = at(standings, who->links[i]);

        if (wide != NULL && wide->identity->scope == SCOPE_UPSTREAM &&
            !agree(&group->tallies[wide->identity->slot], who->scope)) {
            return true;
        }
    }
    return false;
}

static bool is_of_requests(enum scope scope)
{
    return scope == SCOPE_SERVER || scope == SCOPE_ROUTE;
}

/* Four fifths, or none. */
static bool agree_widely(const struct tally *tally, enum scope scope)
{
    return tally->bad[scope] == 0 ||
           5u * tally->bad[scope] >= 4u * tally->all[scope];
}

/* Do series of that scope see what `who` sees? The total sees everything. */
static bool is_in_view(const struct identity *who, enum scope scope)
{
    return who->scope == SCOPE_TOTAL ||
           is_of_requests(scope) == who->of_requests;
}

/* Where parts are known but none is bad, they may be a tick behind. */
static bool parts_agree(const struct tally *tally, const struct standing *row)
{
    const struct identity *who = row->identity;
    bool total = who->scope == SCOPE_TOTAL;
    unsigned all = 0, bad = 0, i;

    for (i = place(who->scope) + 1; i < ORDERS; i++) {
        if (!is_in_view(who, order[i])) {
            continue;
        }
        if (total ? !agree_widely(tally, order[i]) : !agree(tally, order[i])) {
            return false;
        }
        all += tally->all[order[i]];
        bad += tally->bad[order[i]];
    }
    return all == 0 || bad > 0 || row->orphan >= SETTLE;
}

/* Most of those who use an upstream are well: then its peers are not to blame
 * for the few who are not, even where they know of no other users. */
static bool users_of_upstream_agree(const struct group *group,
                                    const struct standings *standings,
                                    const struct identity *who)
{
    uint32_t i;

    for (i = 0; i < who->link_count; i++) {
        const struct standing *wide = at(standings, who->links[i]);

        if (wide != NULL && wide->identity->scope == SCOPE_UPSTREAM &&
            !users_agree(&group->tallies[wide->identity->slot], SCOPE_ROUTE)) {
            return false;
        }
    }
    return true;
}

/* Routes that used it ask for nothing any more. */
static bool users_are_silent(const struct standings *standings,
                             const struct identity *who)
{
    bool silent = false;
    uint32_t slot;

    for (slot = 0; slot < standings->max; slot++) {
        const struct standing *user = at(standings, slot);

        if (user != NULL && user->identity->scope == SCOPE_ROUTE &&
            group_linked(user->identity, who)) {
            if (user->requests > 0) {
                return false;
            }
            silent = true;
        }
    }
    return silent;
}

/* Is it an upstream, or a peer of one, of a route that suffers in all of its
 * upstreams? And of no other route that suffers. */
static bool is_of_bad_route(const struct group *group,
                            const struct standings *standings,
                            const struct identity *who)
{
    uint32_t slot;

    if (group->tallies[who->slot].bad[SCOPE_ROUTE] > 1) {
        return false;
    }
    for (slot = 0; slot < standings->max; slot++) {
        const struct standing *route = at(standings, slot);
        const struct tally *tally = &group->tallies[slot];

        if (route != NULL && route->identity->scope == SCOPE_ROUTE &&
            route->bad && tally->bad[SCOPE_UPSTREAM] >= 2 &&
            agree(tally, SCOPE_UPSTREAM) && agree(tally, SCOPE_PEER) &&
            group_linked(route->identity, who)) {
            return true;
        }
    }
    return false;
}

static bool is_possible(const struct group *group,
                        const struct standings *standings,
                        const struct standing *row)
{
    const struct identity *who = row->identity;
    const struct tally *tally = &group->tallies[who->slot];
    bool users;

    if (!row->alarm || !parts_agree(tally, row)) {
        return false;
    }
    if (who->of_requests) {
        return users_agree(tally, SCOPE_PEER) &&
               users_agree(tally, SCOPE_UPSTREAM);
    }
    if (row->feature == FEATURE_RATE && users_are_silent(standings, who)) {
        return false;
    }
    if ((who->scope == SCOPE_UPSTREAM || who->scope == SCOPE_PEER) &&
        is_of_bad_route(group, standings, who)) {
        return false;
    }
    users = users_agree(tally, SCOPE_ROUTE);
    if (who->scope == SCOPE_PEER) {
        return has_well_sibling(group, standings, who) ||
               (users && users_of_upstream_agree(group, standings, who));
    }
    return users || tally->bad[SCOPE_UPSTREAM] >= 2;
}

static unsigned bad_leaves(const struct group *group,
                           const struct identity *who, enum scope leaf)
{
    return who->scope == leaf ? 1 : group->tallies[who->slot].bad[leaf];
}

/* Does `narrow` account for all the bad peers (or routes) that `wide` has? */
static bool explains_as_much(const struct group *group,
                             const struct identity *narrow,
                             const struct identity *wide)
{
    unsigned peers = bad_leaves(group, wide, SCOPE_PEER);
    unsigned routes = bad_leaves(group, wide, SCOPE_ROUTE);
    bool as_peers = bad_leaves(group, narrow, SCOPE_PEER) == peers;
    bool as_routes = bad_leaves(group, narrow, SCOPE_ROUTE) == routes;

    if (wide->scope == SCOPE_TOTAL) {
        return peers + routes > 0 && as_peers && as_routes;
    }
    return wide->of_requests ? routes > 0 && as_routes : peers > 0 && as_peers;
}

static bool is_outdone(const struct group *group,
                       const struct standings *standings,
                       const struct standing *row)
{
    const struct identity *wide = row->identity;
    uint32_t slot;

    if (wide->scope <= SCOPE_UPSTREAM) {
        return false; /* nothing narrower, or a peer of its own */
    }
    for (slot = 0; slot < standings->max; slot++) {
        const struct standing *other = at(standings, slot);

        if (other == NULL || !other->alarm ||
            !group_is_wider(wide, other->identity) ||
            !group_linked(wide, other->identity)) {
            continue;
        }
        if (is_possible(group, standings, other) &&
            explains_as_much(group, other->identity, wide)) {
            return true;
        }
    }
    return false;
}

static unsigned weight_of(const struct group *group, uint32_t slot)
{
    unsigned sum = 0, i;

    for (i = 0; i < SCOPES; i++) {
        sum += group->tallies[slot].bad[i];
    }
    return sum;
}

static uint32_t widest(struct group *group, const struct standings *standings,
                       enum scope scope)
{
    uint32_t slot, best = STANDING_NONE;

    for (slot = 0; slot < standings->max; slot++) {
        const struct standing *row = at(standings, slot);

        if (row == NULL || row->identity->scope != scope ||
            (row->owner != STANDING_NONE && !row->spoilt) ||
            !is_possible(group, standings, row) ||
            is_outdone(group, standings, row)) {
            continue;
        }
        if (best == STANDING_NONE ||
            weight_of(group, slot) > weight_of(group, best)) {
            best = slot;
        }
    }
    return best;
}

static uint32_t longest_orphan(const struct standings *standings)
{
    uint32_t slot, best = STANDING_NONE;

    for (slot = 0; slot < standings->max; slot++) {
        const struct standing *row = at(standings, slot);

        if (row == NULL || !row->alarm || row->owner != STANDING_NONE ||
            row->orphan < PATIENCE) {
            continue;
        }
        if (best == STANDING_NONE ||
            row->orphan > standings->rows[best].orphan) {
            best = slot;
        }
    }
    return best;
}

bool group_is_split(const struct group *group,
                    const struct standings *standings, uint32_t wide)
{
    const struct standing *whole = &standings->rows[wide];
    bool apart = false;
    uint32_t slot;
    unsigned i;

    for (i = place(whole->identity->scope) + 1; i < ORDERS; i++) {
        apart = apart || (is_in_view(whole->identity, order[i]) &&
                          !agree(&group->tallies[wide], order[i]));
    }
    for (slot = 0; apart && slot < standings->max; slot++) {
        const struct standing *row = at(standings, slot);

        if (row != NULL && row->owner == whole->owner &&
            group_is_wider(whole->identity, row->identity) &&
            standing_lasts(row) && is_possible(group, standings, row)) {
            return true;
        }
    }
    return false;
}

uint32_t group_cause(struct group *group, const struct standings *standings)
{
    unsigned i;

    for (i = 0; i < ORDERS; i++) {
        uint32_t slot = widest(group, standings, order[i]);

        if (slot != STANDING_NONE) {
            return slot;
        }
    }
    return longest_orphan(standings);
}
