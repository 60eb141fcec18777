/*
 * The budget of false alarms, in rows. It is said for a day and the whole
 * deployment; what decides is how many ticks of one series lie between two
 * alarms if as many come as are allowed.
 */
#ifndef TOCSIN_BUDGET_H
#define TOCSIN_BUDGET_H

#include <stdint.h>

/* Alarms of one series that are allowed in a tick (us), of so many series. */
double budget_rate(double alarms_per_day, uint64_t tick, uint32_t series);

/* Ticks: `most`, but no larger a part of those between two alarms; at least
 * one. */
unsigned budget_part(double part, double rate, unsigned most);

/* What a row of a file must stick out at least, to be told (log odds, about).
 * Of one alert a day it has to be odd in any series. Who allows more wants to
 * see what sticks out less; ten times as many, and the rate alone decides. */
double budget_least(double alarms_per_day);

#endif
