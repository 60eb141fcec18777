/*
 * The roster of series. The resolver admits, the close of a tick touches and
 * expires; nothing else changes who is in.
 *
 * Names come from outside, so somebody may invent ten thousand a second. The
 * roster therefore has two lists, each from the least to the most recently
 * seen: newcomers are on probation until they were counted in three ticks,
 * then they are protected. When the roster is full a newcomer takes the place
 *
 *   - of the oldest on probation, once they hold a quarter of the roster;
 *   - else of the oldest protected one, or failing that on probation;
 *
 * and of nobody who was seen in this tick or the one before. So invented names
 * push out each other and whoever is silent, never a series that is seen every
 * tick; and a newcomer is sure of two ticks, in which a real one earns its
 * place. Who has counts in an open tick never leaves: an aggregate's slot
 * always means the series that it was made for.
 *
 * Everything here is O(1) but for chains of the hash and lists of 16 links.
 */
#include "roster.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PROMOTE_TICKS 3
#define PROBATION_SHARE 4 /* a quarter */
#define VICTIM_LOOKS 8

int roster_init(struct roster *roster, uint32_t max, struct err *err)
{
    memset(roster, 0, sizeof(*roster));
    roster->max = max;
    roster->buckets = 64;
    while (roster->buckets < max) {
        roster->buckets *= 2;
    }
    roster->members = calloc(max, sizeof(*roster->members));
    roster->heads = calloc(roster->buckets, sizeof(*roster->heads));
    roster->free = calloc(max, sizeof(*roster->free));
    if (roster->members == NULL || roster->heads == NULL ||
        roster->free == NULL) {
        roster_release(roster);
        return err_set(err, ERR_SYSTEM, "no memory for %u series", max);
    }
    roster_clear(roster);
    return 0;
}

static void free_labels(struct member *member)
{
    free((char *)(uintptr_t)member->identity.labels);
    member->identity.labels = NULL;
}

void roster_release(struct roster *roster)
{
    for (uint32_t i = 0; roster->members != NULL && i < roster->high; i++) {
        free_labels(&roster->members[i]);
    }
    free(roster->members);
    free(roster->heads);
    free(roster->free);
    memset(roster, 0, sizeof(*roster));
}

void roster_clear(struct roster *roster)
{
    for (uint32_t i = 0; i < roster->high; i++) {
        free_labels(&roster->members[i]);
    }
    memset(roster->members, 0, roster->high * sizeof(*roster->members));
    memset(roster->heads, 0xff, roster->buckets * sizeof(*roster->heads));
    for (uint32_t i = 0; i < roster->max; i++) {
        roster->free[i] = roster->max - 1 - i; /* the lowest comes first */
    }
    roster->free_count = roster->max;
    roster->high = 0;
    for (unsigned i = 0; i < SEGMENTS; i++) {
        roster->lists[i] = (struct roster_list){ROSTER_NONE, ROSTER_NONE, 0};
    }
    roster->open = roster->now = 0;
    roster->links_changed = false;
}

/* Requests and attempts of the same labels are different series. */
static uint64_t hash_of(const struct series_name *name)
{
    const char *labels = name->labels.data != NULL ? name->labels.data : "";

    return XXH64(labels, name->labels.len, !name->of_requests);
}

static uint32_t *chain_of(const struct roster *roster, uint64_t hash)
{
    return &roster->heads[hash & (roster->buckets - 1)];
}

static uint32_t find(const struct roster *roster,
                     const struct series_name *name, uint64_t hash)
{
    uint32_t slot = *chain_of(roster, hash);

    while (slot != ROSTER_NONE) {
        const struct member *member = &roster->members[slot];

        if (member->identity.hash == hash &&
            member->identity.of_requests == name->of_requests &&
            tocsin_span_eq(name->labels,
                           tocsin_span_str(member->identity.labels))) {
            return slot;
        }
        slot = member->chain;
    }
    return ROSTER_NONE;
}

uint32_t roster_find(const struct roster *roster,
                     const struct series_name *name)
{
    return find(roster, name, hash_of(name));
}

