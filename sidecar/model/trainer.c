/*
 * Rounds of training, one at a time, beside the scoring.
 *
 * The windows belong to the worker while a round runs and to the main thread
 * otherwise; what comes meanwhile waits in an inbox of the main thread. So
 * neither waits for the other, and a round is a function of the windows it
 * began with, the champion, the seed and the position it was given.
 *
 * The worker pays for its CPU time with sleep: after each step, and before it
 * says that the round has ended, it is idle for as long as its share demands.
 * Neither what it slept too long nor what it waited for a busy machine is
 * credited, or it would take more than its share afterwards. Where cores are
 * scarce it comes last: who scores never waits for it.
 */
#include "trainer.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "round.h"
#include "versions.h"
#include "windows.h"

#define TRAINER_INBOX 64u
#define TRAINER_SLICE                                                          \
    50000 /* us: how soon a sleeping worker notices the end                    \
           */
#define TRAINER_NICE 19

enum trainer_state { TRAINER_IDLE, TRAINER_RUNNING, TRAINER_ENDED };

struct trainer {
    struct trainer_options options;
    struct model *champion;
    struct windows *windows; /* of the worker while state is RUNNING */
    struct windows *inbox;
    struct trainer_stats stats;

    pthread_t worker;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Under the lock. */
    enum trainer_state state;
    bool stop;
    bool hurry;   /* somebody waits: the share does not count */
    pid_t thread; /* the worker's id, 0 before it runs */

    /* Of the worker while RUNNING, of the main thread when ENDED. */
    uint64_t position;
    struct trainer_result result;
    struct model *winner;
    struct model *heir; /* a copy of it: the next champion */

    /* Of the worker. */
    uint64_t paced_cpu, paced_at; /* when it last paid, us */
    double owed;                  /* us of sleep */
};

void trainer_defaults(struct trainer_options *options, unsigned columns)
{
    *options = (struct trainer_options){
        .share = 0.25,
        .columns = columns,
        .ticks = 256,
        .capacity = 320,
        .batch = 8,
        .steps = 40,
        .looks = 1,
        .learning_rate = 3e-4,
        .margin = 0.005,
        .seed = 1,
        .thread = true,
    };
}

static bool trainer_stopping(struct trainer *trainer)
{
    bool stop;

    pthread_mutex_lock(&trainer->lock);
    stop = trainer->stop;
    pthread_mutex_unlock(&trainer->lock);
    return stop;
}

static bool trainer_hurries(struct trainer *trainer)
{
    bool hurry;

    pthread_mutex_lock(&trainer->lock);
    hurry = trainer->stop || trainer->hurry;
    pthread_mutex_unlock(&trainer->lock);
    return hurry;
}

static void trainer_account(struct trainer *trainer)
{
    uint64_t cpu = clock_thread_cpu(), now = clock_monotonic();
    double used = (double)(cpu - trainer->paced_cpu);

    trainer->owed +=
        used / trainer->options.share - (double)(now - trainer->paced_at);
    if (trainer->owed < 0.0) {
        trainer->owed = 0.0;
    }
    trainer->paced_cpu = cpu;
    trainer->paced_at = now;
}

/* Called by the round between steps: sleeps off what they took. False: end the
 * round. */
static bool trainer_pace(void *ctx)
{
    struct trainer *trainer = ctx;
    struct timespec slice = {0, 0};

    if (!trainer->options.thread) {
        return true;
    }
    trainer_account(trainer);
    while (trainer->owed > 0.0 && !trainer_hurries(trainer)) {
        double now =
            trainer->owed < TRAINER_SLICE ? trainer->owed : TRAINER_SLICE;

        slice.tv_nsec = (long)(now * 1000.0);
        nanosleep(&slice, NULL);
        trainer_account(trainer);
    }
    return !trainer_stopping(trainer);
}

/* What came of a round is kept on disk before anybody hears of it. */
static void trainer_keep(struct trainer *trainer)
{
    const char *dir = trainer->options.dir;
    struct err err;

    if (dir == NULL) {
        return;
    }
    if (trainer->winner != NULL &&
        versions_store(dir, trainer->winner, trainer->result.version, &err) !=
            0) {
        log_error("model", "version %s is not kept: %s",
                  trainer->result.version, err.message);
    }
    if (versions_record(dir, &trainer->result, &err) != 0) {
        log_error("model", "history: %s", err.message);
    }
}

/* So that the main thread need not make it. */
static void trainer_copy(struct trainer *trainer)
{
    struct err err;

    if (trainer->winner == NULL) {
        return;
    }
    trainer->heir = model_copy(trainer->winner, &err);
    if (trainer->heir == NULL) {
        log_error("model", "the champion stays %s for training: %s",
                  model_describe(trainer->champion)->version, err.message);
    }
}

