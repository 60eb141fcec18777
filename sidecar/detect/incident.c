/*
 * The incident score. Five streams are made comparable by the same question,
 * "how often does a stretch of this series reach that high by itself?": head
 * B's odds of this row, its odds averaged over ten rows, how far the value
 * lies beyond all that was seen, how far the last rows together are from where
 * they should be, and how much rougher or smoother they are. Each is a Gumbel
 * fit to the maxima of past blocks and answers in powers of ten. The two of B
 * are averaged by squares, the result with the others; B's own conviction is
 * added.
 *
 * The last two are for what never sticks out: head B is told of single rows
 * and learns of onsets, but a mean of thirty rows (Roberts' chart, 1959) tells
 * a shift that is no more than the noise of one, and a line that has gone
 * flat. They also make the score depend less on the network that happened to
 * be trained.
 *
 * Then the budget: an alert raises the bar for the next ones, which falls
 * again as rows go by, and a refractory time follows each.
 *
 * Everything is causal: a row is judged by the fit to blocks that had ended
 * before it. The constants were found on development corpora of one-column
 * series; they count rows, whatever a row's length in time.
 */
#include "incident.h"

#include <math.h>

#define BLOCK 50   /* rows */
#define OFFSET 20  /* rows before the first block, which are never told */
#define FITTED 3   /* blocks before the fit is used */
#define SHRINK 0.5 /* prior of the deviation of the maxima... */
#define WEIGHT 2.0 /* ...and how many blocks it is worth */
#define CAP 6.0    /* of each part, in powers of ten */
#define DRIFT 30.0 /* rows: memory of mean distance and roughness */

#define WARM 200         /* rows before the first alert */
#define NOVELTY_WARM 100 /* rows before novelty counts */
#define BAR 0.35
#define CONVICTION 0.2
#define RAISE 0.15     /* of the bar by each alert */
#define FORGET 3000.0  /* rows; less while the series is young */
#define REFRACTORY 100 /* rows; at most the age */

#define NEVER UINT32_MAX

static void gumbel_init(struct gumbel *gumbel)
{
    gumbel->blocks = 0;
    gumbel->highest = -INFINITY;
    gumbel->location = 0;
    gumbel->scale = 1;
}

static void gumbel_fit(struct gumbel *gumbel)
{
    unsigned n =
        gumbel->blocks < INCIDENT_BLOCKS ? gumbel->blocks : INCIDENT_BLOCKS;
    double mean = 0, square = 0, deviation;
    unsigned i;

    for (i = 0; i < n; i++) {
        mean += (double)gumbel->maxima[i];
    }
    mean /= n;
    for (i = 0; i < n; i++) {
        double d = (double)gumbel->maxima[i] - mean;

        square += d * d;
    }
    deviation = sqrt((square + WEIGHT * SHRINK * SHRINK) / (n + WEIGHT));
    gumbel->scale = (float)(deviation * 0.7797);
    gumbel->location = (float)(mean - 0.5772 * deviation * 0.7797);
}

/* -log10 of the chance that a block reaches log(value + 1e-3). */
static double gumbel_step(struct gumbel *gumbel, double value, uint32_t row)
{
    double v = log(value + 1e-3), out = 0;

    if (gumbel->blocks >= FITTED) {
        double z = (v - (double)gumbel->location) / (double)gumbel->scale;
        double p = z < 15 ? 1 - exp(-exp(-z)) : exp(-z);

        out = -log10(p + 1e-300);
    }
    if (row < OFFSET) {
        return out;
    }
    gumbel->highest = fmaxf(gumbel->highest, (float)v);
    if ((row + 1) % BLOCK == 0) {
        gumbel->maxima[gumbel->blocks % INCIDENT_BLOCKS] = gumbel->highest;
        gumbel->blocks++;
        gumbel->highest = -INFINITY;
        gumbel_fit(gumbel);
    }
    return out;
}

/* Odds of the mean of the last probabilities. */
static double roll(struct incident *incident, double logit)
{
    uint32_t rows = incident->row + 1;
    unsigned n = rows < INCIDENT_ROLL ? rows : INCIDENT_ROLL, i;
    double sum = 0;

    incident->roll[incident->row % INCIDENT_ROLL] =
        (float)(1 / (1 + exp(-logit)));
    for (i = 0; i < n; i++) {
        sum += (double)incident->roll[i];
    }
    sum /= n;
    return exp(log(sum + 1e-9) - log(1 - sum + 1e-9));
}