static void unlist(struct roster *roster, uint32_t slot)
{
    struct member *member = &roster->members[slot];
    struct roster_list *list = &roster->lists[member->segment];

    if (member->older != ROSTER_NONE) {
        roster->members[member->older].newer = member->newer;
    } else {
        list->oldest = member->newer;
    }
    if (member->newer != ROSTER_NONE) {
        roster->members[member->newer].older = member->older;
    } else {
        list->newest = member->older;
    }
    list->count--;
}

void roster_append(struct roster *roster, uint32_t slot, enum segment segment)
{
    struct member *member = &roster->members[slot];
    struct roster_list *list = &roster->lists[segment];

    member->segment = (uint8_t)segment;
    member->older = list->newest;
    member->newer = ROSTER_NONE;
    if (list->newest != ROSTER_NONE) {
        roster->members[list->newest].newer = slot;
    } else {
        list->oldest = slot;
    }
    list->newest = slot;
    list->count++;
}

static void unchain(struct roster *roster, uint32_t slot)
{
    uint32_t *at = chain_of(roster, roster->members[slot].identity.hash);

    while (*at != slot) {
        at = &roster->members[*at].chain;
    }
    *at = roster->members[slot].chain;
}

static void dismiss(struct roster *roster, uint32_t slot)
{
    struct member *member = &roster->members[slot];
    uint32_t generation = member->generation + 1;

    roster->leave(roster->ctx, &member->identity);
    unlist(roster, slot);
    unchain(roster, slot);
    free_labels(member);
    memset(member, 0, sizeof(*member));
    member->generation = generation;
    roster->free[roster->free_count++] = slot;
    roster->links_changed = true;
}

/* All its ticks are closed, and it was not seen in the last two. */
static bool stale(const struct roster *roster, const struct member *member)
{
    return member->seen < roster->open && member->seen + 2 <= roster->now;
}

static uint32_t victim(struct roster *roster, enum segment segment)
{
    for (unsigned i = 0; i < VICTIM_LOOKS; i++) {
        uint32_t slot = roster->lists[segment].oldest;

        if (slot == ROSTER_NONE) {
            break;
        }
        if (stale(roster, &roster->members[slot])) {
            return slot;
        }
        if (roster->members[slot].seen < roster->open) {
            break; /* in its place: all behind it are newer */
        }
        /* Counted in a tick that has yet to close; it would be moved then. */
        unlist(roster, slot);
        roster_append(roster, slot, segment);
    }
    return ROSTER_NONE;
}

static bool make_room(struct roster *roster)
{
    uint32_t slot = ROSTER_NONE;

    if (roster->lists[SEGMENT_PROBATION].count <
        roster->max / PROBATION_SHARE) {
        slot = victim(roster, SEGMENT_PROTECTED);
    }
    if (slot == ROSTER_NONE) {
        slot = victim(roster, SEGMENT_PROBATION);
    }
    if (slot == ROSTER_NONE) {
        return false;
    }
    dismiss(roster, slot);
    return true;
}

static int settle(struct roster *roster, uint32_t slot,
                  const struct series_name *name, uint64_t hash)
{
    struct member *member = &roster->members[slot];
    char *labels = strndup(name->labels.data, name->labels.len);

    if (labels == NULL) {
        return -1;
    }
    member->identity.labels = labels;
    member->identity.slot = slot;
    member->identity.scope = name->scope;
    member->identity.hash = hash;
    member->identity.of_requests = name->of_requests;
    member->of_beats = name->of_beats;
    member->linked = UINT64_MAX;
    member->chain = *chain_of(roster, hash);
    *chain_of(roster, hash) = slot;
    if (slot >= roster->high) {
        roster->high = slot + 1;
    }
    return 0;
}

uint32_t roster_admit(struct roster *roster, const struct series_name *name,
                      bool *evicted)
{
    uint64_t hash = hash_of(name);
    uint32_t slot = find(roster, name, hash);

    *evicted = false;
    if (slot != ROSTER_NONE) {
        /* Another set of the same event must not push it out. */
        roster_see(roster, slot, roster->now);
        return slot;
    }
    if (roster->free_count == 0) {
        *evicted = make_room(roster);
        if (!*evicted) {
            return ROSTER_NONE;
        }
    }
    slot = roster->free[roster->free_count - 1];
    if (settle(roster, slot, name, hash) != 0) {
        return ROSTER_NONE;
    }
    roster->free_count--;
    roster->members[slot].seen = roster->now;
    roster_append(roster, slot, SEGMENT_PROBATION);
    return slot;
}