static void trainer_run(struct trainer *trainer)
{
    struct round round = {
        .options = &trainer->options,
        .champion = trainer->champion,
        .windows = trainer->windows,
        .position = trainer->position,
        .ctx = trainer,
        .pace = trainer_pace,
    };

    trainer->paced_cpu = clock_thread_cpu();
    trainer->paced_at = clock_monotonic();
    trainer->owed = 0.0;
    trainer->winner = round_run(&round, &trainer->result);
    trainer_keep(trainer);
    trainer_copy(trainer);
    malloc_trim(0); /* a round leaves much that is free among what is not */
    trainer_pace(trainer);
}

/* Of that thread alone, on Linux. A share is kept without it as well, and who
 * may not take it back (RLIMIT_NICE) waits somewhat longer on a busy machine.
 */
static void trainer_nice(pid_t thread, int nice)
{
    if (thread != 0 && setpriority(PRIO_PROCESS, (id_t)thread, nice) != 0) {
        log_debug("model", "training at nice %d: %s", nice, strerror(errno));
    }
}

static void *trainer_main(void *ctx)
{
    struct trainer *trainer = ctx;

    model_threads(1);
    trainer_nice(gettid(), TRAINER_NICE);
    pthread_mutex_lock(&trainer->lock);
    trainer->thread = gettid();
    for (;;) {
        while (!trainer->stop && trainer->state != TRAINER_RUNNING) {
            pthread_cond_wait(&trainer->wake, &trainer->lock);
        }
        if (trainer->stop) {
            break;
        }
        pthread_mutex_unlock(&trainer->lock);
        trainer_run(trainer);
        pthread_mutex_lock(&trainer->lock);
        trainer->state = TRAINER_ENDED;
        pthread_cond_broadcast(&trainer->wake);
    }
    pthread_mutex_unlock(&trainer->lock);
    return NULL;
}

static int trainer_start(struct trainer *trainer, struct err *err)
{
    int rc;

    if (!trainer->options.thread) {
        return 0;
    }
    rc = pthread_create(&trainer->worker, NULL, trainer_main, trainer);
    if (rc != 0) {
        errno = rc;
        return err_set_errno(err, "trainer: thread");
    }
    trainer->started = true;
    return 0;
}

static int trainer_check(const struct trainer_options *o, struct err *err)
{
    if (!(o->share > 0.0 && o->share <= 1.0) || o->columns == 0 ||
        o->ticks < 2 || o->capacity < 10 || o->batch == 0 || o->steps == 0 ||
        o->looks == 0 || !(o->learning_rate > 0.0) || !(o->margin >= 0.0)) {
        return err_set(err, ERR_USAGE, "trainer: options out of range");
    }
    return 0;
}

