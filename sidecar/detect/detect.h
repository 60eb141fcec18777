/*
 * From the model's evidence to verdicts: two scores (does this row stick out;
 * is it a rare change that somebody should be told) and whether the series is
 * in alarm, calibrated to a budget of false alarms a day for the whole
 * deployment.
 */
#ifndef TOCSIN_DETECT_H
#define TOCSIN_DETECT_H

#include "../base/buf.h"
#include "../base/err.h"
#include "../model/scorer.h"

/* What scores can do without, to see what it is worth. The alarms of known
 * features depend on head B alone, beside their baselines. */
enum detect_part {
    DETECT_HEAD_A = 1,
    DETECT_Z150 = 2,
    DETECT_HEAD_B = 4,
    DETECT_NOVELTY = 8,
    DETECT_DRIFT = 16,
    DETECT_ROUGHNESS = 32,
    DETECT_BUDGET = 64
};

struct detect_options {
    double false_alarms_per_day;
    double min_requests_per_minute;
    unsigned clear; /* quiet ticks that end an alarm */
    uint64_t tick;  /* us */
    uint32_t max;
    unsigned without; /* of enum detect_part */
};

/* One series in one tick. */
struct verdict {
    const struct identity *identity;
    const struct aggregate *aggregate;
    float anomaly;  /* 0..100: does it stick out; comparable between series */
    float incident; /* 0..100: is it a change somebody should be told of */
    float anomaly_raw, incident_raw; /* before the mapping to 0..100 */
    double tail;          /* calibrated probability of evidence this strong */
    bool alarm;           /* in alarm, after hysteresis */
    bool sudden;          /* overwhelming: needs no second tick */
    bool harmed;          /* what the alarm is about is seen in this tick */
    bool judged;          /* it had traffic enough for its harm to be seen */
    uint32_t accepted;    /* mask of columns whose harm, in the last alarm, went
                             on for so long that it is normal now */
    uint64_t since;       /* us: the tick in which the alarm began */
    enum feature feature; /* that tells most; FEATURE_COUNT if none */
    unsigned column;      /* of it, in the batch */
    float observed, expected, low, high; /* of that feature */
};

struct verdict_batch {
    uint64_t end, length;
    uint32_t count;
    const struct verdict *verdicts; /* in the order of slots */
    const struct scored_batch *scored;
};

struct detect_sink {
    void *ctx;
    void (*verdicts)(void *ctx, const struct verdict_batch *batch);
};

struct detect;

struct detect *detect_create(const struct detect_options *options,
                             const struct model_shape *shape,
                             struct detect_sink sink, struct err *err);
void detect_destroy(struct detect *detect);
void detect_batch(struct detect *detect, const struct scored_batch *batch);
/* From now on without these parts (enum detect_part). */
void detect_leave_out(struct detect *detect, unsigned parts);

void detect_leave(struct detect *detect, const struct identity *who);
void detect_save(const struct detect *detect, struct buf *to);
int detect_restore(struct detect *detect, struct cursor *from, struct err *err);

#endif