int roster_place(struct roster *roster, uint32_t slot,
                 const struct series_name *name)
{
    uint64_t hash = hash_of(name);

    if (find(roster, name, hash) != ROSTER_NONE) {
        return -1;
    }
    return settle(roster, slot, name, hash);
}

void roster_touch(struct roster *roster, uint32_t slot, uint64_t tick)
{
    struct member *member = &roster->members[slot];

    roster_see(roster, slot, tick);
    if (member->ticks < PROMOTE_TICKS) {
        member->ticks++;
    }
    unlist(roster, slot);
    roster_append(roster, slot,
                  member->ticks < PROMOTE_TICKS ? SEGMENT_PROBATION
                                                : SEGMENT_PROTECTED);
}

uint32_t roster_expire(struct roster *roster, uint64_t since)
{
    uint32_t gone = 0;

    for (unsigned i = SEGMENT_PROBATION; i < SEGMENTS; i++) {
        uint32_t slot = roster->lists[i].oldest;

        while (slot != ROSTER_NONE && roster->members[slot].seen < since &&
               roster->members[slot].seen < roster->open) {
            uint32_t next = roster->members[slot].newer;

            dismiss(roster, slot);
            gone++;
            slot = next;
        }
    }
    return gone;
}

static bool live(const struct roster *roster, const struct link *link,
                 uint64_t tick)
{
    return roster_used(roster, link->slot) &&
           roster->members[link->slot].generation == link->generation &&
           link->stamp + roster->link_life >= tick;
}

/* Where a new link to `scope` goes: a dead one's place, else the oldest's,
 * the narrowest first. NULL if all are as fresh and no narrower: the wide
 * ones are what grouping needs. */
static struct link *place_for(struct roster *roster, struct member *member,
                              enum scope scope, uint64_t tick)
{
    struct link *worst = NULL;

    if (member->link_count < IDENTITY_LINKS_MAX) {
        return &member->links[member->link_count++];
    }
    for (unsigned i = 0; i < IDENTITY_LINKS_MAX; i++) {
        struct link *link = &member->links[i];

        if (!live(roster, link, tick)) {
            return link;
        }
        if (worst == NULL || link->stamp < worst->stamp ||
            (link->stamp == worst->stamp &&
             roster->members[link->slot].identity.scope <
                 roster->members[worst->slot].identity.scope)) {
            worst = link;
        }
    }
    if (worst->stamp == tick &&
        roster->members[worst->slot].identity.scope >= scope) {
        return NULL;
    }
    return worst;
}

static void link_one(struct roster *roster, uint32_t from, uint32_t to,
                     uint64_t tick)
{
    struct member *member = &roster->members[from];
    const struct member *other = &roster->members[to];
    struct link *link;

    for (unsigned i = 0; i < member->link_count; i++) {
        link = &member->links[i];
        if (link->slot == to && link->generation == other->generation) {
            link->stamp = tick;
            return;
        }
    }
    link = place_for(roster, member, other->identity.scope, tick);
    if (link != NULL) {
        *link = (struct link){to, other->generation, tick};
        roster->links_changed = true;
    }
}

void roster_link(struct roster *roster, uint32_t a, uint32_t b, uint64_t tick)
{
    link_one(roster, a, b, tick);
    link_one(roster, b, a, tick);
}

static void expose(const struct roster *roster, struct member *member,
                   uint64_t tick)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < member->link_count; i++) {
        if (live(roster, &member->links[i], tick)) {
            member->identity.links[count++] = member->links[i].slot;
        }
    }
    member->identity.link_count = count;
}

void roster_expose_links(struct roster *roster, uint64_t tick)
{
    for (uint32_t i = 0; i < roster->high; i++) {
        if (roster->members[i].segment != SEGMENT_FREE) {
            expose(roster, &roster->members[i], tick);
        }
    }
    roster->links_changed = false;
}
