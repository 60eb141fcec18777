#include <check.h>
#include <stdlib.h>

#include "sidecar/command/timestamp.h"

#define SECOND 1000000

START_TEST(times_are_read)
{
    static const struct {
        const char *text;
        int64_t us;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-31 23:59:59", 1769903999ll * SECOND},
        {"2026-01-31T23:59:59Z", 1769903999ll * SECOND},
        {"2026-01-31 23:59", 1769903940ll * SECOND},
        {"2026-01-31T23:59:59.25Z", 1769903999250000},
        {"2026-01-31t23:59:59.000001z", 1769903999000001},
        {"2026-02-01T01:29:59+01:30", 1769903999ll * SECOND},
        {"2026-01-31T18:59:59-0500", 1769903999ll * SECOND},
        {"2026-01-31T18:59:59-05", 1769903999ll * SECOND},
        {"2024-02-29", 1709164800ll * SECOND},
        {"2000-02-29", 951782400ll * SECOND},
        {"1969-12-31T23:59:59Z", -1ll * SECOND},
        {" 1769903999 ", 1769903999ll * SECOND},
        {"1769903999.5", 1769903999500000},
        {"1769903999123", 1769903999123000},
        {"0", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = -7;

        ck_assert_msg(timestamp_parse(tocsin_span_str(cases[i].text), &us),
                      "%s", cases[i].text);
        ck_assert_msg(us == cases[i].us, "%s: %lld", cases[i].text,
                      (long long)us);
    }
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
    static const char *const cases[] = {
        "",
        "yesterday",
        "2026",
        "12:30",
        "2026-13-01",
        "2026-00-01",
        "2026-02-30",
        "2023-02-29",
        "1900-02-29",
        "2026-01-32",
        "2026-01-01T24:00",
        "2026-01-01T12:60",
        "2026-1-1",
        "2026-01-01T12:00:61",
        "2026-01-01T12:00:00+99",
        "1e9",
        "-5",
        "2026-01-01T12:00:00Zjunk",
        "1769903999.",
        "12345678901234567890",
        "2026-01-01T12:00:00.",
        "2026-01-01X12:00",
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us;

        /* A bare year is a number of seconds; all others are nothing. */
        ck_assert_msg(timestamp_parse(tocsin_span_str(cases[i]), &us) ==
                          (i == 2),
                      "%s", cases[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timestamp");
    TCase *tcase = tcase_create("timestamp");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, times_are_read);
    tcase_add_test(tcase, what_is_no_time_is_refused);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
