/*
 * What a detector is worth by labels: events found, alerts that were for
 * nothing, how late. An event is a run of labelled rows; an alert is a run of
 * rows that are told, as somebody who is called would count them.
 */
#ifndef TOCSIN_COMMAND_EVENTS_H
#define TOCSIN_COMMAND_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "../base/err.h"

struct events;

struct events_row {
    float score;
    bool label, alert;
};

struct events_tally {
    size_t events, found, alerts, wrong; /* wrong: alerts without an event */
    double delay; /* rows, median of those that were found; NaN: none */
};

/* Of how many, which were found, and the harmonic mean of both; 0 to 1. */
double events_precision(const struct events_tally *tally);
double events_recall(const struct events_tally *tally);
double events_f1(const struct events_tally *tally);

/* NULL and *err when memory runs out. */
struct events *events_create(struct err *err);
void events_destroy(struct events *events);

/* Takes a file of so many rows in; the caller fills them. NULL and *err when
 * memory runs out. */
struct events_row *events_add(struct events *events, size_t rows,
                              struct err *err);

/* Rows that count: all but the learning periods. */
size_t events_rows(const struct events *events);

/* By the alerts of the files. */
int events_alerts(const struct events *events, struct events_tally *tally,
                  struct err *err);

/* By the scores, at the one threshold for all files with the best F1. */
int events_scores(const struct events *events, struct events_tally *tally,
                  float *threshold, struct err *err);

#endif
