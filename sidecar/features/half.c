/*
 * Half precision for the history of series. Writing is one value at a time;
 * reading is a whole row of all series, so that has a fast path.
 */
#include "half.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Shifts right and rounds to nearest, ties to even. */
static uint32_t round_shift(uint32_t value, unsigned shift)
{
    uint32_t kept = value >> shift;
    uint32_t rest = value & ((1u << shift) - 1), half = 1u << (shift - 1);

    return kept + (rest > half || (rest == half && (kept & 1) != 0));
}

uint16_t half_from_float(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    uint32_t exponent = magnitude >> 23, mantissa;

    if (magnitude > 0x7f800000u) {
        return HALF_NAN;
    }
    if (magnitude >= 0x47800000u) { /* 65536 and above */
        return (uint16_t)(sign | 0x7c00u);
    }
    if (exponent >= 113) { /* normal; a carry runs into the exponent */
        return (uint16_t)(sign | (round_shift(magnitude, 13) - (112u << 10)));
    }
    if (exponent < 102) { /* below half of the smallest */
        return (uint16_t)sign;
    }
    mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    return (uint16_t)(sign | round_shift(mantissa, 126 - exponent));
}

float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 0x1fu, mantissa = half & 0x3ffu;

    if (exponent == 0x1f) { /* a NaN becomes quiet, as F16C makes it */
        return float_of(sign | 0x7f800000u | mantissa << 13 |
                        (mantissa != 0 ? 0x400000u : 0));
    }
    if (exponent != 0) {
        return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    }
    /* Zero or subnormal: mantissa * 2^-24, exact in a float. */
    return sign != 0 ? -(float)mantissa * 0x1p-24f : (float)mantissa * 0x1p-24f;
}

void half_to_floats_portable(const uint16_t *halves, float *values,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = half_to_float(halves[i]);
    }
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) static void
half_to_floats_f16c(const uint16_t *halves, float *values, size_t count)
{
    size_t i = 0;

    for (; i + 8 <= count; i += 8) {
        __m128i in;

        memcpy(&in, halves + i, sizeof(in));
        _mm256_storeu_ps(values + i, _mm256_cvtph_ps(in));
    }
    half_to_floats_portable(halves + i, values + i, count - i);
}
#endif

void half_to_floats(const uint16_t *halves, float *values, size_t count)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx")) {
        half_to_floats_f16c(halves, values, count);
        return;
    }
#endif
    half_to_floats_portable(halves, values, count);
}
