/* The words of alerts: names, values with units, sentences. */
#ifndef TOCSIN_TEXT_H
#define TOCSIN_TEXT_H

#include "../base/buf.h"
#include "../base/feature_table.h"
#include "../base/identity.h"
#include "shared/span.h"

#define TEXT_NAME_MAX 32

/* "LatencyHigh" and the like; static. */
const char *text_alertname(enum feature feature, enum scope scope);

/* "812 ms", "12 %", "3.4/s"; nothing for NaN. */
void text_value(struct buf *to, double value, const char *unit);

/* "aws us-east-1", "shop 10.0.0.1:80": what a set of labels (PAIRS) is. */
void text_subject(struct buf *to, struct tocsin_span labels);

/* "3 min 20 s" */
void text_duration(struct buf *to, uint64_t us);

struct text_facts {
    struct tocsin_span labels;
    enum feature feature;
    const char *unit, *column; /* of a file: the column's name or "value" */
    double observed, expected, low, high;
    double score;
    uint64_t started, now;
    unsigned peers, upstreams, routes, others; /* parts, by scope */
    struct tocsin_span upstream; /* the one that all parts have, or empty */
    bool clients_see, retried, ended;
};

/* One line: "aws us-east-1: latency_p95 812 ms, expected 95-140 ms (...)". */
void text_summary(struct buf *to, const struct text_facts *facts);

/* What, since when, against what, how sure, which parts. */
void text_description(struct buf *to, const struct text_facts *facts);

#endif
