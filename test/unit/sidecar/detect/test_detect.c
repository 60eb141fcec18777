/* The detector as a whole, on a deployment that is simulated. */
#include <check.h>

#include "sim.h"

#define WARM 600

static struct sim *warm(uint32_t count)
{
    struct sim *sim = sim_create(count, 1, 7);

    sim_run(sim, WARM);
    ck_assert_uint_eq(sim->alarms, 0);
    return sim;
}

START_TEST(slow_answers_are_told_within_three_ticks)
{
    struct sim *sim = warm(4);

    sim->series[1].latency *= 5;
    ck_assert_uint_le(sim_until(sim, 1, true, 20), 3);
    ck_assert(sim->last[1].feature == FEATURE_LATENCY_P50 ||
              sim->last[1].feature == FEATURE_LATENCY_P95);
    ck_assert_double_gt((double)sim->last[1].observed,
                        3 * (double)sim->last[1].expected);
    ck_assert_double_lt((double)sim->last[1].high, 0.45);
    ck_assert_double_gt((double)sim->last[1].incident, 60);
    ck_assert_uint_eq(sim->alarms, 1);
    sim_free(sim);
}
END_TEST

START_TEST(one_error_in_ten_is_told_within_five_ticks)
{
    unsigned total = 0, seed;

    for (seed = 1; seed <= 20; seed++) {
        struct sim *sim = sim_create(2, 1, seed);

        sim_run(sim, WARM);
        sim->series[0].errors = 0.10;
        total += sim_until(sim, 0, true, 60);
        ck_assert(sim->last[0].alarm);
        ck_assert_int_eq(sim->last[0].feature, FEATURE_ERRORS);
        sim_free(sim);
    }
    ck_assert_uint_le(total, 20 * 5);
}
END_TEST

START_TEST(a_refused_peer_is_told_by_its_cause)
{
    struct sim *sim = warm(2);

    sim->series[0].local_errors = 1;
    sim->series[0].rate = 2; /* nginx takes it out of the rotation */
    ck_assert_uint_le(sim_until(sim, 0, true, 20), 4);
    ck_assert_int_eq(sim->last[0].feature, FEATURE_LOCAL_ERRORS);
    sim_free(sim);
}
END_TEST

START_TEST(a_black_hole_is_told_before_any_timeout)
{
    struct sim *sim = warm(2);
    unsigned ticks;

    sim->series[0].rate = 0; /* nothing comes back */
    for (ticks = 1; ticks < 20 && !sim->last[0].alarm; ticks++) {
        sim->series[0].oldest = ticks;
        sim->series[0].inflight += 20;
        sim_tick(sim);
    }
    ck_assert(sim->last[0].alarm);
    ck_assert_uint_le(ticks, 5);
    sim_free(sim);
}
END_TEST

START_TEST(silence_is_told_but_not_of_the_dead)
{
    struct sim *sim = warm(3);

    sim->series[0].rate = 0;
    sim->series[1].dead = true;
    sim_run(sim, 6);
    ck_assert(sim->last[0].alarm);
    ck_assert_int_eq(sim->last[0].feature, FEATURE_RATE);
    sim_run(sim, 300);
    ck_assert(!sim->last[1].alarm);
    sim->series[0].rate = 20;
    sim_run(sim, 15);
    ck_assert(!sim->last[0].alarm);
    sim_free(sim);
}
END_TEST

START_TEST(more_or_less_traffic_is_no_harm)
{
    struct sim *sim = warm(3);

    sim->series[0].rate = 60;
    sim->series[0].inflight = 6; /* Little's law */
    sim->series[1].rate = 5;
    sim_run(sim, 600);
    ck_assert_uint_eq(sim->alarms, 0);
    sim_free(sim);
}
END_TEST

START_TEST(changes_too_small_to_matter_are_not_told)
{
    struct sim *sim = sim_create(3, 1, 3);
    uint32_t i;

    for (i = 0; i < 3; i++) {
        sim->series[i].spread = 0.01;
        sim->series[i].rate = 2000;
        sim->series[i].inflight = 200;
    }
    sim->series[1].latency = 0.005;
    sim_run(sim, WARM);
    sim->series[0].errors = 0.002;  /* certain: 4 of 2,000 a tick */
    sim->series[1].latency = 0.008; /* 60 % more, but 3 ms */
    sim->series[2].latency = 0.115; /* 15 ms, but 15 % */
    sim_run(sim, 600);
    ck_assert_uint_eq(sim->alarms, 0);
    sim_free(sim);
}
END_TEST