struct trainer *trainer_create(const struct trainer_options *options,
                               const struct model *champion, struct err *err)
{
    const struct model_shape *shape = model_describe(champion);
    pthread_condattr_t monotonic;
    struct trainer *trainer;

    if (trainer_check(options, err) != 0) {
        return NULL;
    }
    trainer = calloc(1, sizeof(*trainer));
    if (trainer == NULL) {
        err_set(err, ERR_LIMIT, "trainer: out of memory");
        return NULL;
    }
    trainer->options = *options;
    pthread_mutex_init(&trainer->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&trainer->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    trainer->windows = windows_create(shape, options->columns, options->ticks,
                                      options->capacity);
    trainer->inbox =
        windows_create(shape, options->columns, options->ticks, TRAINER_INBOX);
    if (trainer->windows == NULL || trainer->inbox == NULL) {
        err_set(err, ERR_LIMIT, "trainer: out of memory");
    } else if ((options->dir == NULL ||
                versions_prepare(options->dir, err) == 0) &&
               trainer_champion(trainer, champion, err) == 0 &&
               trainer_start(trainer, err) == 0) {
        return trainer;
    }
    trainer_destroy(trainer);
    return NULL;
}

void trainer_destroy(struct trainer *trainer)
{
    if (trainer == NULL) {
        return;
    }
    if (trainer->started) {
        pthread_mutex_lock(&trainer->lock);
        trainer->stop = true;
        pthread_cond_signal(&trainer->wake);
        pthread_mutex_unlock(&trainer->lock);
        pthread_join(trainer->worker, NULL);
    }
    windows_destroy(trainer->windows);
    windows_destroy(trainer->inbox);
    model_free(trainer->winner);
    model_free(trainer->heir);
    model_free(trainer->champion);
    pthread_cond_destroy(&trainer->wake);
    pthread_mutex_destroy(&trainer->lock);
    free(trainer);
}

static enum trainer_state trainer_state(struct trainer *trainer)
{
    enum trainer_state state;

    pthread_mutex_lock(&trainer->lock);
    state = trainer->state;
    pthread_mutex_unlock(&trainer->lock);
    return state;
}

static void trainer_set_state(struct trainer *trainer, enum trainer_state state)
{
    pthread_mutex_lock(&trainer->lock);
    trainer->state = state;
    pthread_cond_broadcast(&trainer->wake);
    pthread_mutex_unlock(&trainer->lock);
}

void trainer_window(struct trainer *trainer, const float *x, const float *past,
                    const float *season, const unsigned char *calm)
{
    bool busy = trainer_state(trainer) != TRAINER_IDLE;

    if (busy && windows_count(trainer->inbox) == TRAINER_INBOX) {
        trainer->stats.dropped++;
    } else if (windows_add(busy ? trainer->inbox : trainer->windows, x, past,
                           season, calm)) {
        trainer->stats.taken++;
    } else {
        trainer->stats.refused++;
    }
}

static bool trainer_begin(struct trainer *trainer, uint64_t position)
{
    if (trainer_state(trainer) != TRAINER_IDLE ||
        windows_held(trainer->windows) < 2 * trainer->options.batch) {
        return false;
    }
    trainer->position = position;
    if (trainer->options.thread) {
        trainer_set_state(trainer, TRAINER_RUNNING);
    } else {
        trainer_run(trainer);
        trainer_set_state(trainer, TRAINER_ENDED);
    }
    return true;
}

bool trainer_round(struct trainer *trainer, uint64_t position)
{
    if (!trainer_begin(trainer, position)) {
        return false;
    }
    trainer->stats.rounds++;
    return true;
}

bool trainer_take(struct trainer *trainer, struct trainer_result *result,
                  struct model **winner)
{
    if (trainer_state(trainer) != TRAINER_ENDED) {
        return false;
    }
    *result = trainer->result;
    *winner = trainer->winner;
    trainer->winner = NULL;
    if (*winner != NULL) {
        trainer->stats.won++;
    }
    if (trainer->heir != NULL) {
        model_free(trainer->champion);
        trainer->champion = trainer->heir;
        trainer->heir = NULL;
    }
    windows_move(trainer->windows, trainer->inbox);
    trainer_set_state(trainer, TRAINER_IDLE);
    return true;
}

bool trainer_idle(struct trainer *trainer)
{
    return trainer_state(trainer) == TRAINER_IDLE;
}

bool trainer_wait(struct trainer *trainer, uint64_t us)
{
    struct timespec until;
    bool running;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(us / CLOCK_SECOND);
    until.tv_nsec += (long)(us % CLOCK_SECOND) * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&trainer->lock);
    trainer->hurry = true;
    trainer_nice(trainer->thread, 0);
    while (trainer->state == TRAINER_RUNNING && rc == 0) {
        rc = pthread_cond_timedwait(&trainer->wake, &trainer->lock, &until);
    }
    trainer->hurry = false;
    trainer_nice(trainer->thread, TRAINER_NICE);
    running = trainer->state == TRAINER_RUNNING;
    pthread_mutex_unlock(&trainer->lock);
    return !running;
}

int trainer_champion(struct trainer *trainer, const struct model *champion,
                     struct err *err)
{
    struct model *copy;

    if (trainer_state(trainer) == TRAINER_RUNNING) {
        return err_set(err, ERR_USAGE, "trainer: a round is running");
    }
    copy = model_copy(champion, err);
    if (copy == NULL) {
        return -1;
    }
    model_free(trainer->champion);
    trainer->champion = copy;
    return 0;
}

const struct trainer_stats *trainer_stats(const struct trainer *trainer)
{
    struct trainer *self = (struct trainer *)trainer;

    if (trainer_state(self) != TRAINER_RUNNING) {
        self->stats.windows = windows_count(trainer->windows);
        self->stats.held = windows_held(trainer->windows);
    }
    return &trainer->stats;
}

/* A round that runs reads the windows, as this does; nobody writes them. */
void trainer_save(const struct trainer *trainer, struct buf *to)
{
    bool begun = trainer_state((struct trainer *)trainer) != TRAINER_IDLE;

    buf_put_u32(to, begun);
    buf_put_u64(to, begun ? trainer->position : 0);
    buf_put_u64(to, trainer->stats.taken);
    buf_put_u64(to, trainer->stats.refused);
    buf_put_u64(to, trainer->stats.dropped);
    buf_put_u64(to, trainer->stats.rounds);
    buf_put_u64(to, trainer->stats.won);
    windows_save(trainer->windows, to);
    windows_save(trainer->inbox, to);
}

int trainer_restore(struct trainer *trainer, struct cursor *from,
                    struct err *err)
{
    bool begun = cursor_u32(from) != 0;
    uint64_t position = cursor_u64(from);
    struct trainer_stats stats = {0};

    stats.taken = cursor_u64(from);
    stats.refused = cursor_u64(from);
    stats.dropped = cursor_u64(from);
    stats.rounds = cursor_u64(from);
    stats.won = cursor_u64(from);
    if (windows_restore(trainer->windows, from, err) != 0 ||
        windows_restore(trainer->inbox, from, err) != 0) {
        windows_clear(trainer->windows);
        windows_clear(trainer->inbox);
        return -1;
    }
    trainer->stats = stats;
    if (begun && !trainer_begin(trainer, position)) {
        log_warn("model",
                 "the round of %" PRIu64 " is not begun again: too "
                 "few windows were kept",
                 position);
    }
    return 0;
}
