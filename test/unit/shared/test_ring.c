/*
 * The ring: wrapping, filling up, settling out of order, taking over from an
 * owner that died at any moment, and counters that add up at every instant.
 */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/ring.h"

enum { SIZE = 4096, FULL = 0, REFUSED = 1, GONE = 2 };

struct memory {
    struct tocsin_ring_shared shared;
    _Alignas(8) char data[SIZE + TOCSIN_RING_SLACK];
};

static struct memory *memory;
static struct tocsin_ring ring;

static void setup(void)
{
    memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(memory, MAP_FAILED);
}

static void teardown(void)
{
    munmap(memory, sizeof(*memory));
}

static int64_t open_ring(size_t reserve)
{
    return tocsin_ring_open(&ring, &memory->shared, memory->data, SIZE, reserve,
                            GONE);
}

/* A record that tells its own number, of any length; not published. */
static bool enter(uint64_t number, size_t len, bool precious)
{
    char *room;

    ring.now.seq[0] = number;
    room = tocsin_ring_room(&ring, len, precious);
    if (room == NULL) {
        tocsin_ring_drop(&ring, FULL);
        return false;
    }
    memset(room, (int)number, len);
    memcpy(room, &number, sizeof(number));
    tocsin_ring_put(&ring, len, 1, 2);
    return true;
}

static bool put(uint64_t number, size_t len, bool precious)
{
    bool taken = enter(number, len, precious);

    tocsin_ring_publish(&ring);
    return taken;
}

/* Sends the next record; its number, or 0 if there is none or it is broken. */
static uint64_t take_next(void)
{
    const struct tocsin_ring_record *record = tocsin_ring_next(&ring);
    uint64_t number = 0;

    if (record != NULL && record->kind == 1 && record->tag == 2) {
        memcpy(&number, record + 1, sizeof(number));
        tocsin_ring_sent(&ring, record);
    }
    return number;
}

static uint64_t send_next(void)
{
    uint64_t number = take_next();

    ck_assert(number != 0 || tocsin_ring_next(&ring) == NULL);
    return number;
}

static struct tocsin_ring_state read_state(void)
{
    struct tocsin_ring_state state;
    uint64_t dropped = 0;
    unsigned i;

    ck_assert(tocsin_ring_read(&memory->shared, &state));
    for (i = 0; i < TOCSIN_RING_DROPS; i++) {
        dropped += state.dropped[i];
    }
    ck_assert_uint_eq(state.emitted,
                      state.delivered + dropped + state.buffered);
    ck_assert_uint_le(state.head, state.tail);
    ck_assert_uint_le(state.tail - state.head, SIZE);
    return state;
}

START_TEST(empty)
{
    ck_assert_int_eq(open_ring(0), 0);
    ck_assert_uint_eq(send_next(), 0);
    ck_assert_uint_eq(read_state().emitted, 0);
    ck_assert(!tocsin_ring_inflight(&ring));
}
END_TEST

START_TEST(first_in_first_out)
{
    uint64_t n, sent = 0, replied = 0;

    open_ring(0);
    for (n = 1; n <= 1000; n++) {
        ck_assert(put(n, 8 + n % 300, false));
        if (n % 3 == 0) {
            while (send_next() != 0) {
                sent++;
            }
            for (; replied < sent; replied++) {
                tocsin_ring_delivered(&ring, 1);
            }
            tocsin_ring_publish(&ring);
        }
        ck_assert_uint_eq(read_state().emitted, n);
    }
    ck_assert_uint_eq(sent, 999);
    ck_assert_uint_eq(read_state().delivered, 999);
    ck_assert_uint_eq(read_state().buffered, 1);
    ck_assert_uint_eq(read_state().seq[0], 1000);
}
END_TEST