START_TEST(one_bad_request_in_a_quiet_hour_is_no_alarm)
{
    struct sim *sim = sim_create(2, 1, 5);
    unsigned i;

    sim->series[0].rate = 0.1; /* 6 a minute: below the guard */
    sim->series[1].rate = 0.5;
    sim_run(sim, WARM);
    for (i = 0; i < 100; i++) {
        sim->series[0].errors = 0.5;
        sim->series[1].errors = i % 50 == 0;
        sim_tick(sim);
        sim->series[1].errors = 0;
        sim_run(sim, 9);
    }
    ck_assert_uint_eq(sim->alarms, 0);
    sim->series[1].errors = 1; /* but when nothing works any more */
    ck_assert_uint_lt(sim_until(sim, 1, true, 60), 30);
    sim_free(sim);
}
END_TEST

START_TEST(an_outage_is_not_learned_and_ends_when_it_ends)
{
    struct sim *sim = warm(2);
    unsigned ticks;
    uint64_t since;

    sim->series[0].latency *= 4;
    sim->series[1].errors = 0.3;
    sim_run(sim, 5);
    ck_assert(sim->last[0].alarm);
    since = sim->last[0].since;
    ck_assert_uint_le(sim->end - since, 6 * SIM_TICK);
    for (ticks = 0; ticks < 3000; ticks++) {
        sim_tick(sim);
        ck_assert(sim->last[0].alarm);
        ck_assert(sim->last[1].alarm);
        ck_assert_uint_eq(sim->last[0].since, since);
    }
    ck_assert_double_lt((double)sim->last[0].expected, 0.25);
    sim->series[0].latency /= 4;
    sim->series[1].errors = 0;
    ck_assert_uint_ge(sim_until(sim, 0, false, 60), 10);
    ck_assert(!sim->last[0].alarm);
    sim_run(sim, 60);
    ck_assert(!sim->last[1].alarm);
    ck_assert_uint_eq(sim->alarms, 2);
    sim_free(sim);
}
END_TEST

START_TEST(it_is_over_soon_after_the_repair)
{
    static const double rates[] = {3, 20, 200};
    unsigned i;

    for (i = 0; i < 3; i++) {
        struct sim *sim = sim_create(1, 1, 30 + i);

        sim->series[0].rate = rates[i];
        sim_run(sim, WARM);
        sim->series[0].errors = 0.4;
        sim->series[0].latency *= 6;
        sim_run(sim, 30);
        ck_assert(sim->last[0].alarm);
        sim->series[0].errors = 0.002;
        sim->series[0].latency /= 6;
        ck_assert_uint_le(sim_until(sim, 0, false, 60), 20);
        ck_assert(!sim->last[0].alarm);
        sim_free(sim);
    }
}
END_TEST

START_TEST(a_new_normal_is_accepted_after_an_hour)
{
    struct sim *sim = warm(1);

    sim->series[0].latency *= 3;
    sim_run(sim, 3300);
    ck_assert(sim->last[0].alarm);
    sim_run(sim, 700);
    ck_assert(!sim->last[0].alarm);
    sim_run(sim, 1200);
    ck_assert_uint_eq(sim->alarms, 1);
    sim_free(sim);
}
END_TEST

/* What joins an old alarm has its own hour. */
START_TEST(harm_that_comes_later_is_not_accepted_with_the_first)
{
    struct sim *sim = warm(1);

    sim->series[0].errors = 0.05;
    sim_run(sim, 4000);
    ck_assert(sim->last[0].alarm);
    sim->series[0].latency *= 10;
    sim_run(sim, 600);
    sim->series[0].errors = 0.002;
    sim_run(sim, 600);
    ck_assert(sim->last[0].alarm);
    ck_assert_uint_eq(sim->last[0].accepted, 0);
    sim_run(sim, 3600);
    ck_assert(!sim->last[0].alarm);
    ck_assert_uint_ne(sim->last[0].accepted, 0);
    ck_assert_uint_eq(sim->alarms, 1);
    sim_free(sim);
}
END_TEST

START_TEST(a_service_that_fails_from_the_start_is_told)
{
    struct sim *sim = sim_create(1, 1, 9);

    sim->series[0].errors = 0.5;
    ck_assert_uint_lt(sim_until(sim, 0, true, 60), 15);
    sim_free(sim);
}
END_TEST

