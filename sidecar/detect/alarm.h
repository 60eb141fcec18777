/*
 * Whether one series is in alarm: it begins when the evidence of two ticks is
 * rarer than the budget allows, or that of one tick much rarer, and ends when
 * nothing has done harm for a while.
 */
#ifndef TOCSIN_ALARM_H
#define TOCSIN_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/buf.h"

#define ALARM_COLUMNS 32

struct alarm {
    bool on;
    bool sudden;
    uint32_t columns;  /* mask of those that did harm since it began */
    uint32_t accepted; /* mask of those whose harm became normal in it */
    uint32_t joined[ALARM_COLUMNS]; /* `lasted` when each of `columns` came */
    uint32_t column;                /* that told most when it was last clear */
    uint32_t quiet;                 /* ticks without harm */
    uint32_t lasted;                /* ticks in alarm */
    uint32_t run;                   /* ticks of harm, before and in the alarm */
    uint64_t since;                 /* us: the tick in which the harm began */
    float spent; /* what its alarms so far have raised the bar by */
    float owed;  /* logarithm: how much more often than that it may begin */
};

struct alarm_input {
    uint64_t start; /* us: of the tick */
    bool observed;  /* anything at all in this tick */
    bool harmful;
    bool rare;        /* the evidence of two ticks is beyond the bar */
    bool sudden;      /* that of this tick is far beyond it */
    uint32_t columns; /* mask */
    uint32_t column;
    unsigned clear; /* quiet ticks that end it */
    double hour;    /* in ticks */
    double allowed; /* beginnings a tick, to be counted; 0: this one is not */
};

void alarm_init(struct alarm *alarm);
void alarm_step(struct alarm *alarm, const struct alarm_input *input);

/* Ticks that a column has been in it. */
uint32_t alarm_age(const struct alarm *alarm, unsigned column);

/* What these columns do is how things are now. */
void alarm_accept(struct alarm *alarm, uint32_t columns);

/* Factor that the alarms so far put on the rate that is allowed, <= 1. */
double alarm_thrift(const struct alarm *alarm);

/* Factor on that rate which brings as many alarms as are allowed. */
double alarm_owed(const struct alarm *alarm);

void alarm_save(const struct alarm *alarm, struct buf *to);
void alarm_restore(struct alarm *alarm, struct cursor *from);

#endif
