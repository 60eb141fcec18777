/* The board: the worst first, bounded, readable again, cheap. */
#include <check.h>
#include <time.h>

#include "shared/names.h"
#include "sidecar/base/clock.h"
#include "town.h"

#define MANY 10000

static unsigned rows_of(struct tocsin_span rest, struct tocsin_board_row *rows,
                        unsigned most)
{
    struct tocsin_board_row row;
    unsigned count = 0;

    while (rest.len > 0) {
        ck_assert_int_eq(tocsin_board_row_next(&rest, &row), 1);
        if (count < most) {
            rows[count] = row;
        }
        count++;
    }
    return count;
}

START_TEST(the_worst_come_first)
{
    struct town *town = town_create();
    struct tocsin_board_row rows[TOWN_MAX];
    struct tocsin_board board;
    unsigned count, i;

    for (i = 0; i < town->count; i++) {
        town->series[i].verdict.anomaly = (float)(i * 7 % 50);
        town->series[i].verdict.feature = FEATURE_COUNT;
    }
    town_alarm(town, "route=/pay");
    town_run(town, 5);
    tocsin_board_init(&board);
    alerts_board(town->alerts, &board);
    count = rows_of(board.rows, rows, TOWN_MAX);
    ck_assert_uint_eq(count, town->count);
    ck_assert_mem_eq(rows[0].labels.data, "server=www,route=/pay", 21);
    ck_assert(tocsin_span_eq(rows[0].feature, TOCSIN_SPAN("latency_p95")));
    for (i = 2; i < count; i++) {
        ck_assert_double_ge(rows[i - 1].score, rows[i].score);
    }
    ck_assert_double_eq_tol(rows[0].latency_p95, 0.812, 1e-6);
    ck_assert(memmem(rows[0].spark.data, rows[0].spark.len, "0.812,0.812", 11));
    ck_assert_mem_eq(board.active.data, town_last(town)->id, board.active.len);
    town_free(town);
}
END_TEST

START_TEST(rollups_are_the_widest_series)
{
    struct town *town = town_create();
    struct tocsin_board_row rows[TOWN_MAX];
    struct tocsin_board board;

    town_run(town, 2);
    tocsin_board_init(&board);
    alerts_board(town->alerts, &board);
    ck_assert_uint_eq(rows_of(board.rollups, rows, TOWN_MAX), 1 + 2 + 3);
    ck_assert_uint_eq(rows[0].labels.len, 0);
    ck_assert_double_eq_tol(rows[0].rate, 20, 1e-6);
    ck_assert_double_eq_tol(rows[0].latency_p95, 0.1, 1e-6);
    ck_assert_mem_eq(rows[1].labels.data, "cloud_provider=aws", 18);
    ck_assert_mem_eq(rows[5].labels.data, "cloud_provider=gcp,cloud_region",
                     31);
    town_free(town);
}
END_TEST

START_TEST(numbers_of_sparks_are_as_printf_writes_them)
{
    struct town *town = town_create();
    struct tocsin_board board;
    struct tocsin_board_row rows[TOWN_MAX];
    static const double values[] = {0,      1,    0.1,    0.00012345, 12345,
                                    99.996, 1e-7, 123456, 3.14159,    0.99999};
    unsigned i;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char wanted[32], got[32];
        uint32_t slot = town_find(town, "server=www,route=/api");
        unsigned k;

        town_tick(town);
        town->x[slot * TOWN_COLUMNS + 2] = (float)values[i];
        tocsin_board_init(&board);
        alerts_board(town->alerts, &board);
        k = rows_of(board.rows, rows, TOWN_MAX);
        while (k-- > 0 && memmem(rows[k].labels.data, rows[k].labels.len,
                                 "/api", 4) == NULL) {
        }
        town_copy(got, sizeof(got), rows[k].spark);
        got[strcspn(got, ",")] = '\0';
        snprintf(wanted, sizeof(wanted), "%.4g", values[i]);
        ck_assert_double_eq_tol(strtod(got, NULL), strtod(wanted, NULL),
                                6e-4 * fabs(values[i]) + 1e-12);
        ck_assert_uint_le(strlen(got), 10);
    }
    town_free(town);
}
END_TEST