START_TEST(wraps_in_order)
{
    uint64_t n, next = 1;

    open_ring(0);
    for (n = 1; n <= 2000; n++) {
        ck_assert(put(n, 8 + n * 37 % 500, false));
        if (n >= 4) { /* never empty: it has to wrap */
            ck_assert_uint_eq(send_next(), next++);
            tocsin_ring_delivered(&ring, 1);
            tocsin_ring_publish(&ring);
        }
    }
    ck_assert_uint_gt(read_state().tail, 10 * SIZE);
    ck_assert_uint_eq(read_state().buffered, 3);
}
END_TEST

START_TEST(an_empty_ring_starts_again)
{
    uint64_t n;

    open_ring(0);
    memset(memory->data + 64, 0, SIZE - 64);
    for (n = 1; n <= 100; n++) {
        ck_assert(put(n, 24, false));
        ck_assert_uint_eq(send_next(), n);
        tocsin_ring_delivered(&ring, 1);
        tocsin_ring_publish(&ring);
    }
    for (n = 64; n < SIZE; n++) {
        ck_assert_int_eq(memory->data[n], 0);
    }
}
END_TEST

START_TEST(full)
{
    uint64_t n, kept = 0, sent = 0;

    open_ring(1024);
    for (n = 1; n <= 100; n++) {
        kept += put(n, 56, false);
    }
    ck_assert_uint_eq(kept, (SIZE - 1024) / 64);
    ck_assert_uint_eq(read_state().dropped[FULL], 100 - kept);
    ck_assert_uint_eq(read_state().buffered, kept);

    /* the reserve is for the precious ones, and ends too */
    for (; n <= 200; n++) {
        kept += put(n, 56, true);
    }
    ck_assert_uint_eq(kept, SIZE / 64);
    ck_assert_uint_eq(read_state().dropped[FULL], 200 - kept);

    /* as soon as there is room, it is used again */
    while (send_next() != 0) {
        sent++;
    }
    ck_assert_uint_eq(sent, kept);
    for (n = 0; n < 17; n++) {
        tocsin_ring_delivered(&ring, 1);
    }
    ck_assert(put(201, 56, false));
    ck_assert(!put(202, 56, false));
    ck_assert(!put(203, SIZE, true));
    ck_assert_uint_eq(read_state().emitted, 203);
}
END_TEST

START_TEST(kept_ones_go_again_settled_ones_do_not)
{
    uint64_t n;

    open_ring(0);
    for (n = 1; n <= 6; n++) {
        put(n, 16, false);
    }
    for (n = 1; n <= 5; n++) {
        ck_assert_uint_eq(send_next(), n);
    }
    tocsin_ring_delivered(&ring, 1);
    tocsin_ring_kept(&ring);
    tocsin_ring_delivered(&ring, 1);
    tocsin_ring_refused(&ring, REFUSED);
    tocsin_ring_kept(&ring);
    tocsin_ring_publish(&ring);
    ck_assert(!tocsin_ring_inflight(&ring));
    ck_assert_uint_eq(read_state().delivered, 2);
    ck_assert_uint_eq(read_state().dropped[REFUSED], 1);
    ck_assert_uint_eq(read_state().buffered, 3);

    tocsin_ring_rewind(&ring);
    ck_assert_uint_eq(send_next(), 2);
    tocsin_ring_delivered(&ring, 1);
    ck_assert(!tocsin_ring_inflight(&ring));
    ck_assert_uint_eq(send_next(), 5);
    ck_assert_uint_eq(send_next(), 6);
    ck_assert_uint_eq(send_next(), 0);
    tocsin_ring_delivered(&ring, 1);
    tocsin_ring_delivered(&ring, 1);
    tocsin_ring_publish(&ring);
    ck_assert_uint_eq(read_state().delivered, 5);
    ck_assert_uint_eq(read_state().buffered, 0);
    ck_assert_uint_eq(read_state().head, read_state().tail);
}
END_TEST

START_TEST(a_lost_link_sends_again)
{
    uint64_t n;

    open_ring(0);
    for (n = 1; n <= 5; n++) {
        put(n, 16, false);
    }
    while (send_next() != 0) {
    }
    tocsin_ring_delivered(&ring, 1);
    tocsin_ring_delivered(&ring, 1);
    tocsin_ring_rewind(&ring);
    for (n = 3; n <= 5; n++) {
        ck_assert_uint_eq(send_next(), n);
    }
    ck_assert_uint_eq(send_next(), 0);
}
END_TEST

