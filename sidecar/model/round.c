/*
 * A challenger starts as a copy of the champion and takes a number of steps
 * of AdamW on windows drawn by the round's own generator. Then both are put
 * to the windows held back, in the same batches with the same seeds, so that
 * they see the same injected anomalies: the differences are paired. It wins
 * if it is better by the margin and by one standard error, if it was judged
 * on two batches at least, and if what it says makes sense.
 */
#include "round.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"

#define ROUND_BATCH_MAX 64u
#define ROUND_SANE_TICKS 64u

struct progress {
    const struct round *round;
    struct model *champion, *challenger; /* copies */
    struct trainer_result *result;
    uint64_t random;
};

/* splitmix64 */
static uint64_t progress_random(struct progress *progress)
{
    uint64_t z = (progress->random += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int round_failed(struct trainer_result *result,
                        enum trainer_verdict verdict, const char *reason)
{
    result->verdict = verdict;
    snprintf(result->reason, sizeof(result->reason), "%.255s", reason);
    return -1;
}

static bool progress_pace(struct progress *progress, uint64_t began)
{
    progress->result->cpu += (double)(clock_thread_cpu() - began) / 1e6;
    return progress->round->pace(progress->round->ctx);
}

static unsigned round_batch(const struct round *round, unsigned have)
{
    unsigned batch = round->options->batch;

    if (batch > ROUND_BATCH_MAX) {
        batch = ROUND_BATCH_MAX;
    }
    return batch < have ? batch : have;
}

static int round_train(struct progress *progress)
{
    const struct round *round = progress->round;
    const struct trainer_options *o = round->options;
    unsigned have =
        windows_count(round->windows) - windows_held(round->windows);
    unsigned which[ROUND_BATCH_MAX], i, step, batch = round_batch(round, have);
    struct model_windows windows;
    double loss, left;
    struct err err;
    uint64_t began;

    for (step = 0; step < o->steps; step++) {
        began = clock_thread_cpu();
        for (i = 0; i < batch; i++) {
            which[i] = (unsigned)(progress_random(progress) % have);
        }
        windows_batch(round->windows, false, which, batch, &windows);
        left = 1.0 - 0.9 * step / o->steps;
        if (model_train(progress->challenger, &windows, o->learning_rate * left,
                        progress_random(progress), &loss, &err) != 0) {
            return round_failed(progress->result, TRAINER_BROKEN, err.message);
        }
        if (!progress_pace(progress, began)) {
            return round_failed(progress->result, TRAINER_FAILED, "stopped");
        }
    }
    return 0;
}

/* Loss of both on one batch held back. */
static int round_pair(struct progress *progress,
                      const struct model_windows *windows, uint64_t seed,
                      double *before, double *after)
{
    struct err err;

    if (model_loss(progress->champion, windows, seed, before, &err) != 0 ||
        model_loss(progress->challenger, windows, seed, after, &err) != 0) {
        return round_failed(progress->result, TRAINER_FAILED, err.message);
    }
    if (!isfinite(*after)) {
        return round_failed(progress->result, TRAINER_BROKEN,
                            "its loss is not a number");
    }
    if (!round_sane(progress->challenger, windows, progress->result->reason)) {
        progress->result->verdict = TRAINER_BROKEN;
        return -1;
    }
    return 0;
}

static int round_compare(struct progress *progress)
{
    const struct round *round = progress->round;
    struct trainer_result *result = progress->result;
    unsigned held = windows_held(round->windows), i, n;
    unsigned which[ROUND_BATCH_MAX], batch = round_batch(round, held);
    double before, after, sum = 0.0, squares = 0.0, difference;
    struct model_windows windows;
    uint64_t began;

    if (batch == 0 || held / batch < 2) {
        return round_failed(result, TRAINER_FAILED,
                            "too few windows held back");
    }
    for (n = 0; n < held / batch * round->options->looks; n++) {
        began = clock_thread_cpu();
        for (i = 0; i < batch; i++) {
            which[i] = n % (held / batch) * batch + i;
        }
        windows_batch(round->windows, true, which, batch, &windows);
        if (round_pair(progress, &windows, progress_random(progress), &before,
                       &after) != 0) {
            return -1;
        }
        result->before += before;
        result->after += after;
        difference = before - after;
        sum += difference;
        squares += difference * difference;
        if (!progress_pace(progress, began)) {
            return round_failed(result, TRAINER_FAILED, "stopped");
        }
    }
    result->before /= n;
    result->after /= n;
    squares = squares / n - sum / n * (sum / n);
    result->spread = sqrt((squares > 0.0 ? squares : 0.0) / (n - 1));
    return 0;
}

static void round_judge(const struct round *round,
                        struct trainer_result *result)
{
    double gain = result->before - result->after;

    if (gain > round->options->margin * fabs(result->before) &&
        gain > result->spread) {
        result->verdict = TRAINER_WON;
        snprintf(result->reason, sizeof(result->reason),
                 "loss lower by %.2f %%", 100.0 * gain / result->before);
    } else {
        result->verdict = TRAINER_LOST;
        snprintf(result->reason, sizeof(result->reason),
                 "loss lower by %.2f %% +- %.2f %% only",
                 100.0 * gain / result->before,
                 100.0 * result->spread / result->before);
    }
}

/* "default-1" or "default-1+12345" -> "default-1+<position>" */
static void round_name(const struct round *round, struct trainer_result *result)
{
    const char *parent = model_describe(round->champion)->version;
    int base = (int)strcspn(parent, "+");

    snprintf(result->parent, sizeof(result->parent), "%s", parent);
    snprintf(result->version, sizeof(result->version), "%.*s+%" PRIu64,
             base < 40 ? base : 40, parent, round->position);
}

/*
 * Models that were trained or had their losses computed keep what torch made
 * for that: compiled plans, gradients, moments. So copies are, and go with the
 * round; the champion and who comes after it never did such work.
 */
struct model *round_run(const struct round *round,
                        struct trainer_result *result)
{
    struct progress progress = {
        .round = round,
        .result = result,
        .random = round->options->seed ^ (round->position * 2654435761u),
    };
    struct model *winner = NULL;
    struct err err;

    *result = (struct trainer_result){.position = round->position};
    round_name(round, result);
    result->held = windows_held(round->windows);
    result->windows = windows_count(round->windows) - result->held;
    progress.champion = model_copy(round->champion, &err);
    progress.challenger =
        progress.champion != NULL ? model_copy(round->champion, &err) : NULL;
    if (progress.challenger == NULL) {
        round_failed(result, TRAINER_FAILED, err.message);
    } else if (round_train(&progress) == 0 && round_compare(&progress) == 0) {
        round_judge(round, result);
    }
    if (result->verdict == TRAINER_WON &&
        (model_rename(progress.challenger, result->version, &err) != 0 ||
         (winner = model_copy(progress.challenger, &err)) == NULL)) {
        round_failed(result, TRAINER_FAILED, err.message);
    }
    model_free(progress.champion);
    model_free(progress.challenger);
    return winner;
}

/* One tick of a window, outputs in one piece of memory. */
static bool round_sane_outputs(const struct model_step *step, unsigned evidence,
                               char reason[256])
{
    size_t i;

    for (i = 0; i < step->batch * step->columns; i++) {
        if (!(step->low[i] <= step->expected[i] &&
              step->expected[i] <= step->high[i]) ||
            !isfinite(step->low[i]) || !isfinite(step->high[i])) {
            snprintf(reason, 256, "its band is %g..%g around %g",
                     (double)step->low[i], (double)step->high[i],
                     (double)step->expected[i]);
            return false;
        }
    }
    for (i = 0; i < step->batch * evidence; i++) {
        if (isinf(step->evidence[i])) {
            snprintf(reason, 256, "its evidence is infinite");
            return false;
        }
    }
    return true;
}

bool round_sane(struct model *model, const struct model_windows *windows,
                char reason[256])
{
    const struct model_shape *shape = model_describe(model);
    unsigned F = windows->columns, S, E, Q, t, ticks;
    size_t B = windows->batch, K = shape->lag_count, P = shape->season_count;
    size_t T = windows->ticks, b, floats;
    float *memory, *x, *past, *season;
    struct model_step step;
    struct err err;
    bool ok;

    if (model_sizes(model, F, &S, &E, &err) != 0) {
        snprintf(reason, 256, "%.200s", err.message);
        return false;
    }
    Q = shape->season_feature_count < F ? shape->season_feature_count : F;
    floats = B * (F * (4 + K) + P * Q + S + E);
    memory = calloc(floats, sizeof(float));
    if (memory == NULL) {
        snprintf(reason, 256, "out of memory");
        return false;
    }
    x = memory;
    past = x + B * F;
    season = past + B * K * F;
    step = (struct model_step){.batch = B,
                               .columns = F,
                               .state_size = S,
                               .x = x,
                               .past = past,
                               .season = season};
    step.state = season + B * P * Q;
    step.expected = step.state + B * S;
    step.low = step.expected + B * F;
    step.high = step.low + B * F;
    step.evidence = step.high + B * F;
    ok = model_initial(model, F, B, step.state, &err) == 0;
    ticks = T < ROUND_SANE_TICKS ? (unsigned)T : ROUND_SANE_TICKS;
    for (t = 0; ok && t < ticks; t++) {
        for (b = 0; b < B; b++) {
            memcpy(x + b * F, windows->x + (b * T + t) * F, F * sizeof(float));
            memcpy(past + b * K * F, windows->past + (b * T + t) * K * F,
                   K * F * sizeof(float));
            memcpy(season + b * P * Q, windows->season + (b * T + t) * P * Q,
                   P * Q * sizeof(float));
        }
        ok = model_step(model, &step, &err) == 0;
        if (ok && !round_sane_outputs(&step, E, reason)) {
            free(memory);
            return false;
        }
    }
    if (!ok) {
        snprintf(reason, 256, "%.200s", err.message);
    }
    free(memory);
    return ok;
}
