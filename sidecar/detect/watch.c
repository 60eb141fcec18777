/*
 * From a row of features to "this one, this strongly". Harm decides, not
 * surprise: a feature that went the good way, a change too small to matter,
 * more traffic than usual, or one bad request in a quiet hour are no reason to
 * wake anybody, and are told apart here, once, for every series.
 *
 * The guard for little traffic looks at what is usual as well as at the last
 * minute: a peer that nginx has taken out of the rotation after two refusals
 * gets next to no requests, and is just what must be told.
 */
#include "watch.h"

#include <math.h>

#include "effect.h"

#define MINUTE 60e6
#define SECOND 1e6
#define NARROW 0.8  /* of the errors had no answer: tell that */
#define CERTAIN 3.0 /* nats below which a column does no harm */

void watch_init(struct watch *watch)
{
    unsigned i;

    silence_init(&watch->silence);
    watch->minute = 0;
    watch->weight = 1;
    for (i = 0; i < FEATURE_COUNT; i++) {
        baseline_init(&watch->baselines[i]);
    }
}

/* Attempts without an answer count as errors too: say the narrower. */
static void narrow(struct sight *sight, const struct feature_batch *batch)
{
    struct voice *voice = &sight->voices[EFFECT_COUNTED];
    unsigned i;

    if (voice->column == WATCH_NONE ||
        batch->columns[voice->column] != FEATURE_ERRORS) {
        return;
    }
    for (i = 0; i < batch->column_count; i++) {
        const struct finding *found = &sight->findings[i];

        if (batch->columns[i] == FEATURE_LOCAL_ERRORS && found->harmful &&
            (double)found->nats >= NARROW * voice->nats) {
            voice->column = i;
        }
    }
}

/* How many requests of the kind that a feature is measured on there were. */
static double made_of(const struct aggregate *a, enum feature feature)
{
    double events = (double)a->events;

    if (feature == FEATURE_CACHE_HITS) {
        return a->weight == 0
                   ? 0
                   : events * (double)a->cacheable / (double)a->weight;
    }
    return events;
}

static struct look look_of(const struct watch *watch, const struct aggregate *a,
                           enum feature feature, double value)
{
    double usual = (double)watch->silence.usual;
    double load = usual > 0 ? (double)a->events / usual : 1;
    struct look look = {
        .value = value,
        .events = made_of(a, feature),
        .share_of_usual = fmin(load, 1),
    };

    if (feature == FEATURE_INFLIGHT) {
        look.value = value / fmax(load, 1); /* Little's law */
    }
    if (feature == FEATURE_INFLIGHT || feature == FEATURE_OLDEST) {
        look.share_of_usual = 1; /* told by beats, not by events */
    }
    return look;
}

static bool is_busy(const struct watch *watch,
                    const struct watch_options *options)
{
    double minute = MINUTE / (double)options->tick;
    double usual =
        (double)watch->silence.usual * (double)watch->weight * minute;

    return fmax(usual, (double)watch->minute) >=
           options->min_requests_per_minute;
}

static void count_requests(struct watch *watch,
                           const struct watch_options *options,
                           const struct aggregate *a)
{
    double requests = (double)a->weight / 1000;
    double ticks = fmax(MINUTE / (double)options->tick, 1);

    watch->minute = (float)((double)watch->minute * (1 - 1 / ticks) + requests);
    if (a->events > 0) {
        double weight = requests / (double)a->events;

        watch->weight += (float)((weight - (double)watch->weight) / 20);
    }
}

static void consider(struct sight *sight, uint32_t column, enum feature feature)
{
    const struct finding *found = &sight->findings[column];
    struct voice *voice = &sight->voices[effect_family_of(feature)];
    double nats = (double)found->nats;

    voice->loudest = fmax(voice->loudest, nats);
    sight->now |= found->now ? 1u << column : 0;
    if (!found->harmful || nats < CERTAIN) {
        return;
    }
    sight->harming |= 1u << column;
    sight->harmful = true;
    if (nats > voice->nats) {
        voice->nats = nats;
        voice->column = column;
    }
}

/* A peer that takes over what another one failed to answer sees retries, and
 * is the last to blame for them. */
static bool is_of_another(const struct identity *who, enum feature feature)
{
    return feature == FEATURE_RETRIES && who->scope == SCOPE_PEER;
}

static struct finding look_silence(struct watch *watch,
                                   const struct watch_options *options,
                                   const struct aggregate *a, bool frozen)
{
    struct silence_finding silent =
        silence_look(&watch->silence, (double)a->events, a->alive, frozen);
    double second = SECOND / (double)options->tick;
    float usual = watch->silence.usual * watch->weight * (float)second;
    struct finding found = {
        .nats = silent.harmful ? silent.nats : 0,
        .harmful = silent.harmful,
        .now = silent.harmful,
        .expected = usual,
        .low = usual / 50,
        .high = NAN,
    };

    return found;
}

void watch_look(struct watch *watch, const struct watch_options *options,
                const struct feature_batch *batch, uint32_t row,
                uint32_t frozen, struct sight *sight)
{
    const struct aggregate *a = batch->rows[row].aggregate;
    const float *x = batch->x + (size_t)row * batch->column_count;
    unsigned i;

    *sight = (struct sight){.column = WATCH_NONE};
    for (i = 0; i < EFFECT_FAMILIES; i++) {
        sight->voices[i].column = WATCH_NONE;
    }
    count_requests(watch, options, a);
    sight->busy = is_busy(watch, options);
    for (i = 0; i < batch->column_count; i++) {
        enum feature feature = batch->columns[i];
        bool held = (frozen >> i & 1) != 0;

        sight->observed = sight->observed || !isnan(x[i]);
        if (feature == FEATURE_RATE) {
            sight->findings[i] = look_silence(watch, options, a, held);
        } else if (feature < FEATURE_COUNT &&
                   !is_of_another(batch->rows[row].identity, feature)) {
            struct look look = look_of(watch, a, feature, (double)x[i]);

            look.frozen = held;
            sight->findings[i] =
                baseline_look(&watch->baselines[feature], feature, &look);
        }
        if (!sight->busy) {
            sight->findings[i].harmful = sight->findings[i].now = false;
            sight->findings[i].nats = 0;
        }
        if (feature < FEATURE_COUNT) {
            consider(sight, i, feature);
        }
    }
    narrow(sight, batch);
}

void watch_accept(struct watch *watch, const struct feature_batch *batch,
                  uint32_t columns)
{
    unsigned i;

    for (i = 0; i < batch->column_count; i++) {
        enum feature feature = batch->columns[i];

        if ((columns >> i & 1) == 0 || feature >= FEATURE_COUNT) {
            continue;
        }
        if (feature == FEATURE_RATE) {
            silence_accept(&watch->silence);
        } else {
            baseline_accept(&watch->baselines[feature], feature);
        }
    }
}

void watch_save(const struct watch *watch, struct buf *to)
{
    unsigned i;

    silence_save(&watch->silence, to);
    buf_put_f32(to, watch->minute);
    buf_put_f32(to, watch->weight);
    for (i = 0; i < FEATURE_COUNT; i++) {
        baseline_save(&watch->baselines[i], to);
    }
}

void watch_restore(struct watch *watch, struct cursor *from)
{
    unsigned i;

    silence_restore(&watch->silence, from);
    watch->minute = cursor_f32(from);
    watch->weight = cursor_f32(from);
    for (i = 0; i < FEATURE_COUNT; i++) {
        baseline_restore(&watch->baselines[i], from);
    }
}
