/*
 * The windows of seqs. A seq above the highest one seen moves the window up
 * and whatever it jumped over is missing; one that turns up later within the
 * window fills its hole; a bit that is set already is a repeat. A worker that
 * adopts the ring of a dead one sends again what was not acknowledged: those
 * are repeats too, also where they are older than the window.
 *
 * Producers are kept in a hash table of chains and in a list by last use. An
 * attacker who may XADD can push real producers out by inventing new ones;
 * then repeats of theirs are no longer noticed, which is counted.
 */
#include "producers.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define WORDS (PRODUCERS_WINDOW / 64)
/* A jump this wide is no loss but nonsense: start anew from there. */
#define JUMP_MAX ((uint64_t)1 << 40)

struct window {
    bool known;
    uint64_t first;   /* the first seq seen: nothing is missing before it */
    uint64_t highest; /* the last seq seen or told of */
    uint64_t seen[WORDS];
};

struct producer {
    struct producer *chain;
    struct producer *newer, *older; /* by last use */
    uint64_t hash;
    uint64_t beat; /* us: the time of its last beat, by its own clock */
    struct window windows[PRODUCERS_KINDS];
    size_t len;
    char src[TOCSIN_TEXT_MAX];
};

struct producers {
    struct producers_stats stats;
    struct producer *newest, *oldest;
    unsigned count, max;
    unsigned mask;
    struct producer *buckets[];
};

struct producers *producers_create(unsigned max, struct err *err)
{
    struct producers *producers;
    unsigned buckets = 1;

    while (buckets < max) {
        buckets *= 2;
    }
    producers =
        calloc(1, sizeof(*producers) + buckets * sizeof(struct producer *));
    if (producers == NULL) {
        err_set(err, ERR_LIMIT, "intake: out of memory");
        return NULL;
    }
    producers->max = max;
    producers->mask = buckets - 1;
    return producers;
}

static void unlink_use(struct producers *producers, struct producer *p)
{
    if (p->newer != NULL) {
        p->newer->older = p->older;
    } else {
        producers->newest = p->older;
    }
    if (p->older != NULL) {
        p->older->newer = p->newer;
    } else {
        producers->oldest = p->newer;
    }
}

static void link_newest(struct producers *producers, struct producer *p)
{
    p->newer = NULL;
    p->older = producers->newest;
    if (p->older != NULL) {
        p->older->newer = p;
    } else {
        producers->oldest = p;
    }
    producers->newest = p;
}

/* Takes it out of the table and the list; it is the caller's then. */
static void detach(struct producers *producers, struct producer *p)
{
    struct producer **at = &producers->buckets[p->hash & producers->mask];

    while (*at != p) {
        at = &(*at)->chain;
    }
    *at = p->chain;
    unlink_use(producers, p);
    producers->count--;
}

static void forget_all(struct producers *producers)
{
    struct producer *p = producers->newest;

    while (p != NULL) {
        struct producer *older = p->older;

        free(p);
        p = older;
    }
    memset(producers->buckets, 0,
           (producers->mask + (size_t)1) * sizeof(struct producer *));
    producers->newest = producers->oldest = NULL;
    producers->count = 0;
}

void producers_destroy(struct producers *producers)
{
    if (producers != NULL) {
        forget_all(producers);
        free(producers);
    }
}

static struct producer *add(struct producers *producers, uint64_t hash,
                            struct tocsin_span src)
{
    struct producer *p = producers->oldest;

    if (p != NULL && producers->count == producers->max) {
        detach(producers, p);
        memset(p, 0, sizeof(*p));
        producers->stats.evicted++;
    } else {
        p = calloc(1, sizeof(*p));
        if (p == NULL) {
            return NULL;
        }
    }
    p->hash = hash;
    p->len = src.len;
    memcpy(p->src, src.data, src.len);
    p->chain = producers->buckets[hash & producers->mask];
    producers->buckets[hash & producers->mask] = p;
    producers->count++;
    link_newest(producers, p);
    return p;
}

static bool is(const struct producer *p, struct tocsin_span src)
{
    return p->len == src.len && memcmp(p->src, src.data, src.len) == 0;
}

/* NULL only when memory has run out. */
static struct producer *find(struct producers *producers,
                             struct tocsin_span src)
{
    struct producer *p = producers->newest;
    uint64_t hash;

    if (p != NULL && is(p, src)) {
        return p;
    }
    hash = XXH3_64bits(src.data, src.len);
    p = producers->buckets[hash & producers->mask];
    while (p != NULL && (p->hash != hash || !is(p, src))) {
        p = p->chain;
    }
    if (p == NULL) {
        return add(producers, hash, src);
    }
    unlink_use(producers, p);
    link_newest(producers, p);
    return p;
}

static bool test_and_set(struct window *w, uint64_t seq)
{
    uint64_t bit = (uint64_t)1 << (seq % 64);
    uint64_t *word = &w->seen[seq / 64 % WORDS];
    bool was = (*word & bit) != 0;

    *word |= bit;
    return was;
}

