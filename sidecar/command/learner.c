/*
 * The learner: the only place where verdicts come back to training. A tick in
 * which a series was in alarm must not become its normal, so each slot keeps
 * one bit a tick, as far back as a window reaches, and the trainer leaves the
 * ticks out that these bits mark.
 *
 * Which windows are taken, and when rounds start and are taken, follows from
 * the stream: a tick that is a multiple of the interval takes the next slots in
 * turn. In files a round ends within the row it began at, and windows do not
 * overlap, so that none holds rows of one held back.
 */
#include "learner.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/log.h"

#define ROOM "model"

/* Windows offered between two rounds; the trainer keeps the newest. */
#define WINDOWS_A_ROUND 256u

/* The part of the interval that a round has. At a share of a quarter it needs a
 * tenth of that by default; no more windows come than wait meanwhile. */
#define ROUND_PART 5u

/* Seconds that a stream which is read faster than time goes by waits for one;
 * with a core to itself it takes three. */
#define WAIT_MAX 60u

/* A file is one series and gives few windows: they are shorter, and those held
 * back are looked at several times. */
#define FILE_TICKS 128u
#define FILE_BATCH 2u
#define FILE_STEPS 60u
#define FILE_RATE 1e-3
#define FILE_LOOKS 4u

struct learner {
    struct learner_options options;
    struct learner_stats stats;
    struct trainer *trainer;
    unsigned columns, ticks, lags, seasons, season_columns;

    unsigned char *alarms; /* [ticks][max]: 1 where in alarm; a ring */
    uint64_t tick;         /* number of the newest one in it */
    uint64_t calls;        /* of learner_tick() */
    uint32_t next_slot;    /* whose window is taken next */
    uint64_t offered_at;
    uint32_t high;     /* slots below it have been seen */
    uint64_t begun;    /* us of the tick at which the round that runs did; 0 */
    uint64_t begun_at; /* the same by the monotonic clock of this process */

    float *x, *past, *season;
    unsigned char *calm;
};

static void choose(const struct learner_options *options, unsigned columns,
                   struct trainer_options *trainer)
{
    trainer_defaults(trainer, columns);
    trainer->dir = options->dir;
    trainer->thread = options->share > 0;
    trainer->share = trainer->thread ? options->share : 1;
    trainer->seed = options->seed;
    if (options->rows != 0) {
        trainer->ticks = FILE_TICKS;
        trainer->batch = FILE_BATCH;
        trainer->steps = FILE_STEPS;
        trainer->learning_rate = FILE_RATE;
        trainer->looks = FILE_LOOKS;
    }
}

unsigned learner_window(const struct learner_options *options)
{
    struct trainer_options trainer;

    choose(options, 1, &trainer);
    return trainer.ticks;
}

static int make_windows(struct learner *learner, struct err *err)
{
    size_t ticks = learner->ticks;

    learner->alarms = calloc(learner->options.max, ticks);
    learner->x = calloc(ticks * learner->columns, sizeof(float));
    learner->past =
        calloc(ticks * learner->lags * learner->columns + 1, sizeof(float));
    learner->season = calloc(
        ticks * learner->seasons * learner->season_columns + 1, sizeof(float));
    learner->calm = calloc(ticks, 1);
    if (learner->alarms != NULL) {
        memset(learner->alarms, 1, ticks * learner->options.max);
    }
    if (learner->alarms == NULL || learner->x == NULL ||
        learner->past == NULL || learner->season == NULL ||
        learner->calm == NULL) {
        return err_set(err, ERR_LIMIT, "learner: out of memory");
    }
    return 0;
}

struct learner *learner_create(const struct learner_options *options,
                               const struct model *champion, struct err *err)
{
    const struct model_shape *shape = model_describe(champion);
    struct learner *learner = calloc(1, sizeof(*learner));
    struct trainer_options trainer;

    if (learner == NULL) {
        err_set(err, ERR_LIMIT, "learner: out of memory");
        return NULL;
    }
    learner->options = *options;
    learner->columns =
        options->columns != 0 ? options->columns : shape->feature_count;
    choose(options, learner->columns, &trainer);
    learner->ticks = trainer.ticks;
    learner->lags = shape->lag_count;
    learner->seasons = shape->season_count;
    learner->season_columns = shape->season_feature_count < learner->columns
                                  ? shape->season_feature_count
                                  : learner->columns;
    if (make_windows(learner, err) != 0) {
        learner_destroy(learner);
        return NULL;
    }
    learner->trainer = trainer_create(&trainer, champion, err);
    if (learner->trainer == NULL) {
        learner_destroy(learner);
        return NULL;
    }
    return learner;
}

void learner_destroy(struct learner *learner)
{
    if (learner == NULL) {
        return;
    }
    if (learner->trainer != NULL) {
        trainer_destroy(learner->trainer);
    }
    free(learner->alarms);
    free(learner->x);
    free(learner->past);
    free(learner->season);
    free(learner->calm);
    free(learner);
}

