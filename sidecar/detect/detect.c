/*
 * Evidence becomes verdicts. For each series and tick three questions:
 *
 *   does the row stick out?      E = logit A + z150, as the model sees it
 *   is it news?                  the incident score of incident.h
 *   is it worth waking anybody?  the harm that watch.h finds, in nats, plus
 *                                head B's log odds, which are nats too
 *
 * The scores of the first two are what `backtest` prints. Alarms follow the
 * third where the features are known, the first where they are columns of a
 * file: then a row has to be rarer than the budget allows, and to stick out as
 * far as budget.h says. Each statistic is calibrated by a tail of its own
 * (tail.h) to a rate of false alarms, which is compared with the user's budget
 * spread over all series and ticks. Those of harm are harm.h's.
 *
 * What must stay true: a series in alarm teaches neither its tails (but those
 * of a file, see learn_row()) nor the baselines of the features that are wrong;
 * the verdict of a row depends on what came before it only; saving and
 * restoring changes no bit.
 */
#include "detect.h"

#include <math.h>
#include <stdlib.h>

#include "alarm.h"
#include "budget.h"
#include "evidence.h"
#include "harm.h"
#include "incident.h"
#include "score.h"
#include "tail.h"
#include "watch.h"

#define HOUR 3600e6
#define ACCEPT 1.0        /* hours after which a new level is normal... */
#define ACCEPT_FAILING 24 /* ...and that many errors are */
#define CAPPED 0.05       /* of the blocks teach the tail less than they are */
#define BLOCK 0.5         /* of the ticks between two alarms, at most... */
#define CLEAR 0.125       /* ...and of those that end one */

/* Priors of block maxima, from series of synthetic traffic. */
static const struct tail_options tail_row = {0, 1.0, 0.7, 0.2, 0};
static const struct tail_options tail_news = {0, 0.4, 0.25, 0.05, 0};

struct subject {
    struct incident incident;
    struct watch watch;
    struct harm_past past;
    struct alarm alarm;
};

struct detect {
    struct detect_options options;
    struct evidence_columns evidence;
    struct detect_sink sink;
    struct subject *subjects;
    struct verdict *verdicts;
    uint8_t *used;
    struct tail *row, *news;
    struct harm *harm;
    unsigned block; /* ticks, of the tails */
};

/* One row on its way to a verdict. */
struct trial {
    const struct scored_batch *scored;
    uint32_t index, slot;
    bool known;         /* the columns are features, not those of a file */
    double share, rate; /* that the budget allows each row; a row of this one */
    bool counted;       /* it is the rate that decides, not budget_least() */
    double sticks_out;
    struct incident_score news;
    struct sight sight;
    double model;  /* nats that it adds to the harm */
    double chance; /* rate of false alarms as strong as this */
    double single; /* of this tick alone, made dearer */
};

static struct tail *make_tail(const struct detect *detect,
                              const struct tail_options *prior, struct err *err)
{
    struct tail_options options = *prior;

    options.max = detect->options.max;
    options.block = detect->block;
    return tail_create(&options, err);
}

static int make_tables(struct detect *detect, struct err *err)
{
    uint32_t max = detect->options.max;

    detect->subjects = calloc(max, sizeof(*detect->subjects));
    detect->verdicts = calloc(max, sizeof(*detect->verdicts));
    detect->used = calloc(max, sizeof(*detect->used));
    if (detect->subjects == NULL || detect->verdicts == NULL ||
        detect->used == NULL) {
        return err_set(err, ERR_SYSTEM, "no memory for %u series", max);
    }
    if ((detect->row = make_tail(detect, &tail_row, err)) == NULL ||
        (detect->news = make_tail(detect, &tail_news, err)) == NULL ||
        (detect->harm = harm_create(max, detect->block, err)) == NULL) {
        return -1;
    }
    return 0;
}

struct detect *detect_create(const struct detect_options *options,
                             const struct model_shape *shape,
                             struct detect_sink sink, struct err *err)
{
    struct detect *detect;

