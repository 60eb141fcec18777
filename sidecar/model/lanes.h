/*
 * Arithmetic on LANES numbers side by side, which compilers make vectors of:
 * no branches, no calls. The functions are float32 throughout and give the same
 * bits on every machine.
 */
#ifndef TOCSIN_LANES_H
#define TOCSIN_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define STAGE static inline __attribute__((always_inline)) void
#define SMALL static inline __attribute__((always_inline)) float
#define EACH(i) for (unsigned i = 0; i < LANES; i++)

typedef float lanes[LANES];

SMALL larger(float a, float b)
{
    return a > b ? a : b;
}

SMALL smaller(float a, float b)
{
    return a < b ? a : b;
}

SMALL between(float x, float low, float high)
{
    return smaller(larger(x, low), high);
}

/* Of a and b the larger that is there: NaN only if neither is. */
SMALL larger_there(float a, float b)
{
    return b != b || a > b ? a : b;
}

SMALL smaller_there(float a, float b)
{
    return b != b || a < b ? a : b;
}

/* The natural logarithm of a normal positive number: x = 2^e m with m around
 * 1, log m = 2 atanh((m - 1) / (m + 1)). Absolute error below 2e-7 (e + 1). */
SMALL logarithm(float x)
{
    int32_t bits, exponent;
    float m, s, t;

    memcpy(&bits, &x, sizeof(bits));
    exponent = (bits - 0x3f3504f3) >> 23; /* of sqrt(1/2) .. sqrt(2) */
    bits -= exponent * (1 << 23);
    memcpy(&m, &bits, sizeof(m));
    s = (m - 1.f) / (m + 1.f);
    t = s * s;
    t = ((t * (1.f / 9) + 1.f / 7) * t + 1.f / 5) * t + 1.f / 3;
    s += s;
    return (float)exponent * 0.693147181f + (s + s * (t * (s * s * .25f)));
}

SMALL asinh_of(float x)
{
    float a = fabsf(x);
    float sum = a > 1e9f ? a + a : a + sqrtf(a * a + 1.f);

    return copysignf(logarithm(sum), x);
}

/* Linear up to 3, logarithmic beyond. */
SMALL squash(float z)
{
    float a = fabsf(z), over = larger(a - 3.f, 0.f);

    return copysignf(a - over + logarithm(1.f + over), z);
}

#endif
