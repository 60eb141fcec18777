/* What people read. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/alert/text.h"

static char *value(double number, const char *unit)
{
    static struct buf buf;

    buf_release(&buf);
    buf_init(&buf, 64);
    buf_puts(&buf, "");
    text_value(&buf, number, unit);
    return buf.data;
}

START_TEST(values_have_units_that_fit)
{
    ck_assert_str_eq(value(0.812, "s"), "812 ms");
    ck_assert_str_eq(value(0.0953, "s"), "95.3 ms");
    ck_assert_str_eq(value(0.0012, "s"), "1.2 ms");
    ck_assert_str_eq(value(2.5, "s"), "2.5 s");
    ck_assert_str_eq(value(0.123, "1"), "12.3 %");
    ck_assert_str_eq(value(1, "1"), "100 %");
    ck_assert_str_eq(value(0, "1"), "0 %");
    ck_assert_str_eq(value(3.456, "1/s"), "3.46/s");
    ck_assert_str_eq(value(1234567, "By"), "1.23 MB");
    ck_assert_str_eq(value(42, ""), "42");
    ck_assert_str_eq(value((double)NAN, "s"), "");
    ck_assert_str_eq(value((double)INFINITY, "s"), "");
}
END_TEST

static char *duration(uint64_t seconds)
{
    static struct buf buf;

    buf_release(&buf);
    buf_init(&buf, 64);
    text_duration(&buf, seconds * 1000000);
    return buf.data;
}

START_TEST(durations_are_short)
{
    ck_assert_str_eq(duration(7), "7 s");
    ck_assert_str_eq(duration(200), "3 min 20 s");
    ck_assert_str_eq(duration(1830), "30 min");
    ck_assert_str_eq(duration(7500), "2 h 5 min");
}
END_TEST

static struct text_facts facts(void)
{
    struct text_facts facts = {
        .labels = TOCSIN_SPAN("cloud_provider=aws,cloud_region=us-east-1"),
        .feature = FEATURE_LATENCY_P95,
        .unit = "s",
        .column = "value",
        .observed = 0.812,
        .expected = 0.11,
        .low = 0.095,
        .high = 0.14,
        .score = 63,
        .started = 1000000,
        .now = 91000000,
        .peers = 3,
        .upstream = TOCSIN_SPAN("shop"),
    };

    return facts;
}

static char *summary(const struct text_facts *of)
{
    static struct buf buf;

    buf_release(&buf);
    buf_init(&buf, 1024);
    text_summary(&buf, of);
    return buf.data;
}

START_TEST(a_summary_is_one_line_that_says_it_all)
{
    struct text_facts of = facts();

    ck_assert_str_eq(summary(&of),
                     "aws us-east-1: 95th percentile latency 812 ms, expected "
                     "95 ms to 140 ms (upstream shop, 3 peers)");
    of.feature = FEATURE_ERRORS;
    of.unit = "1";
    of.observed = 0.12;
    of.low = 0;
    of.high = 0.012;
    of.peers = 1;
    of.upstream = TOCSIN_SPAN("");
    ck_assert_str_eq(summary(&of), "aws us-east-1: server errors 12 %, "
                                   "expected at most 1.2 % (1 peer)");
    of = facts();
    of.feature = FEATURE_RATE;
    of.unit = "1/s";
    of.observed = 0;
    of.expected = 20;
    of.low = 0.4;
    of.high = (double)NAN;
    of.peers = 0;
    of.upstream = TOCSIN_SPAN("");
    ck_assert_str_eq(summary(&of), "aws us-east-1: silent, expected 20/s");
    of.labels = TOCSIN_SPAN("");
    ck_assert_str_eq(summary(&of), "everything: silent, expected 20/s");
}
END_TEST

START_TEST(a_description_says_since_when_and_how_sure)
{
    struct text_facts of = facts();
    struct buf buf;

    buf_init(&buf, 4096);
    of.clients_see = true;
    text_description(&buf, &of);
    ck_assert_ptr_nonnull(strstr(buf.data, "it had lasted 1 min 30 s."));
    ck_assert_ptr_nonnull(strstr(buf.data, "10^5 ticks (score 63)"));
    ck_assert_ptr_nonnull(strstr(buf.data, "Clients see it."));
    ck_assert_ptr_nonnull(strstr(
        buf.data, "Judged by latency_p95: 95th percentile of duration."));
    buf_release(&buf);
}
END_TEST

START_TEST(names_from_outside_are_decoded_but_cannot_break_lines)
{
    struct buf buf;

    buf_init(&buf, 1024);
    text_subject(&buf, TOCSIN_SPAN("upstream=a%0d%0ab%2Cc,peer=x%00y"));
    ck_assert_str_eq(buf.data, "a  b,c x y");
    buf_release(&buf);
}
END_TEST

START_TEST(every_feature_has_a_name)
{
    int i;

    for (i = 0; i <= FEATURE_COUNT; i++) {
        const char *name = text_alertname((enum feature)i, SCOPE_REGION);

        ck_assert_uint_lt(strlen(name), TEXT_NAME_MAX);
        ck_assert(name[0] >= 'A' && name[0] <= 'Z');
    }
    ck_assert_str_eq(text_alertname(FEATURE_LOCAL_ERRORS, SCOPE_PEER),
                     "PeerUnreachable");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    TCase *tcase = tcase_create("words");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, values_have_units_that_fit);
    tcase_add_test(tcase, durations_are_short);
    tcase_add_test(tcase, a_summary_is_one_line_that_says_it_all);
    tcase_add_test(tcase, a_description_says_since_when_and_how_sure);
    tcase_add_test(tcase,
                   names_from_outside_are_decoded_but_cannot_break_lines);
    tcase_add_test(tcase, every_feature_has_a_name);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
