/*
 * How often does a statistic of a series reach that high by itself? The answer
 * is a rate per tick of false alarms at that height, whatever the shape of the
 * noise: it needs no assumption but that the statistic's highest values come
 * from a tail that falls at least exponentially beyond what was seen.
 *
 * Maxima of blocks of ticks (so that a cluster counts once) are standardised
 * by their series' own location and scale, shrunk to those of all series while
 * it is young; the standardised ones of all series together give the tail.
 */
#ifndef TOCSIN_TAIL_H
#define TOCSIN_TAIL_H

#include <stdint.h>

#include "../base/buf.h"
#include "../base/err.h"

#define TAIL_BLOCK 60 /* ticks, at most */

struct tail_options {
    uint32_t max;
    double location, scale; /* prior, of maxima of blocks of TAIL_BLOCK */
    double scale_min;
    unsigned block; /* ticks: well below those between alarms */
};

struct tail;

/* NULL and *err when memory runs out. */
struct tail *tail_create(const struct tail_options *options, struct err *err);
void tail_destroy(struct tail *tail);

/* A slot begins anew. */
void tail_reset(struct tail *tail, uint32_t slot);

/* Expected number of ticks, out of one, in which noise would raise an alarm
 * at this value: at most 1. */
double tail_rate(const struct tail *tail, uint32_t slot, double value);

/* The value whose rate is that. */
double tail_value(const struct tail *tail, uint32_t slot, double rate);

/* Learns from one quiet tick; values above ceiling count as ceiling. */
void tail_learn(struct tail *tail, uint32_t slot, double value, double ceiling);

/* After each batch: fits the tail anew if there were new maxima. */
void tail_fit(struct tail *tail);

void tail_save(const struct tail *tail, const uint8_t *used, struct buf *to);
int tail_restore(struct tail *tail, const uint8_t *used, struct cursor *from,
                 struct err *err);

#endif
