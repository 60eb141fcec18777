/* The ring looked at from elsewhere while it is worked with: threads stand for
 * the processes that share it, so that ThreadSanitizer can see them. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/ring.h"

#define SIZE 4096
#define ROUNDS 20000
#define LOOKERS 2

static struct tocsin_ring_shared shared;
static _Alignas(8) char data[SIZE + TOCSIN_RING_SLACK];
static _Atomic bool over;

struct looker {
    pthread_t thread;
    uint64_t looks, wrong;
};

static void *look(void *arg)
{
    struct looker *looker = arg;
    struct tocsin_ring_state state;
    uint64_t emitted = 0;

    while (!over) {
        if (!tocsin_ring_read(&shared, &state)) {
            continue;
        }
        looker->looks++;
        looker->wrong += state.emitted != state.delivered + state.dropped[0] +
                                              state.dropped[1] + state.buffered;
        looker->wrong += state.emitted < emitted;
        emitted = state.emitted;
    }
    return NULL;
}

/* Puts some, sends some, and hears of some: published after each. */
static void work(void)
{
    const struct tocsin_ring_record *record;
    struct tocsin_ring ring;
    unsigned round, sent;
    char *room;

    ck_assert_int_eq(tocsin_ring_open(&ring, &shared, data, SIZE, 0, 1), 0);
    for (round = 0; round < ROUNDS; round++) {
        room = tocsin_ring_room(&ring, 100, false);
        if (room != NULL) {
            memset(room, (int)round, 60 + round % 40);
            tocsin_ring_put(&ring, 60 + round % 40, 0, 0);
        } else {
            tocsin_ring_drop(&ring, 0);
        }
        tocsin_ring_publish(&ring);
        sent = 0;
        while (round % 7 == 0 && (record = tocsin_ring_next(&ring)) != NULL) {
            tocsin_ring_sent(&ring, record);
            sent++;
        }
        if (sent > 1) {
            tocsin_ring_delivered(&ring, sent - 1);
            tocsin_ring_refused(&ring, 1);
            tocsin_ring_publish(&ring);
        }
    }
}

START_TEST(every_look_adds_up)
{
    struct looker lookers[LOOKERS] = {0};
    struct tocsin_ring_state state;
    unsigned i;

    for (i = 0; i < LOOKERS; i++) {
        ck_assert_int_eq(
            pthread_create(&lookers[i].thread, NULL, look, &lookers[i]), 0);
    }
    work();
    over = true;
    for (i = 0; i < LOOKERS; i++) {
        ck_assert_int_eq(pthread_join(lookers[i].thread, NULL), 0);
        ck_assert_uint_eq(lookers[i].wrong, 0);
    }
    ck_assert(tocsin_ring_read(&shared, &state));
    ck_assert_uint_eq(state.emitted, ROUNDS);
    ck_assert_uint_gt(state.delivered, 0);
    ck_assert_uint_gt(state.dropped[1], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring threads");
    TCase *tcase = tcase_create("threads");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, every_look_adds_up);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
