/* Every half, and the roundings between them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/features/half.h"

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/* By definition, in double precision. */
static double value_of(unsigned half)
{
    int exponent = (int)(half >> 10 & 31);
    double sign = (half & 0x8000) != 0 ? -1 : 1, mantissa = half & 1023;

    return exponent == 0 ? sign * ldexp(mantissa, -24)
                         : sign * ldexp(1024 + mantissa, exponent - 25);
}

START_TEST(every_half_is_its_value)
{
    for (unsigned half = 0; half < 0x10000; half++) {
        float value = half_to_float((uint16_t)half);

        if ((half & 0x7c00) != 0x7c00) {
            ck_assert_double_eq((double)value, value_of(half));
            ck_assert_uint_eq(half_from_float(value), half);
        } else if ((half & 0x3ff) == 0) {
            ck_assert(isinf(value));
            ck_assert_uint_eq(half_from_float(value), half);
        } else {
            ck_assert(isnan(value));
            ck_assert_uint_eq(half_from_float(value), HALF_NAN);
        }
    }
}
END_TEST

/* Between two neighbours: below the middle, the even one at it, above it. */
START_TEST(rounds_to_nearest_even)
{
    for (unsigned half = 0; half < 0x7bff; half++) {
        float low = half_to_float((uint16_t)half);
        float high = half_to_float((uint16_t)(half + 1));
        float middle = low + (high - low) / 2; /* exact */

        ck_assert_uint_eq(half_from_float(middle), half + (half & 1));
        ck_assert_uint_eq(half_from_float(nextafterf(middle, low)), half);
        ck_assert_uint_eq(half_from_float(nextafterf(middle, high)), half + 1);
        ck_assert_uint_eq(half_from_float(-middle),
                          0x8000u | (half + (half & 1)));
    }
}
END_TEST

START_TEST(the_ends_of_the_range)
{
    ck_assert_uint_eq(half_from_float(HALF_MAX), 0x7bff);
    ck_assert_uint_eq(half_from_float(65519.99f), 0x7bff);
    ck_assert_uint_eq(half_from_float(65520.0f), 0x7c00);
    ck_assert_uint_eq(half_from_float(1e30f), 0x7c00);
    ck_assert_uint_eq(half_from_float(-INFINITY), 0xfc00);
    ck_assert_uint_eq(half_from_float(NAN), HALF_NAN);
    ck_assert_uint_eq(half_from_float(-NAN), HALF_NAN);
    ck_assert_uint_eq(half_from_float(1e-45f), 0);
    ck_assert_uint_eq(half_from_float(-1e-30f), 0x8000);
}
END_TEST

START_TEST(the_fast_way_gives_the_same_bits)
{
    static uint16_t halves[0x10000];
    static float fast[0x10000], portable[0x10000];

    for (unsigned i = 0; i < 0x10000; i++) {
        halves[i] = (uint16_t)i;
    }
    half_to_floats(halves, fast, 0x10000);
    half_to_floats_portable(halves, portable, 0x10000);
    for (unsigned i = 0; i < 0x10000; i++) {
        ck_assert_uint_eq(bits_of(fast[i]), bits_of(portable[i]));
    }
    for (size_t count = 0; count < 20; count++) { /* odd counts, no overrun */
        fast[count] = 42;
        half_to_floats(halves + 1000, fast, count);
        ck_assert(fast[count] == 42);
        ck_assert(memcmp(fast, portable + 1000, count * sizeof(float)) == 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("half");
    TCase *tcase = tcase_create("half");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, every_half_is_its_value);
    tcase_add_test(tcase, rounds_to_nearest_even);
    tcase_add_test(tcase, the_ends_of_the_range);
    tcase_add_test(tcase, the_fast_way_gives_the_same_bits);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