START_TEST(a_useful_alarm_comes_two_minutes_after_a_cold_start)
{
    struct sim *sim = sim_create(3, 1, 13);

    sim_run(sim, 110);
    sim->series[0].latency *= 5;
    sim->series[1].errors = 0.15;
    sim_run(sim, 6);
    ck_assert(sim->last[0].alarm);
    ck_assert(sim->last[1].alarm);
    ck_assert(!sim->last[2].alarm);
    sim_free(sim);
}
END_TEST

/* Noise that passes every limit of effect, so that only calibration stands
 * between it and an alarm: heavy tails, many errors in clumps. */
static void make_noisy(struct sim *sim)
{
    uint32_t i;

    for (i = 0; i < sim->count; i++) {
        sim->series[i].spread = 0.5 + 0.01 * i;
        sim->series[i].errors = 0.02 + 0.002 * (i % 10);
        sim->series[i].rate = 5 + i;
    }
}

static const struct {
    unsigned tick, days, budget;
} lengths[] = {{1, 1, 100}, {10, 3, 100}, {60, 10, 100}, {300, 60, 20}};

START_TEST(the_budget_holds_within_a_factor_of_two)
{
    unsigned tick = lengths[_i].tick, days = lengths[_i].days;
    unsigned budget = lengths[_i].budget;
    struct sim *sim = sim_create_of(tick * 1000000ull, 40, budget, 11);

    make_noisy(sim);
    sim_run(sim, days * 86400 / tick);
    fprintf(stderr, "ticks of %u s, alarms a day at a budget of %u: %.1f\n",
            tick, budget, (double)sim->alarms / days);
    ck_assert_uint_ge(sim->alarms, days * budget / 2);
    ck_assert_uint_le(sim->alarms, days * budget * 2);
    sim_free(sim);
}
END_TEST

START_TEST(quiet_traffic_gives_no_alarm_in_a_day)
{
    struct sim *sim = sim_create(20, 1, 12);
    uint32_t i;

    for (i = 0; i < sim->count; i++) {
        sim->series[i].errors = i % 2 ? 0.002 : 0;
        sim->series[i].rate = 2 + 3 * i;
    }
    sim_run(sim, 86400);
    fprintf(stderr, "alarms in a quiet day at a budget of 1: %u\n",
            (unsigned)sim->alarms);
    ck_assert_uint_le(sim->alarms, 2);
    sim_free(sim);
}
END_TEST

static void save(struct sim *sim, struct buf *to)
{
    buf_init(to, 64u << 20);
    detect_save(sim->detect, to);
    ck_assert(!to->failed);
}

/* A copy, whose detector has room for `max` series and nothing in it. */
static struct sim *copy_of(const struct sim *one, uint32_t max)
{
    struct sim *two = malloc(sizeof(*two));
    unsigned i;

    memcpy(two, one, sizeof(*two));
    for (i = 0; i < two->count; i++) {
        two->series[i].identity.labels = two->series[i].labels;
    }
    two->detect = sim_detect_of(two, 1, max);
    return two;
}

START_TEST(a_restart_changes_no_bit)
{
    struct sim *one = sim_create(5, 1, 21), *two;
    struct buf before, after;
    struct cursor cursor;
    struct err err;
    unsigned i;

    sim_run(one, 700);
    one->series[2].latency *= 5;
    sim_run(one, 5);
    two = copy_of(one, SIM_MAX);
    save(one, &before);
    cursor = (struct cursor){before.data, before.len, false};
    ck_assert_int_eq(detect_restore(two->detect, &cursor, &err), 0);
    ck_assert_uint_eq(cursor.len, 0);
    ck_assert(two->last[2].alarm);
    sim_run(one, 300);
    sim_run(two, 300);
    for (i = 0; i < one->count; i++) {
        ck_assert_int_eq(one->last[i].alarm, two->last[i].alarm);
        ck_assert_mem_eq(&one->last[i].anomaly, &two->last[i].anomaly,
                         4 * sizeof(float));
    }
    ck_assert_uint_eq(one->alarms, two->alarms);
    buf_release(&before);
    save(one, &before);
    save(two, &after);
    ck_assert_uint_eq(before.len, after.len);
    ck_assert_mem_eq(before.data, after.data, before.len);
    buf_release(&before);
    buf_release(&after);
    sim_free(one);
    sim_free(two);
}
END_TEST