    if (options->max == 0 || options->tick == 0 || options->clear == 0 ||
        !(options->false_alarms_per_day > 0)) {
        err_set(err, ERR_USAGE, "detect: a limit of zero");
        return NULL;
    }
    detect = calloc(1, sizeof(*detect));
    if (detect == NULL) {
        err_set(err, ERR_SYSTEM, "no memory");
        return NULL;
    }
    detect->options = *options;
    detect->sink = sink;
    detect->block = budget_part(
        BLOCK,
        budget_rate(options->false_alarms_per_day, options->tick, options->max),
        TAIL_BLOCK);
    if (evidence_find(shape, &detect->evidence, err) != 0 ||
        make_tables(detect, err) != 0) {
        detect_destroy(detect);
        return NULL;
    }
    return detect;
}

void detect_destroy(struct detect *detect)
{
    if (detect == NULL) {
        return;
    }
    tail_destroy(detect->row);
    tail_destroy(detect->news);
    harm_destroy(detect->harm);
    free(detect->subjects);
    free(detect->verdicts);
    free(detect->used);
    free(detect);
}

static void begin_subject(struct detect *detect, uint32_t slot)
{
    struct subject *subject = &detect->subjects[slot];

    incident_init(&subject->incident);
    watch_init(&subject->watch);
    alarm_init(&subject->alarm);
    tail_reset(detect->row, slot);
    tail_reset(detect->news, slot);
    harm_reset(detect->harm, slot, &subject->past);
    detect->used[slot] = 1;
}

void detect_leave_out(struct detect *detect, unsigned parts)
{
    detect->options.without = parts;
}

void detect_leave(struct detect *detect, const struct identity *who)
{
    if (who->slot < detect->options.max) {
        detect->used[who->slot] = 0;
    }
}

/* --------------------------------------------------------------- a trial */

static bool columns_known(const struct feature_batch *batch)
{
    return batch->column_count > 0 && batch->columns[0] < FEATURE_COUNT;
}

