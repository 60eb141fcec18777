/*
 * Baselines of single features.
 *
 * The model judges the series as a whole; this file keeps the plain reference
 * that people are told ("expected 95-140 ms"), that an alarm is held against
 * until values are back, and that knows how a share of few requests differs
 * from one of many. Two statistics:
 *
 * SHARE. Of N events K were bad where p N are usual: the deviance of a Poisson
 * variable, K ln(K / pN) - (K - pN). One bad request out of one is thereby
 * little evidence, fifty out of a hundred very much. The usual share starts
 * from a prior worth PRIOR_EVENTS, so that a service that is already failing
 * when we first see it is not taken for normal.
 *
 * LEVEL. Logarithm, standardised by its own spread (shrunk to a prior while
 * young), winsorised, averaged over 1, about 3 and about 20 ticks; half the
 * square of the largest is its evidence.
 *
 * What is learned is winsorised too, and nothing is learned of a feature while
 * its alarm stands: an outage never becomes its own excuse.
 */
#include "baseline.h"

#include <math.h>

#define MEMORY 600.0 /* ticks */
#define FAST (1.0 / 3)
#define SLOW (1.0 / 20)
/* Deviation of a mean so weighted over independent values of deviation 1. */
#define FAST_DEVIATION 0.447
#define SLOW_DEVIATION 0.160

#define PRIOR_EVENTS 200.0
#define SHARE_MIN 0.0005
#define CLEAN_MAX 1e6F
#define OVER 4.0    /* nats for an end to be believed */
#define BAD_MIN 1.9 /* one bad request is never an alarm */

#define PRIOR_TICKS 30.0
#define SPREAD_MIN 0.03
#define EVIDENCE_MIN 12 /* ticks of LEVEL before it says anything */
#define Z_HIGH 8.0
#define Z_LOW 3.0
#define LEARN_MAX                                                              \
    2.5 /* deviations by which one tick may differ to be learned */

void baseline_init(struct baseline *baseline)
{
    *baseline = (struct baseline){0};
}

static double rate_of_learning(const struct baseline *baseline)
{
    return fmax(1.0 / (baseline->ticks + 1.0), 1.0 / MEMORY);
}

/* -------------------------------------------------------------- shares */

static double usual_share(const struct baseline *b, const struct effect *effect)
{
    double ticks = fmin(b->ticks, MEMORY);
    double bad = (double)b->level * ticks, all = (double)b->spread * ticks;

    return fmax((bad + effect->floor * PRIOR_EVENTS) / (all + PRIOR_EVENTS),
                SHARE_MIN);
}

static bool matters(const struct effect *effect, double value, double usual)
{
    return value >= usual + effect->add && value >= usual * effect->times;
}

static double deviance(double bad, double usual)
{
    return bad > usual ? bad * log(bad / usual) - (bad - usual) : 0;
}

static void weigh_share(struct finding *found, const struct effect *effect,
                        double bad, double all, double usual)
{
    double nats = all > 0 ? deviance(bad, all * usual) : 0;
    bool harmful =
        bad >= BAD_MIN && all > 0 && matters(effect, bad / all, usual);

    if ((harmful && !found->harmful) ||
        (harmful == found->harmful && nats > (double)found->nats)) {
        found->nats = (float)nats;
        found->harmful = harmful;
    }
}

/* When there were far fewer bad events lately than the longer window makes
 * expect, or none for long, what it remembers is over. */
static void notice_end(struct baseline *b, double bad, double all)
{
    double share = b->slow_all > 0 ? (double)b->slow / (double)b->slow_all : 0;
    double due = share * (double)b->fast_all, seen = (double)b->fast;
    double nats = due - seen + (seen > 0 ? seen * log(seen / due) : 0);

    b->clean = bad > 0 ? 0 : fminf(b->clean + (float)all, CLEAN_MAX);
    if (share * (double)b->clean > OVER) {
        b->fast = b->slow = 0;
        b->slow_all = b->fast_all;
    } else if (seen < due && nats > OVER) {
        b->slow = b->fast;
        b->slow_all = b->fast_all;
    }
}

static void learn_share(struct baseline *b, double bad, double all,
                        double usual)
{
    double rate = rate_of_learning(b);
    double most = all * usual + 3 * sqrt(all * usual) + 1;

    bad = fmin(bad, most);
    b->level = (float)((double)b->level + rate * (bad - (double)b->level));
    b->spread = (float)((double)b->spread + rate * (all - (double)b->spread));
    b->ticks++;
}

static struct finding look_share(struct baseline *b, enum feature feature,
                                 const struct look *look)
{
    const struct effect *effect = &effect_table[feature];
    struct finding found = {0};
    bool misses = feature_table[feature].harm == HARM_DOWN;
    double usual = usual_share(b, effect), bad = 0, all = 0;

    if (!isnan(look->value)) {
        all = look->events;
        bad = all * (misses ? 1 - look->value : look->value);
    }
    b->fast = (float)((double)b->fast * (1 - FAST) + bad);
    b->fast_all = (float)((double)b->fast_all * (1 - FAST) + all);
    b->slow = (float)((double)b->slow * (1 - SLOW) + bad);
    b->slow_all = (float)((double)b->slow_all * (1 - SLOW) + all);
    notice_end(b, bad, all);
    weigh_share(&found, effect, bad, all, usual);
    weigh_share(&found, effect, (double)b->fast, (double)b->fast_all, usual);
    weigh_share(&found, effect, (double)b->slow, (double)b->slow_all, usual);
    if (!look->frozen && all > 0) {
        learn_share(b, bad, all, usual);
    }
    found.now = all > 0 && matters(effect, bad / all, usual);
    found.expected = (float)(misses ? 1 - usual : usual);
    found.low =
        misses ? (float)fmax(
                     1 - fmax(usual + effect->add, usual * effect->times), 0)
               : 0;
    found.high =
        misses ? 1.0F : (float)fmax(usual + effect->add, usual * effect->times);
    return found;
}