START_TEST(successor_goes_on)
{
    uint64_t n;

    open_ring(0);
    for (n = 1; n <= 5; n++) {
        put(n, 16, false);
    }
    while (send_next() != 0) {
    }
    tocsin_ring_delivered(&ring, 1);
    tocsin_ring_publish(&ring);
    /* settled behind a kept one, and dead before that was published */
    tocsin_ring_kept(&ring);
    tocsin_ring_delivered(&ring, 1);
    /* dead between writing and publishing */
    ck_assert(enter(6, 16, false));
    ck_assert(enter(7, 16, false));

    ck_assert_int_eq(open_ring(0), 3);
    ck_assert_uint_eq(read_state().delivered, 2);
    ck_assert_uint_eq(read_state().buffered, 3);
    ck_assert_uint_eq(ring.now.seq[0], 5);
    ck_assert_uint_eq(send_next(), 2);
    ck_assert_uint_eq(send_next(), 4);
    ck_assert_uint_eq(send_next(), 5);
    ck_assert_uint_eq(send_next(), 0);
}
END_TEST

START_TEST(nonsense_is_dropped_and_counted)
{
    struct tocsin_ring_record bad[] = {
        {0, 0, 0, 0}, {7, 0, 0, 0},    {12, 0, 0, 0},
        {8, 3, 0, 0}, {8192, 0, 0, 0}, {UINT32_MAX, 0, 0, 0},
    };
    uint64_t n;

    open_ring(0);
    for (n = 1; n <= 5; n++) {
        put(n, 16, false);
    }
    memcpy(memory->data + 24, &bad[_i], sizeof(bad[_i]));
    ck_assert_int_eq(open_ring(0), -1);
    ck_assert_uint_eq(read_state().dropped[GONE], 5);
    ck_assert_uint_eq(read_state().buffered, 0);
    ck_assert(put(6, 16, false));
    ck_assert_uint_eq(send_next(), 6);
}
END_TEST

START_TEST(abandoned)
{
    uint64_t n;

    open_ring(0);
    for (n = 1; n <= 5; n++) {
        put(n, 16, false);
    }
    tocsin_ring_abandon(&memory->shared, GONE);
    ck_assert_uint_eq(read_state().dropped[GONE], 5);
    ck_assert_uint_eq(read_state().buffered, 0);

    memset(memory->data, 0xff, sizeof(memory->data));
    ck_assert_int_eq(open_ring(0), 0);
    ck_assert_uint_eq(ring.now.seq[0], 5);
    ck_assert(put(6, 16, false));
    ck_assert_uint_eq(send_next(), 6);
}
END_TEST

/* What the ring should hold, kept beside it in the plainest way. */
struct model {
    struct {
        uint64_t number;
        bool settled;
    } records[SIZE];
    unsigned count, sent, cursor;
};

static void random_reply(struct model *model)
{
    unsigned i = model->cursor;
    int choice = rand() % 10;

    if (choice < 8) {
        tocsin_ring_delivered(&ring, 1);
    } else if (choice < 9) {
        tocsin_ring_refused(&ring, REFUSED);
    } else {
        tocsin_ring_kept(&ring);
    }
    model->records[i].settled = choice < 9;
    do {
        i++;
    } while (i < model->sent && model->records[i].settled);
    model->cursor = i;
}

static void model_rewind(struct model *model)
{
    unsigned i, n = 0;

    for (i = 0; i < model->count; i++) {
        if (!model->records[i].settled) {
            model->records[n++] = model->records[i];
        }
    }
    model->count = n;
    model->sent = model->cursor = 0;
}

static void random_send(struct model *model)
{
    uint64_t number = send_next();
    bool idle = model->cursor == model->sent;

    while (model->sent < model->count && model->records[model->sent].settled) {
        model->sent++;
    }
    if (idle) {
        model->cursor = model->sent;
    }
    if (model->sent == model->count) {
        ck_assert_uint_eq(number, 0);
        return;
    }
    ck_assert_uint_eq(number, model->records[model->sent].number);
    model->sent++;
}