static double clip(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static double model_nats(double begins)
{
    return isnan(begins) ? 0 : clip(begins + 2, -2, 8);
}

static double sticks_out(unsigned without, const struct evidence *evidence)
{
    double score = (without & DETECT_HEAD_A) != 0 ? 0 : evidence->sticks_out;

    return (without & DETECT_Z150) != 0 ? score : score + evidence->z150;
}

static unsigned news_without(unsigned without)
{
    return ((without & DETECT_HEAD_B) != 0 ? INCIDENT_HEAD : 0u) |
           ((without & DETECT_NOVELTY) != 0 ? INCIDENT_NOVELTY : 0u) |
           ((without & DETECT_DRIFT) != 0 ? INCIDENT_DRIFT : 0u) |
           ((without & DETECT_ROUGHNESS) != 0 ? INCIDENT_ROUGHNESS : 0u) |
           ((without & DETECT_BUDGET) != 0 ? INCIDENT_BUDGET : 0u);
}

static void hear_evidence(struct detect *detect, struct trial *trial)
{
    const float *row = trial->scored->evidence +
                       (size_t)trial->index * trial->scored->evidence_count;
    struct evidence evidence = evidence_of(&detect->evidence, row);
    struct subject *subject = &detect->subjects[trial->slot];
    struct incident_row news = {
        .logit_b = evidence.begins,
        .novelty = evidence.novelty,
        .distance = evidence.drift,
        .roughness = evidence.roughness,
        .without = news_without(detect->options.without),
    };

    trial->sticks_out = sticks_out(detect->options.without, &evidence);
    trial->news = incident_step(&subject->incident, &news);
    trial->model = (detect->options.without & DETECT_HEAD_B) != 0
                       ? 0
                       : model_nats(evidence.begins);
}

static void hear_harm(struct detect *detect, struct trial *trial)
{
    struct subject *subject = &detect->subjects[trial->slot];
    struct watch_options options = {
        .min_requests_per_minute = detect->options.min_requests_per_minute,
        .tick = detect->options.tick,
    };
    uint32_t frozen = subject->alarm.on ? subject->alarm.columns : 0;
    struct harm_trial judged = {
        .sight = &trial->sight,
        .model = trial->model,
        .rate = trial->rate * alarm_thrift(&subject->alarm),
    };
    struct harm_finding found;

    watch_look(&subject->watch, &options, trial->scored->batch, trial->index,
               frozen, &trial->sight);
    judged.learn = !subject->alarm.on && trial->sight.observed;
    found = harm_judge(detect->harm, trial->slot, &subject->past, &judged);
    trial->sight.column = found.column;
    trial->chance = found.chance;
    trial->single = found.single;
}

/* Of a file nothing is known but how far each column is from its band. */
static uint32_t farthest_column(const struct trial *trial)
{
    unsigned count = trial->scored->batch->column_count, i;
    size_t at = (size_t)trial->index * count;
    uint32_t farthest = 0;
    double most = -1;

    for (i = 0; i < count; i++) {
        double x = (double)trial->scored->batch->x[at + i];
        double half = ((double)trial->scored->high[at + i] -
                       (double)trial->scored->low[at + i]) /
                      2;
        double far = fabs(x - (double)trial->scored->expected[at + i]) /
                     (half > 0 ? half : 1);

        if (far > most) {
            most = far;
            farthest = i;
        }
    }
    return farthest;
}

static void hear_columns(struct detect *detect, struct trial *trial)
{
    struct sight *sight = &trial->sight;
    double bar = tail_value(detect->row, trial->slot, trial->rate);
    double least = budget_least(detect->options.false_alarms_per_day);

    *sight = (struct sight){.column = farthest_column(trial), .busy = true};
    trial->chance = tail_rate(detect->row, trial->slot, trial->sticks_out);
    sight->observed = !isnan(trial->sticks_out);
    sight->harmful = sight->observed && trial->sticks_out >= fmax(bar, least);
    trial->counted = sight->observed && bar > least;
    sight->harming = sight->now = 1u << (sight->column % ALARM_COLUMNS);
    if (sight->observed && !detect->subjects[trial->slot].alarm.on) {
        tail_learn(detect->news, trial->slot, trial->news.surprise,
                   tail_value(detect->news, trial->slot, trial->rate));
    }
}

/* A column that has been in alarm too long describes how things are now. Errors
 * are harm of themselves: a day of them is needed before they are. */
static void accept_new_normal(struct detect *detect, const struct trial *trial)
{
    struct subject *subject = &detect->subjects[trial->slot];
    struct alarm *alarm = &subject->alarm;
    const struct feature_batch *batch = trial->scored->batch;
    double tick = (double)detect->options.tick / HOUR;
    uint32_t columns = 0;
    unsigned i;

    if (!trial->known || !alarm->on || alarm->lasted * tick < ACCEPT) {
        return;
    }
    for (i = 0; i < batch->column_count; i++) {
        enum feature feature = batch->columns[i];
        bool failing =
            feature == FEATURE_ERRORS || feature == FEATURE_LOCAL_ERRORS;

        if ((alarm->columns >> i & 1) != 0 &&
            alarm_age(alarm, i) * tick >= (failing ? ACCEPT_FAILING : ACCEPT)) {
            columns |= 1u << i;
        }
    }
    if (columns != 0) {
        watch_accept(&subject->watch, batch, columns);
        alarm_accept(alarm, columns);
    }
}

static void decide(struct detect *detect, const struct trial *trial)
{
    struct alarm *alarm = &detect->subjects[trial->slot].alarm;
    double rate = trial->rate * alarm_thrift(alarm);
    struct alarm_input input = {
        .start = trial->scored->batch->end - trial->scored->batch->length,
        .observed = trial->sight.observed,
        .harmful = trial->sight.harmful,
        .rare = trial->chance <= rate,
        .sudden = trial->known && trial->single <= rate,
        .columns = trial->sight.harming,
        .column = trial->sight.column,
        .clear = budget_part(CLEAR, trial->share, detect->options.clear),
        .hour = fmin(HOUR / (double)detect->options.tick, 1 / trial->share),
        .allowed = trial->counted ? trial->share : 0,
    };

    alarm_step(alarm, &input);
    accept_new_normal(detect, trial);
}

/* --------------------------------------------------------------- verdicts */

static float bounded(double value)
{
    return isnan(value) ? 0 : (float)clip(value, -1e6, 1e6);
}

static void tell_feature(const struct trial *trial, uint32_t column,
                         struct verdict *verdict)
{
    const struct scored_batch *scored = trial->scored;
    size_t at = (size_t)trial->index * scored->batch->column_count + column;
    const struct finding *found = &trial->sight.findings[column];

    verdict->column = column;
    verdict->feature = scored->batch->columns[column];
    verdict->observed = scored->batch->x[at];
    if (trial->known && !isnan(found->expected)) {
        verdict->expected = found->expected;
        verdict->low = found->low;
        verdict->high = found->high;
    } else if (scored->expected != NULL) {
        verdict->expected = scored->expected[at];
        verdict->low = scored->low[at];
        verdict->high = scored->high[at];
    }
}

static float incident_score_of(const struct detect *detect,
                               const struct trial *trial)
{
    if (trial->known) {
        return trial->sight.harmful ? score_of_rate(trial->chance) : 0;
    }
    return trial->news.told > 0
               ? score_of_rate(
                     tail_rate(detect->news, trial->slot, trial->news.surprise))
               : 0;
}

static void give_verdict(struct detect *detect, const struct trial *trial,
                         struct verdict *verdict)
{
    const struct series_row *row = &trial->scored->batch->rows[trial->index];
    const struct alarm *alarm = &detect->subjects[trial->slot].alarm;
    uint32_t column = trial->sight.column;

    *verdict = (struct verdict){
        .identity = row->identity,
        .aggregate = row->aggregate,
        .anomaly = isnan(trial->sticks_out)
                       ? 0
                       : score_of_rate(tail_rate(detect->row, trial->slot,
                                                 trial->sticks_out)),
        .incident = incident_score_of(detect, trial),
        .anomaly_raw = bounded(trial->sticks_out),
        .incident_raw = bounded(trial->news.told),
        .tail = trial->chance,
        .alarm = alarm->on,
        .sudden = alarm->on && alarm->sudden,
        .harmed = alarm->on && (alarm->columns & trial->sight.now) != 0,
        .judged = trial->sight.busy,
        .accepted = alarm->accepted,
        .since = alarm->on ? alarm->since : 0,
        .feature = FEATURE_COUNT,
        .observed = NAN,
        .expected = NAN,
        .low = NAN,
        .high = NAN,
    };
    if (column == WATCH_NONE && alarm->on) {
        column = alarm->column;
    }
    if (column < trial->scored->batch->column_count) {
        tell_feature(trial, column, verdict);
    }
}

/* Values are capped at a rate that is rare even if many alarms are wanted. A
 * file teaches in its alarms too: with many of them the rest would be what is
 * quiet. */
static void learn_row(struct detect *detect, const struct trial *trial)
{
    double rate = fmin(trial->rate, CAPPED / detect->block);

    if (isnan(trial->sticks_out) ||
        (trial->known && detect->subjects[trial->slot].alarm.on)) {
        return;
    }
    tail_learn(detect->row, trial->slot, trial->sticks_out,
               tail_value(detect->row, trial->slot, rate));
}

static void try_row(struct detect *detect, struct trial *trial,
                    struct verdict *verdict)
{
    if (!detect->used[trial->slot]) {
        begin_subject(detect, trial->slot);
    }
    trial->counted = false;
    trial->rate =
        trial->share * alarm_owed(&detect->subjects[trial->slot].alarm);
    hear_evidence(detect, trial);
    if (trial->known) {
        hear_harm(detect, trial);
    } else {
        hear_columns(detect, trial);
    }
    decide(detect, trial);
    give_verdict(detect, trial, verdict);
    learn_row(detect, trial);
}

void detect_batch(struct detect *detect, const struct scored_batch *scored)
{
    const struct feature_batch *batch = scored->batch;
    struct verdict_batch out = {
        .end = batch->end,
        .length = batch->length,
        .verdicts = detect->verdicts,
        .scored = scored,
    };
    struct trial trial = {
        .scored = scored,
        .known = columns_known(batch),
        .share = budget_rate(detect->options.false_alarms_per_day,
                             detect->options.tick, batch->count),
    };
    uint32_t i;

    for (i = 0; i < batch->count; i++) {
        trial.index = i;
        trial.slot = batch->rows[i].identity->slot;
        try_row(detect, &trial, &detect->verdicts[i]);
    }
    out.count = batch->count;
    tail_fit(detect->row);
    tail_fit(detect->news);
    harm_fit(detect->harm);
    detect->sink.verdicts(detect->sink.ctx, &out);
}

/* ------------------------------------------------------------- checkpoint */

#define FORMAT 6

void detect_save(const struct detect *detect, struct buf *to)
{
    uint32_t i;

    buf_put_u32(to, FORMAT);
    buf_put_u32(to, detect->options.max);
    for (i = 0; i < detect->options.max; i++) {
        buf_putc(to, (char)detect->used[i]);
    }
    for (i = 0; i < detect->options.max; i++) {
        if (detect->used[i]) {
            incident_save(&detect->subjects[i].incident, to);
            watch_save(&detect->subjects[i].watch, to);
            harm_past_save(&detect->subjects[i].past, to);
            alarm_save(&detect->subjects[i].alarm, to);
        }
    }
    tail_save(detect->row, detect->used, to);
    tail_save(detect->news, detect->used, to);
    harm_save(detect->harm, detect->used, to);
}

static int restore_used(struct detect *detect, struct cursor *from,
                        struct err *err)
{
    uint32_t format = cursor_u32(from), max = cursor_u32(from), i;
    const char *used;

    if (from->failed || format != FORMAT) {
        return err_set(err, ERR_INPUT,
                       "detector's state is of format %u, not of %u", format,
                       FORMAT);
    }
    if (max > detect->options.max) {
        return err_set(err, ERR_INPUT,
                       "detector's state is of a series.max of %u, expected "
                       "at most the present one, %u",
                       max, detect->options.max);
    }
    used = cursor_bytes(from, max);
    if (used == NULL) {
        return err_set(err, ERR_INPUT, "detector's state is cut off");
    }
    for (i = 0; i < detect->options.max; i++) {
        detect->used[i] = i < max && used[i] != 0;
    }
    return 0;
}

int detect_restore(struct detect *detect, struct cursor *from, struct err *err)
{
    uint32_t i;

    if (restore_used(detect, from, err) != 0) {
        return -1;
    }
    for (i = 0; i < detect->options.max; i++) {
        if (detect->used[i]) {
            begin_subject(detect, i);
            incident_restore(&detect->subjects[i].incident, from);
            watch_restore(&detect->subjects[i].watch, from);
            harm_past_restore(&detect->subjects[i].past, from);
            alarm_restore(&detect->subjects[i].alarm, from);
        }
    }
    if (tail_restore(detect->row, detect->used, from, err) != 0 ||
        tail_restore(detect->news, detect->used, from, err) != 0 ||
        harm_restore(detect->harm, detect->used, from, err) != 0) {
        return -1;
    }
    if (from->failed) {
        return err_set(err, ERR_INPUT, "detector's state is cut off");
    }
    return 0;
}