START_TEST(room_for_more_series_changes_no_bit_for_fewer_is_refused)
{
    struct sim *one = sim_create(5, 1, 21), *few, *many;
    struct buf saved;
    struct cursor cursor;
    struct err err;
    unsigned i;

    sim_run(one, 700);
    one->series[2].latency *= 5;
    sim_run(one, 5);
    few = copy_of(one, SIM_MAX - 1);
    many = copy_of(one, 2 * SIM_MAX);
    save(one, &saved);
    cursor = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(detect_restore(few->detect, &cursor, &err), -1);
    ck_assert_str_eq(err.message,
                     "detector's state is of a series.max of 64, expected at "
                     "most the present one, 63");
    cursor = (struct cursor){saved.data, saved.len, false};
    ck_assert_int_eq(detect_restore(many->detect, &cursor, &err), 0);
    ck_assert_uint_eq(cursor.len, 0);
    sim_run(one, 300);
    sim_run(many, 300);
    for (i = 0; i < one->count; i++) {
        ck_assert_int_eq(one->last[i].alarm, many->last[i].alarm);
        ck_assert_mem_eq(&one->last[i].anomaly, &many->last[i].anomaly,
                         4 * sizeof(float));
    }
    ck_assert_uint_eq(one->alarms, many->alarms);
    buf_release(&saved);
    sim_free(one);
    sim_free(few);
    sim_free(many);
}
END_TEST

START_TEST(a_state_that_is_cut_off_is_refused)
{
    struct sim *sim = sim_create(3, 1, 22);
    struct buf saved;
    struct err err;
    size_t len;

    sim_run(sim, 100);
    save(sim, &saved);
    for (len = 0; len < saved.len; len += 97) {
        struct cursor cursor = {saved.data, len, false};

        ck_assert_int_eq(detect_restore(sim->detect, &cursor, &err), -1);
        ck_assert_str_ne(err.message, "");
    }
    buf_release(&saved);
    sim_free(sim);
}
END_TEST

START_TEST(a_series_that_left_is_forgotten)
{
    struct sim *sim = warm(2);

    sim->series[0].latency *= 5;
    sim_run(sim, 5);
    ck_assert(sim->last[0].alarm);
    detect_leave(sim->detect, &sim->series[0].identity);
    sim_tick(sim);
    ck_assert(!sim->last[0].alarm);
    sim_free(sim);
}
END_TEST

START_TEST(a_model_without_the_evidence_is_refused)
{
    struct model_shape shape = sim_shape;
    struct detect_options options = sim_options(1);
    struct detect_sink sink = {NULL, sim_hear};
    struct err err;

    shape.evidence_rows = 3;
    ck_assert_ptr_null(detect_create(&options, &shape, sink, &err));
    ck_assert_int_eq(err.code, ERR_MODEL);
    ck_assert_ptr_nonnull(strstr(err.message, "novelty"));
    options.clear = 0;
    ck_assert_ptr_null(detect_create(&options, &sim_shape, sink, &err));
    ck_assert_int_eq(err.code, ERR_USAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("detect");
    TCase *tcase = tcase_create("simulated");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, slow_answers_are_told_within_three_ticks);
    tcase_add_test(tcase, one_error_in_ten_is_told_within_five_ticks);
    tcase_add_test(tcase, a_refused_peer_is_told_by_its_cause);
    tcase_add_test(tcase, a_black_hole_is_told_before_any_timeout);
    tcase_add_test(tcase, silence_is_told_but_not_of_the_dead);
    tcase_add_test(tcase, more_or_less_traffic_is_no_harm);
    tcase_add_test(tcase, changes_too_small_to_matter_are_not_told);
    tcase_add_test(tcase, one_bad_request_in_a_quiet_hour_is_no_alarm);
    tcase_add_test(tcase, an_outage_is_not_learned_and_ends_when_it_ends);
    tcase_add_test(tcase, it_is_over_soon_after_the_repair);
    tcase_add_test(tcase, a_new_normal_is_accepted_after_an_hour);
    tcase_add_test(tcase, harm_that_comes_later_is_not_accepted_with_the_first);
    tcase_add_test(tcase, a_service_that_fails_from_the_start_is_told);
    tcase_add_test(tcase, a_useful_alarm_comes_two_minutes_after_a_cold_start);
    tcase_add_loop_test(tcase, the_budget_holds_within_a_factor_of_two, 0,
                        (int)(sizeof(lengths) / sizeof(lengths[0])));
    tcase_add_test(tcase, quiet_traffic_gives_no_alarm_in_a_day);
    tcase_add_test(tcase, a_restart_changes_no_bit);
    tcase_add_test(tcase,
                   room_for_more_series_changes_no_bit_for_fewer_is_refused);
    tcase_add_test(tcase, a_state_that_is_cut_off_is_refused);
    tcase_add_test(tcase, a_series_that_left_is_forgotten);
    tcase_add_test(tcase, a_model_without_the_evidence_is_refused);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
