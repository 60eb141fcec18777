/*
 * The sketch of durations. The bucket of a value comes from integers alone (the
 * position of the highest bit and a table of the 14 boundaries within an
 * octave), so that no rounding of a logarithm can make two machines, or two
 * compilers, count differently.
 *
 * Buckets saturate at 2^32 - 1 thousandths: 4.2 million events of one latency
 * in one tick. `count` stays the sum of the buckets also then.
 */
#include "sketch.h"

#include <math.h>
#include <string.h>

#define SKETCH_LOWEST_BIT 6 /* 64 us */

/* 2^31 * 2^(k / 14), rounded up, for k in 0..13. */
static const uint32_t boundaries[SKETCH_OCTAVE] = {
    2147483648u, 2256482700u, 2371014177u, 2491358887u, 2617811890u,
    2750683222u, 2890298656u, 3037000500u, 3191148437u, 3353120406u,
    3523313526u, 3702145078u, 3890053518u, 4087499558u};

unsigned sketch_bucket(uint64_t us)
{
    unsigned bit, sub = 0, bucket;
    uint32_t mantissa;

    if (us < 1u << SKETCH_LOWEST_BIT) {
        return 0;
    }
    if (us > UINT32_MAX) {
        return SKETCH_BUCKETS - 1;
    }
    bit = 31 - (unsigned)__builtin_clz((uint32_t)us);
    mantissa = (uint32_t)us << (31 - bit);
    for (unsigned k = 1; k < SKETCH_OCTAVE; k++) {
        sub += mantissa >= boundaries[k];
    }
    bucket = (bit - SKETCH_LOWEST_BIT) * SKETCH_OCTAVE + sub;
    return bucket < SKETCH_BUCKETS ? bucket : SKETCH_BUCKETS - 1;
}

double sketch_bucket_low(unsigned bucket)
{
    int octave = (int)(bucket / SKETCH_OCTAVE);
    double mantissa = boundaries[bucket % SKETCH_OCTAVE];

    return ldexp(mantissa, octave + SKETCH_LOWEST_BIT - 31);
}

double sketch_bucket_value(unsigned bucket)
{
    double low = sketch_bucket_low(bucket);
    double high = sketch_bucket_low(bucket + 1);

    /* Equally far, in proportion, from both ends. */
    return 2 * low * high / (low + high);
}

static uint32_t *chunk_of(struct sketch *sketch, struct arena *arena,
                          unsigned chunk)
{
    if (sketch->chunks[chunk] == NULL) {
        sketch->chunks[chunk] =
            arena_alloc(arena, SKETCH_CHUNK * sizeof(uint32_t));
    }
    return sketch->chunks[chunk];
}

static void count(struct sketch *sketch, uint32_t *cell, uint64_t weight)
{
    uint32_t room = UINT32_MAX - *cell;
    uint32_t more = weight < room ? (uint32_t)weight : room;

    *cell += more;
    sketch->count += more;
}

int sketch_add(struct sketch *sketch, struct arena *arena, unsigned bucket,
               uint64_t weight)
{
    uint32_t *chunk = chunk_of(sketch, arena, bucket / SKETCH_CHUNK);

    if (chunk == NULL) {
        return -1;
    }
    count(sketch, &chunk[bucket % SKETCH_CHUNK], weight);
    return 0;
}

int sketch_merge(struct sketch *into, struct arena *arena,
                 const struct sketch *from)
{
    for (unsigned i = 0; i < SKETCH_CHUNKS; i++) {
        if (from->chunks[i] != NULL && chunk_of(into, arena, i) == NULL) {
            return -1;
        }
    }
    for (unsigned i = 0; i < SKETCH_CHUNKS; i++) {
        for (unsigned k = 0; from->chunks[i] && k < SKETCH_CHUNK; k++) {
            count(into, &into->chunks[i][k], from->chunks[i][k]);
        }
    }
    return 0;
}

double sketch_quantile(const struct sketch *sketch, double q)
{
    double rank = q * (double)sketch->count;
    uint64_t below = 0;
    unsigned last = 0;

    if (sketch->count == 0) {
        return (double)NAN;
    }
    for (unsigned i = 0; i < SKETCH_CHUNKS; i++) {
        for (unsigned k = 0; sketch->chunks[i] && k < SKETCH_CHUNK; k++) {
            if (sketch->chunks[i][k] == 0) {
                continue;
            }
            below += sketch->chunks[i][k];
            last = i * SKETCH_CHUNK + k;
            if ((double)below >= rank) {
                return sketch_bucket_value(last);
            }
        }
    }
    return sketch_bucket_value(last);
}
