/*
 * Resolving builds the text of every label set and looks it up: about 150 ns a
 * set. Events repeat the same labels, so the answers are kept in a cache whose
 * key is the raw label values that the sets of a stream look at. An entry
 * holds slots with their generations, and counts as long as all of them are
 * still those series: an answer from the cache is the answer that resolving
 * would give, so the cache needs no place in checkpoints.
 *
 * The full key is compared, not only its hash: names come from outside, and
 * nobody shall find two that collide. Keys beyond KEY_MAX bytes and answers
 * with a refusal are not kept.
 */
#include "resolver.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define KEY_MAX 230
#define CACHE_MAX 32768

struct cached {
    uint64_t hash;
    uint16_t key_len;
    uint8_t stream;
    uint8_t count;
    char key[KEY_MAX + 2];
    uint32_t slots[SERIES_SETS_MAX];
    uint32_t generations[SERIES_SETS_MAX];
};

struct resolver {
    const struct label_sets *sets;
    struct roster *roster;
    struct cached *cache; /* pairs: two places for each hash */
    uint32_t size;
    struct label_values values;
    char text[TOCSIN_LABELS_MAX];
};

struct resolver *resolver_create(const struct label_sets *sets,
                                 struct roster *roster, struct err *err)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (resolver == NULL) {
        err_set(err, ERR_SYSTEM, "out of memory");
        return NULL;
    }
    resolver->sets = sets;
    resolver->roster = roster;
    resolver->size = 64;
    while (resolver->size < 2 * roster->max && resolver->size < CACHE_MAX) {
        resolver->size *= 2;
    }
    resolver->cache = calloc(resolver->size, sizeof(*resolver->cache));
    if (resolver->cache == NULL) {
        free(resolver);
        err_set(err, ERR_SYSTEM, "no memory for the cache of label sets");
        return NULL;
    }
    return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver != NULL) {
        free(resolver->cache);
        free(resolver);
    }
}

void resolver_clear(struct resolver *resolver)
{
    memset(resolver->cache, 0, resolver->size * sizeof(*resolver->cache));
}

/* False when the set names no series of the event. A text that is longer than
 * alerts can carry is a refusal. */
static bool name_series(struct resolver *resolver, const struct label_set *set,
                        struct series_name *name, struct resolution *to)
{
    struct tocsin_out out = {resolver->text, sizeof(resolver->text), 0};

    if (!label_set_text(resolver->sets, set, &resolver->values, &out,
                        &name->scope)) {
        return false;
    }
    if (!tocsin_out_fits(&out)) {
        to->refused++;
        return false;
    }
    name->labels = tocsin_span_of(out.data, out.need);
    name->of_requests = set->of_requests;
    name->of_beats = set->of_beats;
    return true;
}

static void add_slot(struct resolution *to, uint32_t slot)
{
    for (uint32_t i = 0; i < to->count; i++) {
        if (to->slots[i] == slot) {
            return;
        }
    }
    to->slots[to->count++] = slot;
}

static void admit(struct resolver *resolver, const struct label_set *set,
                  struct resolution *to)
{
    struct series_name name;
    bool evicted = false;
    uint32_t slot;

    if (!name_series(resolver, set, &name, to)) {
        return;
    }
    slot = roster_admit(resolver->roster, &name, &evicted);
    to->evicted += evicted;
    if (slot == ROSTER_NONE) {
        to->refused++;
    } else {
        add_slot(to, slot);
    }
}

static void resolve(struct resolver *resolver, bool of_requests,
                    struct resolution *to)
{
    for (unsigned i = 0; i < resolver->sets->count; i++) {
        const struct label_set *set = &resolver->sets->sets[i];

        if (set->of_requests == of_requests) {
            admit(resolver, set, to);
        }
    }
}

/* The key's length, or 0 when the values do not fit. */
static size_t make_key(const struct label_sets *sets, uint32_t mask,
                       const struct label_values *values, char key[KEY_MAX])
{
    size_t used = 0;

    for (unsigned i = 0; i < sets->label_count; i++) {
        size_t len = values->of[i].len;

        if ((mask & 1u << i) == 0) {
            continue;
        }
        if (len > UINT8_MAX || used + 1 + len > KEY_MAX) {
            return 0;
        }
        key[used++] = (char)len;
        if (len != 0) {
            memcpy(key + used, values->of[i].data, len);
        }
        used += len;
    }
    return used;
}