static double clip(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

/* Size of the mean of the last rows. */
static double away(float *mean, double value, uint32_t row)
{
    double pull = fmax(1.0 / (row + 1.0), 1 / DRIFT);

    value = isnan(value) ? 0 : clip(value, -8, 8);
    *mean = (float)((double)*mean + pull * (value - (double)*mean));
    return fabs((double)*mean);
}

/* What head B says, in powers of ten. */
static double head(struct incident *incident, double logit_b)
{
    uint32_t at = incident->row;
    double odds = gumbel_step(&incident->odds, exp(logit_b), at);
    double rolled = gumbel_step(&incident->rolled, roll(incident, logit_b), at);

    odds = clip(odds, 0, CAP);
    rolled = clip(rolled, 0, CAP);
    return sqrt((odds * odds + rolled * rolled) / 2);
}

/* The parts that are powers of ten. */
static double rarity(struct incident *incident, const struct incident_row *row,
                     double logit_b)
{
    uint32_t at = incident->row;
    double far = at < NOVELTY_WARM || !(row->novelty > 0) ? 0 : row->novelty;
    double drift = away(&incident->drift, row->distance, at);
    double roughness = away(&incident->roughness, row->roughness, at);
    const struct {
        unsigned part;
        double weight, value;
    } parts[] = {
        {INCIDENT_HEAD, 0.25, head(incident, logit_b)},
        {INCIDENT_NOVELTY, 0.25,
         gumbel_step(&incident->novelty, fmin(far, 1e30), at)},
        {INCIDENT_DRIFT, 0.5, gumbel_step(&incident->drifted, drift, at)},
        {INCIDENT_ROUGHNESS, 0.15,
         gumbel_step(&incident->roughened, roughness, at)},
    };
    double sum = 0, weights = 0, all = 0;
    unsigned i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        all += parts[i].weight;
        if ((row->without & parts[i].part) == 0) {
            weights += parts[i].weight;
            sum += parts[i].weight * clip(parts[i].value, 0, CAP);
        }
    }
    return weights > 0 ? sum * (all / weights) : 0;
}

static double surprise(struct incident *incident,
                       const struct incident_row *row)
{
    double logit_b = clip(row->logit_b, -30, 30);
    double rare = rarity(incident, row, logit_b);

    if ((row->without & INCIDENT_HEAD) != 0) {
        return rare;
    }
    return rare + CONVICTION * clip(logit_b + 2, -2, 4);
}

/* What the budget lets through. */
static double spend(struct incident *incident, double score)
{
    uint32_t row = incident->row;
    double memory = fmin(FORGET, 10.0 * row + 200);
    uint32_t rest = row < REFRACTORY ? row : REFRACTORY;
    double before;

    incident->spent = (float)((double)incident->spent * exp(-1 / memory));
    before = (double)incident->spent;
    if (row < WARM || score <= BAR + RAISE * before ||
        (incident->last != NEVER && row - incident->last <= rest)) {
        return 0;
    }
    incident->last = row;
    incident->spent += 1;
    return score - RAISE * before + 10;
}

void incident_init(struct incident *incident)
{
    *incident = (struct incident){.last = NEVER};
    gumbel_init(&incident->odds);
    gumbel_init(&incident->rolled);
    gumbel_init(&incident->novelty);
    gumbel_init(&incident->drifted);
    gumbel_init(&incident->roughened);
}

/* A row without evidence is no row: nothing was observed. */
struct incident_score incident_step(struct incident *incident,
                                    const struct incident_row *row)
{
    struct incident_score score = {0, 0};

    if (isnan(row->logit_b)) {
        return score;
    }
    score.surprise = surprise(incident, row);
    if ((row->without & INCIDENT_BUDGET) != 0) {
        score.told = incident->row < WARM ? 0 : fmax(score.surprise + 10, 0);
    } else {
        score.told = spend(incident, score.surprise);
    }
    incident->row++;
    return score;
}

static void gumbel_save(const struct gumbel *gumbel, struct buf *to)
{
    unsigned i;

    for (i = 0; i < INCIDENT_BLOCKS; i++) {
        buf_put_f32(to, gumbel->maxima[i]);
    }
    buf_put_u32(to, gumbel->blocks);
    buf_put_f32(to, gumbel->highest);
    buf_put_f32(to, gumbel->location);
    buf_put_f32(to, gumbel->scale);
}

static void gumbel_restore(struct gumbel *gumbel, struct cursor *from)
{
    unsigned i;

    for (i = 0; i < INCIDENT_BLOCKS; i++) {
        gumbel->maxima[i] = cursor_f32(from);
    }
    gumbel->blocks = cursor_u32(from);
    gumbel->highest = cursor_f32(from);
    gumbel->location = cursor_f32(from);
    gumbel->scale = cursor_f32(from);
}

void incident_save(const struct incident *incident, struct buf *to)
{
    unsigned i;

    gumbel_save(&incident->odds, to);
    gumbel_save(&incident->rolled, to);
    gumbel_save(&incident->novelty, to);
    gumbel_save(&incident->drifted, to);
    gumbel_save(&incident->roughened, to);
    for (i = 0; i < INCIDENT_ROLL; i++) {
        buf_put_f32(to, incident->roll[i]);
    }
    buf_put_f32(to, incident->drift);
    buf_put_f32(to, incident->roughness);
    buf_put_f32(to, incident->spent);
    buf_put_u32(to, incident->row);
    buf_put_u32(to, incident->last);
}

void incident_restore(struct incident *incident, struct cursor *from)
{
    unsigned i;

    gumbel_restore(&incident->odds, from);
    gumbel_restore(&incident->rolled, from);
    gumbel_restore(&incident->novelty, from);
    gumbel_restore(&incident->drifted, from);
    gumbel_restore(&incident->roughened, from);
    for (i = 0; i < INCIDENT_ROLL; i++) {
        incident->roll[i] = cursor_f32(from);
    }
    incident->drift = cursor_f32(from);
    incident->roughness = cursor_f32(from);
    incident->spent = cursor_f32(from);
    incident->row = cursor_u32(from);
    incident->last = cursor_u32(from);
}