/* All seqs above the highest, up to this one, are not seen yet. */
static void raise_to(struct window *w, uint64_t seq)
{
    uint64_t at = w->highest;

    if (seq - at >= PRODUCERS_WINDOW) {
        memset(w->seen, 0, sizeof(w->seen));
    } else {
        while (at != seq) {
            at++;
            w->seen[at / 64 % WORDS] &= ~((uint64_t)1 << (at % 64));
        }
    }
    w->highest = seq;
}

static void start(struct window *w, uint64_t first, uint64_t highest)
{
    memset(w, 0, sizeof(*w));
    w->known = true;
    w->first = first;
    w->highest = highest;
}

static bool take(struct window *w, uint64_t seq, struct producers_stats *stats)
{
    if (!w->known || (seq > w->highest && seq - w->highest > JUMP_MAX)) {
        start(w, seq, seq);
        test_and_set(w, seq);
        return true;
    }
    if (seq > w->highest) {
        stats->gaps += seq - w->highest - 1;
        raise_to(w, seq);
        test_and_set(w, seq);
        return true;
    }
    if (w->highest - seq >= PRODUCERS_WINDOW || test_and_set(w, seq)) {
        stats->duplicates++;
        return false;
    }
    if (seq > w->first && stats->gaps > 0) {
        stats->gaps--;
    }
    return true;
}

bool producers_event(struct producers *producers, struct tocsin_span src,
                     enum tocsin_stream stream, uint64_t seq)
{
    struct producer *p = find(producers, src);

    if (p == NULL || (unsigned)stream >= PRODUCERS_KINDS) {
        return true;
    }
    return take(&p->windows[stream], seq, &producers->stats);
}

bool producers_beat_at(struct producers *producers, struct tocsin_span src,
                       uint64_t ts, bool again)
{
    struct producer *p = find(producers, src);

    if (p == NULL) {
        return true;
    }
    if (again && ts <= p->beat) {
        producers->stats.duplicates++;
        return false;
    }
    p->beat = ts;
    return true;
}

void producers_beat(struct producers *producers, struct tocsin_span src,
                    const uint64_t last[PRODUCERS_KINDS])
{
    struct producer *p = find(producers, src);
    unsigned i;

    for (i = 0; p != NULL && i < PRODUCERS_KINDS; i++) {
        struct window *w = &p->windows[i];

        if (!w->known ||
            (last[i] > w->highest && last[i] - w->highest > JUMP_MAX)) {
            /* What it sent before we listened is not missing. */
            start(w, last[i], last[i]);
        } else if (last[i] > w->highest) {
            producers->stats.gaps += last[i] - w->highest;
            raise_to(w, last[i]);
        }
    }
}

const struct producers_stats *producers_stats(const struct producers *producers)
{
    return &producers->stats;
}

void producers_save(const struct producers *producers, struct buf *to)
{
    const struct producer *p;
    unsigned i, word;

    buf_put_u64(to, producers->stats.gaps);
    buf_put_u64(to, producers->stats.duplicates);
    buf_put_u64(to, producers->stats.evicted);
    buf_put_u32(to, producers->count);
    for (p = producers->oldest; p != NULL; p = p->newer) {
        buf_put_u32(to, (uint32_t)p->len);
        buf_put(to, p->src, p->len);
        buf_put_u64(to, p->beat);
        for (i = 0; i < PRODUCERS_KINDS; i++) {
            buf_put_u32(to, p->windows[i].known);
            buf_put_u64(to, p->windows[i].first);
            buf_put_u64(to, p->windows[i].highest);
            for (word = 0; word < WORDS; word++) {
                buf_put_u64(to, p->windows[i].seen[word]);
            }
        }
    }
}

static void restore_window(struct window *w, struct cursor *from)
{
    unsigned word;

    w->known = cursor_u32(from) != 0;
    w->first = cursor_u64(from);
    w->highest = cursor_u64(from);
    for (word = 0; word < WORDS; word++) {
        w->seen[word] = cursor_u64(from);
    }
}

int producers_restore(struct producers *producers, struct cursor *from,
                      struct err *err)
{
    struct tocsin_span src;
    struct producer *p;
    uint32_t count, i;
    unsigned kind;

    forget_all(producers);
    producers->stats.gaps = cursor_u64(from);
    producers->stats.duplicates = cursor_u64(from);
    producers->stats.evicted = cursor_u64(from);
    count = cursor_u32(from);
    for (i = 0; i < count && !from->failed; i++) {
        src.len = cursor_u32(from);
        src.data = cursor_bytes(from, src.len);
        if (src.data == NULL || src.len > TOCSIN_TEXT_MAX) {
            break;
        }
        p = find(producers, src);
        if (p == NULL) {
            return err_set(err, ERR_LIMIT, "intake: out of memory");
        }
        p->beat = cursor_u64(from);
        for (kind = 0; kind < PRODUCERS_KINDS; kind++) {
            restore_window(&p->windows[kind], from);
        }
    }
    if (from->failed || i != count) {
        return err_set(err, ERR_INPUT, "producers: cut short or damaged");
    }
    return 0;
}