/* -------------------------------------------------------------- levels */

static double usual_spread(const struct baseline *b,
                           const struct effect *effect)
{
    double ticks = fmin(b->ticks, MEMORY);
    double prior = effect->spread * effect->spread;
    double square = ((double)b->spread * ticks + prior * PRIOR_TICKS) /
                    (ticks + PRIOR_TICKS);

    return fmax(sqrt(square), SPREAD_MIN);
}

static void learn_level(struct baseline *b, double distance, double spread)
{
    double rate = rate_of_learning(b);

    if (b->ticks > EVIDENCE_MIN) {
        distance =
            fmax(fmin(distance, LEARN_MAX * spread), -LEARN_MAX * spread);
    }
    b->level = (float)((double)b->level + rate * distance);
    b->spread =
        (float)((1 - rate) * ((double)b->spread + rate * distance * distance));
    b->ticks++;
}

static double above_zero(double value)
{
    return value > 0 ? value : 0;
}

static struct finding band(const struct baseline *b,
                           const struct effect *effect)
{
    double spread = 3 * usual_spread(b, effect), level = (double)b->level;
    struct finding found = {0};

    if (b->ticks == 0) {
        found.expected = found.low = found.high = NAN;
        return found;
    }
    found.expected = (float)above_zero(exp(level) - effect->floor);
    found.low = (float)above_zero(exp(level - spread) - effect->floor);
    found.high = (float)above_zero(exp(level + spread) - effect->floor);
    return found;
}

static bool level_harms(const struct baseline *b, const struct effect *effect)
{
    double usual = exp((double)b->level) - effect->floor;
    double now = exp((double)b->level + (double)b->fast_all) - effect->floor;

    return matters(effect, now, usual);
}

static struct finding look_level(struct baseline *b, enum feature feature,
                                 const struct look *look)
{
    const struct effect *effect = &effect_table[feature];
    struct finding found = band(b, effect);
    double spread = usual_spread(b, effect), distance, z, most;

    if (isnan(look->value)) {
        return found;
    }
    distance = log(fmax(look->value, 0) + effect->floor);
    distance -= b->ticks == 0 ? 0 : (double)b->level;
    if (b->ticks >= EVIDENCE_MIN) {
        z = distance / spread * sqrt(fmin(look->share_of_usual, 1));
        z = fmax(fmin(z, Z_HIGH), -Z_LOW);
        b->fast = (float)((double)b->fast + FAST * (z - (double)b->fast));
        b->slow = (float)((double)b->slow + SLOW * (z - (double)b->slow));
        b->fast_all =
            (float)((double)b->fast_all +
                    FAST * (fmax(fmin(distance, 5), -5) - (double)b->fast_all));
        most = fmax(z, (double)b->fast / FAST_DEVIATION);
        most = fmax(most, (double)b->slow / SLOW_DEVIATION);
        found.nats = (float)(most > 0 ? most * most / 2 : 0);
        found.harmful = level_harms(b, effect);
        found.now =
            matters(effect, look->value, exp((double)b->level) - effect->floor);
    }
    if (!look->frozen) {
        learn_level(b, distance, spread);
    }
    return found;
}

struct finding baseline_look(struct baseline *baseline, enum feature feature,
                             const struct look *look)
{
    struct finding none = {.expected = NAN, .low = NAN, .high = NAN};

    switch (effect_table[feature].style) {
    case EFFECT_SHARE:
        return look_share(baseline, feature, look);
    case EFFECT_LEVEL:
        return look_level(baseline, feature, look);
    case EFFECT_STREAM:
    case EFFECT_IGNORE:
        break;
    }
    return none;
}

void baseline_accept(struct baseline *b, enum feature feature)
{
    if (effect_table[feature].style == EFFECT_LEVEL) {
        b->level += b->fast_all;
        b->fast = b->slow = b->fast_all = 0;
    } else if (effect_table[feature].style == EFFECT_SHARE) {
        b->level = b->slow * (float)SLOW;
        b->spread = b->slow_all * (float)SLOW;
    }
}

void baseline_save(const struct baseline *b, struct buf *to)
{
    buf_put_f32(to, b->level);
    buf_put_f32(to, b->spread);
    buf_put_f32(to, b->fast);
    buf_put_f32(to, b->slow);
    buf_put_f32(to, b->fast_all);
    buf_put_f32(to, b->slow_all);
    buf_put_f32(to, b->clean);
    buf_put_u32(to, b->ticks);
}

void baseline_restore(struct baseline *b, struct cursor *from)
{
    b->level = cursor_f32(from);
    b->spread = cursor_f32(from);
    b->fast = cursor_f32(from);
    b->slow = cursor_f32(from);
    b->fast_all = cursor_f32(from);
    b->slow_all = cursor_f32(from);
    b->clean = cursor_f32(from);
    b->ticks = cursor_u32(from);
}