static bool still_holds(const struct roster *roster, const struct cached *entry)
{
    for (unsigned i = 0; i < entry->count; i++) {
        if (roster->members[entry->slots[i]].generation !=
            entry->generations[i]) {
            return false;
        }
    }
    return entry->count != 0;
}

static struct cached *recall(const struct resolver *resolver, uint64_t hash,
                             uint8_t stream, const char *key, size_t len)
{
    for (uint64_t i = 0; i < 2; i++) {
        struct cached *entry =
            &resolver->cache[(hash ^ i) & (resolver->size - 1)];

        if (entry->hash == hash && entry->key_len == len &&
            entry->stream == stream && memcmp(entry->key, key, len) == 0 &&
            still_holds(resolver->roster, entry)) {
            return entry;
        }
    }
    return NULL;
}

static void keep(struct resolver *resolver, uint64_t hash, uint8_t stream,
                 const char *key, size_t len, const struct resolution *what)
{
    struct cached *entry = &resolver->cache[hash & (resolver->size - 1)];

    /* The one before moves to the second place. */
    if (entry->count != 0) {
        resolver->cache[(hash ^ 1) & (resolver->size - 1)] = *entry;
    }
    entry->hash = hash;
    entry->key_len = (uint16_t)len;
    entry->stream = stream;
    entry->count = (uint8_t)what->count;
    memcpy(entry->key, key, len);
    for (uint32_t i = 0; i < what->count; i++) {
        entry->slots[i] = what->slots[i];
        entry->generations[i] =
            resolver->roster->members[what->slots[i]].generation;
    }
}

void resolver_event(struct resolver *resolver, const struct tocsin_event *ev,
                    struct resolution *to)
{
    const struct label_sets *sets = resolver->sets;
    bool of_requests = ev->stream == TOCSIN_REQUEST;
    uint32_t mask = of_requests ? sets->request_labels : sets->attempt_labels;
    char key[KEY_MAX];
    const struct cached *entry;
    uint64_t hash;
    size_t len;

    *to = (struct resolution){.count = 0};
    label_values_of(sets, mask, ev, &resolver->values);
    len = make_key(sets, mask, &resolver->values, key);
    hash = XXH3_64bits_withSeed(key, len, ev->stream);
    entry = recall(resolver, hash, (uint8_t)ev->stream, key, len);
    if (len != 0 && entry != NULL) {
        to->count = entry->count;
        memcpy(to->slots, entry->slots, entry->count * sizeof(to->slots[0]));
        return;
    }
    resolve(resolver, of_requests, to);
    if (len != 0 && to->refused == 0 && to->count != 0) {
        keep(resolver, hash, (uint8_t)ev->stream, key, len, to);
    }
}

void resolver_beat(struct resolver *resolver, const struct tocsin_event *ev,
                   struct resolution *to)
{
    *to = (struct resolution){.count = 0};
    label_values_of(resolver->sets, UINT32_MAX, ev, &resolver->values);
    for (unsigned i = 0; i < resolver->sets->count; i++) {
        if (resolver->sets->sets[i].of_beats) {
            admit(resolver, &resolver->sets->sets[i], to);
        }
    }
}

void resolver_related(struct resolver *resolver, const struct tocsin_event *ev,
                      struct resolution *to)
{
    const uint32_t clouds =
        1u << LABEL_CLOUD | 1u << LABEL_REGION | 1u << LABEL_ZONE;
    bool of_requests = ev->stream == TOCSIN_REQUEST;

    *to = (struct resolution){.count = 0};
    label_values_of(resolver->sets, UINT32_MAX, ev, &resolver->values);
    for (unsigned i = 0; i < resolver->sets->count; i++) {
        const struct label_set *set = &resolver->sets->sets[i];
        struct series_name name;
        uint32_t slot;

        if (set->of_requests == of_requests ||
            (of_requests && (set->mask & ~clouds) != 0) ||
            (set->mask & 1u << LABEL_METHOD) != 0 ||
            !name_series(resolver, set, &name, to)) {
            continue;
        }
        slot = roster_find(resolver->roster, &name);
        if (slot != ROSTER_NONE) {
            add_slot(to, slot);
        }
    }
}