static void ignore(void *ctx, const struct tocsin_alert *alert)
{
    (void)ctx;
    (void)alert;
}

static unsigned flat(void *ctx, uint32_t slot, unsigned column, unsigned count,
                     float *values)
{
    unsigned i;

    (void)ctx;
    (void)column;
    for (i = 0; i < count; i++) {
        values[i] = 0.1234F + 0.001F * (float)(slot % 17 + i);
    }
    return count;
}

struct crowd {
    struct identity identities[MANY];
    struct aggregate aggregate;
    struct verdict verdicts[MANY];
    char labels[MANY][64];
    float x[MANY * TOWN_COLUMNS];
};

static void crowd_batch(struct crowd *crowd, struct alerts *alerts)
{
    struct feature_batch batch = {.end = TOWN_START,
                                  .length = TOWN_TICK,
                                  .count = MANY,
                                  .column_count = TOWN_COLUMNS,
                                  .x = crowd->x,
                                  .columns = town_columns};
    struct scored_batch scored = {.batch = &batch, .shape = &town_shape};
    struct verdict_batch out = {TOWN_START, TOWN_TICK, MANY, crowd->verdicts,
                                &scored};

    alerts_batch(alerts, &out);
}

static struct crowd *crowd_create(void)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    uint32_t i;

    for (i = 0; i < MANY; i++) {
        snprintf(crowd->labels[i], sizeof(crowd->labels[i]),
                 "upstream=service-%u,peer=10.0.%u.%u:8080", i % 100, i / 256,
                 i % 256);
        crowd->identities[i] = (struct identity){
            .slot = i, .scope = SCOPE_PEER, .labels = crowd->labels[i]};
        crowd->verdicts[i] = (struct verdict){
            .identity = &crowd->identities[i],
            .aggregate = &crowd->aggregate,
            .anomaly = (float)(i * 2654435761u % 1000) / 10,
            .feature = FEATURE_COUNT,
        };
    }
    return crowd;
}

START_TEST(ten_thousand_series_are_bounded_and_cheap)
{
    struct alert_options options = {TOWN_TICK, MANY};
    struct alert_history history = {NULL, flat};
    struct alert_sink sink = {NULL, ignore};
    struct crowd *crowd = crowd_create();
    struct tocsin_board_row rows[1];
    struct tocsin_board board;
    struct err err;
    struct alerts *alerts = alerts_create(&options, history, sink, &err);
    uint64_t begin;
    unsigned i;

    ck_assert_ptr_nonnull(alerts);
    begin = clock_thread_cpu();
    for (i = 0; i < 20; i++) {
        crowd_batch(crowd, alerts);
    }
    fprintf(stderr, "10,000 series: %.2f ms a batch",
            (double)(clock_thread_cpu() - begin) / 20e3);
    tocsin_board_init(&board);
    begin = clock_thread_cpu();
    for (i = 0; i < 20; i++) {
        alerts_board(alerts, &board);
    }
    fprintf(stderr, ", %.2f ms a board\n",
            (double)(clock_thread_cpu() - begin) / 20e3);
    ck_assert_uint_eq(rows_of(board.rows, rows, 1), 1000);
    ck_assert_double_ge(rows[0].score, 99.8);
    ck_assert_uint_le(board.rows.len, TOCSIN_BOARD_MAX);
    alerts_destroy(alerts);
    free(crowd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("board");
    TCase *tcase = tcase_create("rows");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, the_worst_come_first);
    tcase_add_test(tcase, rollups_are_the_widest_series);
    tcase_add_test(tcase, numbers_of_sparks_are_as_printf_writes_them);
    tcase_add_test(tcase, ten_thousand_series_are_bounded_and_cheap);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