const struct learner_stats *learner_stats(const struct learner *learner)
{
    return &learner->stats;
}

void learner_leave(struct learner *learner, const struct identity *who)
{
    for (unsigned i = 0; i < learner->ticks; i++) {
        learner->alarms[(size_t)i * learner->options.max + who->slot] = 0;
    }
}

bool learner_idle(const struct learner *learner)
{
    return trainer_idle(learner->trainer);
}

int learner_champion(struct learner *learner, const struct model *champion,
                     struct err *err)
{
    return trainer_champion(learner->trainer, champion, err);
}

static unsigned char *alarms_of(const struct learner *learner, uint64_t tick)
{
    return learner->alarms + tick % learner->ticks * learner->options.max;
}

/* Moves the ring on to a tick. Ticks that are skipped were calm, and all are
 * where ticks are counted anew; but of those before the first one nothing is
 * known: history that a checkpoint brought back may hold an alarm. */
static void turn(struct learner *learner, uint64_t tick)
{
    uint64_t from = learner->tick + 1;

    if (learner->calls == 1) {
        from = tick;
    } else if (tick < learner->tick || tick - learner->tick > learner->ticks) {
        from = tick > learner->ticks ? tick - learner->ticks : 0;
    }
    for (; from <= tick; from++) {
        memset(alarms_of(learner, from), 0, learner->options.max);
    }
    learner->tick = tick;
}

static void remember(struct learner *learner, const struct verdict_batch *batch)
{
    unsigned char *alarms;
    uint32_t i;

    turn(learner, batch->end / batch->length);
    alarms = alarms_of(learner, learner->tick);
    for (i = 0; i < batch->count; i++) {
        uint32_t slot = batch->verdicts[i].identity->slot;

        alarms[slot] |= batch->verdicts[i].alarm;
        if (slot >= learner->high) {
            learner->high = slot + 1;
        }
    }
}

static void offer(struct learner *learner, const struct features *features,
                  uint32_t slot)
{
    unsigned i;

    if (features_window(features, slot, 0, learner->ticks, learner->x,
                        learner->past, learner->season) != 0) {
        return;
    }
    for (i = 0; i < learner->ticks; i++) {
        uint64_t tick = learner->tick - (learner->ticks - 1 - i);

        learner->calm[i] = !alarms_of(learner, tick)[slot];
    }
    trainer_window(learner->trainer, learner->x, learner->past, learner->season,
                   learner->calm);
}

/* The next slot in turn after `learner->next_slot` among those of the batch,
 * which are in the order of slots. */
static void offer_next(struct learner *learner, const struct features *features,
                       const struct verdict_batch *batch)
{
    uint32_t low = 0, high = batch->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (batch->verdicts[middle].identity->slot < learner->next_slot) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == batch->count) {
        low = 0;
    }
    if (batch->count != 0) {
        uint32_t slot = batch->verdicts[low].identity->slot;

        offer(learner, features, slot);
        learner->next_slot = slot + 1;
    }
}

/* One window every so many ticks, so that a round finds WINDOWS_A_ROUND; one
 * after the other in files. */
static void offer_in_turn(struct learner *learner,
                          const struct features *features,
                          const struct verdict_batch *batch)
{
    uint64_t step = learner->options.every / WINDOWS_A_ROUND;

    if (step < batch->length) {
        step = batch->length;
    }
    if (learner->options.rows != 0 ? learner->calls % learner->ticks == 0
                                   : batch->end - learner->offered_at >= step) {
        learner->offered_at = batch->end;
        offer_next(learner, features, batch);
    }
}

static void say(const struct trainer_result *result)
{
    static const char *const words[] = {
        [TRAINER_WON] = "won",
        [TRAINER_LOST] = "lost",
        [TRAINER_BROKEN] = "is broken",
        [TRAINER_FAILED] = "failed",
    };

    log_notice(ROOM,
               "challenger %s of %s %s: loss %.5g, champion's %.5g, on %u "
               "windows held back of %u, %.1f s of CPU%s%s",
               result->version, result->parent, words[result->verdict],
               result->after, result->before, result->held,
               result->windows + result->held, result->cpu,
               *result->reason != '\0' ? ": " : "", result->reason);
}

/* Has the round had its time in the stream; and if that was short, in here? */
static bool is_ripe(struct learner *learner, uint64_t end)
{
    const struct learner_options *options = &learner->options;
    uint64_t time = options->every / ROUND_PART, gone;

    if (learner->begun == 0) {
        return true;
    }
    if (end < learner->begun + time) {
        return false;
    }
    gone = clock_monotonic() - learner->begun_at;
    for (unsigned i = 0; gone < time && i < WAIT_MAX; i++) {
        if (trainer_wait(learner->trainer, CLOCK_SECOND) ||
            (options->wait != NULL && !options->wait(options->ctx))) {
            break;
        }
    }
    return true;
}