START_TEST(random_operations)
{
    static struct model model;
    uint64_t n = 0, live;
    unsigned i, step;

    srand((unsigned)_i + 1);
    memset(&model, 0, sizeof(model));
    open_ring(512);
    for (step = 0; step < 3000; step++) {
        switch (rand() % 8) {
        case 0:
        case 1:
        case 2:
            n++;
            if (put(n, 8 + (size_t)rand() % 200, rand() % 4 == 0)) {
                ck_assert_uint_lt(model.count, SIZE);
                model.records[model.count].number = n;
                model.records[model.count++].settled = false;
            }
            break;
        case 3:
        case 4:
            random_send(&model);
            break;
        case 5:
        case 6:
            if (model.cursor < model.sent) {
                ck_assert(tocsin_ring_inflight(&ring));
                random_reply(&model);
            }
            break;
        default:
            if (rand() % 4 == 0) {
                tocsin_ring_rewind(&ring);
                model_rewind(&model);
            } else if (rand() % 16 == 0) {
                ck_assert_int_ge(open_ring(512), 0);
                model_rewind(&model);
            }
        }
        tocsin_ring_publish(&ring);
        for (i = 0, live = 0; i < model.count; i++) {
            live += !model.records[i].settled;
        }
        ck_assert_uint_eq(read_state().buffered, live);
        ck_assert_uint_eq(read_state().emitted, n);
        if (live == 0) {
            model_rewind(&model);
            tocsin_ring_rewind(&ring);
        }
    }
}
END_TEST

/*
 * Does what a worker does, for ever; `from` is the last number given. It
 * asserts nothing: each of Check's asserts writes to the pipe that the parent
 * writes to, and a kill amid one would spoil that.
 */
static void work(uint64_t from)
{
    uint64_t n = from;

    for (;;) {
        n++;
        put(n, 8 + n % 100, false);
        if (n % 5 == 0) {
            while (take_next() != 0) {
            }
            while (tocsin_ring_inflight(&ring)) {
                if (n % 7 == 0) {
                    tocsin_ring_kept(&ring);
                } else {
                    tocsin_ring_delivered(&ring, 1);
                }
            }
            tocsin_ring_publish(&ring);
            tocsin_ring_rewind(&ring);
        }
    }
}

START_TEST(killed_at_any_moment)
{
    struct tocsin_ring_state state;
    unsigned round, look;
    uint64_t emitted = 0;
    int64_t found;
    pid_t pid;

    for (round = 0; round < 40; round++) {
        found = open_ring(0);
        ck_assert_int_ge(found, 0);
        state = read_state();
        ck_assert_uint_eq(state.buffered, (uint64_t)found);
        ck_assert_uint_eq(state.emitted, state.seq[0]);

        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            work(state.seq[0]);
        }
        /* every look from outside finds the sums right */
        for (look = 0; look < 500 || read_state().emitted == emitted; look++) {
            ck_assert_uint_ge(read_state().emitted, emitted);
        }
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        emitted = read_state().emitted;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tcase = tcase_create("ring");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, empty);
    tcase_add_test(tcase, first_in_first_out);
    tcase_add_test(tcase, wraps_in_order);
    tcase_add_test(tcase, an_empty_ring_starts_again);
    tcase_add_test(tcase, full);
    tcase_add_test(tcase, kept_ones_go_again_settled_ones_do_not);
    tcase_add_test(tcase, a_lost_link_sends_again);
    tcase_add_test(tcase, successor_goes_on);
    tcase_add_loop_test(tcase, nonsense_is_dropped_and_counted, 0, 6);
    tcase_add_test(tcase, abandoned);
    tcase_add_loop_test(tcase, random_operations, 0, 8);
    tcase_add_test(tcase, killed_at_any_moment);
    suite_add_tcase(suite, tcase);

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
