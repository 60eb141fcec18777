/*
 * The learner: the only place where verdicts come back to training. A tick in
 * which a series was in alarm must not become its normal, so each slot keeps
 * one bit a tick, as far back as a window reaches, and the trainer leaves the
 * ticks out that these bits mark.
 *
 * Which windows are taken, and when rounds start, follows from the stream: a
 * tick that is a multiple of the interval takes the next slots in turn.
 * When a round ends depends on the machine; the swap is therefore recorded
 * with its position (versions.h). In files it ends within the row it began at,
 * and windows do not overlap, so that none holds rows of one held back.
 */
#include "learner.h"

#include <stdlib.h>
#include <string.h>

#include "../base/log.h"

#define ROOM "model"

/* Windows offered between two rounds; the trainer keeps the newest. */
#define WINDOWS_A_ROUND 256u

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
        alarms[batch->verdicts[i].identity->slot] |= batch->verdicts[i].alarm;
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

static void take(struct learner *learner, uint64_t end, struct model **winner)
{
    struct trainer_result result;

    if (!trainer_take(learner->trainer, &result, winner)) {
        return;
    }
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
        log_info(ROOM, "a round of training begins");
    } else {
        take(learner, batch->end, winner);
    }
}