static void take(struct learner *learner, uint64_t end, struct model **winner)
{
    struct trainer_result result;

    if (!is_ripe(learner, end) ||
        !trainer_take(learner->trainer, &result, winner)) {
        return;
    }
    learner->begun = 0;
    learner->stats.rounds++;
    say(&result);
    if (*winner != NULL) {
        learner->stats.won++;
        learner->stats.swapped_at = end;
    }
}

static bool is_due(const struct learner *learner,
                   const struct verdict_batch *batch)
{
    const struct learner_options *options = &learner->options;

    return options->rows != 0 ? learner->calls % options->rows == 0
                              : batch->end % options->every < batch->length;
}

void learner_tick(struct learner *learner, const struct features *features,
                  const struct verdict_batch *batch, struct model **winner)
{
    *winner = NULL;
    learner->calls++;
    remember(learner, batch);
    take(learner, batch->end, winner);
    offer_in_turn(learner, features, batch);
    if (!is_due(learner, batch)) {
        return;
    }
    if (!trainer_round(learner->trainer, learner->options.rows != 0
                                             ? learner->calls
                                             : batch->end)) {
        return;
    }
    if (learner->options.share > 0) {
        learner->begun = batch->end;
        learner->begun_at = clock_monotonic();
        log_info(ROOM, "a round of training begins");
    } else {
        take(learner, batch->end, winner);
    }
}

/* ---------------------------------------------------------------- checkpoint
 */

/* The columns of the ring of alarms that differ: those of slots that were seen,
 * and one of all others. */
static uint32_t columns_of_alarms(const struct learner *learner, uint32_t high)
{
    return high < learner->options.max ? high + 1 : learner->options.max;
}

static void save_alarms(const struct learner *learner, struct buf *to)
{
    uint32_t count = columns_of_alarms(learner, learner->high);
    const unsigned char *row = learner->alarms;

    buf_put_u32(to, learner->high);
    for (unsigned t = 0; t < learner->ticks; t++) {
        for (uint32_t i = 0; i < count; i += 8) {
            unsigned char bits = 0;

            for (unsigned k = 0; k < 8 && i + k < count; k++) {
                bits |= (unsigned char)((row[i + k] != 0) << k);
            }
            buf_put(to, &bits, 1);
        }
        row += learner->options.max;
    }
}

static void restore_alarms(struct learner *learner, const char *bits,
                           uint32_t count)
{
    unsigned char *row = learner->alarms;

    for (unsigned t = 0; t < learner->ticks; t++) {
        for (uint32_t i = 0; i < count; i++) {
            row[i] = (unsigned char)bits[i / 8] >> i % 8 & 1;
        }
        memset(row + count, row[count - 1], learner->options.max - count);
        bits += (count + 7) / 8;
        row += learner->options.max;
    }
}

void learner_save(const struct learner *learner, struct buf *to)
{
    buf_put_u64(to, learner->options.every);
    buf_put_u32(to, learner->ticks);
    buf_put_u64(to, learner->tick);
    buf_put_u64(to, learner->calls);
    buf_put_u32(to, learner->next_slot);
    buf_put_u64(to, learner->offered_at);
    buf_put_u64(to, learner->begun);
    buf_put_u64(to, learner->stats.rounds);
    buf_put_u64(to, learner->stats.won);
    buf_put_u64(to, learner->stats.swapped_at);
    save_alarms(learner, to);
    trainer_save(learner->trainer, to);
}

int learner_restore(struct learner *learner, struct cursor *from,
                    struct err *err)
{
    struct learner read = *learner;
    uint64_t every = cursor_u64(from);
    uint32_t ticks = cursor_u32(from), count;
    const char *bits;

    if (every != learner->options.every || ticks != learner->ticks) {
        return err_set(err, ERR_INPUT,
                       "rounds every %llu us of windows of %u ticks, expected "
                       "%llu (model.train_every) and %u",
                       (unsigned long long)every, ticks,
                       (unsigned long long)learner->options.every,
                       learner->ticks);
    }
    read.tick = cursor_u64(from);
    read.calls = cursor_u64(from);
    read.next_slot = cursor_u32(from);
    read.offered_at = cursor_u64(from);
    read.begun = cursor_u64(from);
    read.begun_at = clock_monotonic();
    read.stats.rounds = cursor_u64(from);
    read.stats.won = cursor_u64(from);
    read.stats.swapped_at = cursor_u64(from);
    read.high = cursor_u32(from);
    if (read.high > learner->options.max) {
        return err_set(err, ERR_INPUT,
                       "%u slots, expected at most %u (series.max)", read.high,
                       learner->options.max);
    }
    count = columns_of_alarms(learner, read.high);
    bits = cursor_bytes(from, (size_t)ticks * ((count + 7) / 8));
    if (bits == NULL) {
        return err_set(err, ERR_INPUT, "it is cut short");
    }
    if (trainer_restore(learner->trainer, from, err) != 0) {
        return -1;
    }
    *learner = read;
    restore_alarms(learner, bits, count);
    if (trainer_idle(learner->trainer)) {
        learner->begun = 0;
    } else {
        log_info(ROOM, "the round of training is begun again");
    }
    return 0;
}
