/*
 * Arithmetic of the budget. Counts of rows that suit one alarm in a day of
 * seconds would swallow all that come every few rows; so a part of what lies
 * between two alarms is their upper end.
 */
#include "budget.h"

#include <math.h>

#define DAY 86400e6
#define LEAST 2.0 /* at one a day, or fewer... */
#define FALLS 4.0 /* ...and by how much less at e times as many */

double budget_rate(double alarms_per_day, uint64_t tick, uint32_t series)
{
    double ticks = DAY / (double)tick;

    return alarms_per_day / ticks / (series > 0 ? series : 1);
}

unsigned budget_part(double part, double rate, unsigned most)
{
    double ticks = part / rate;

    return ticks >= most ? most : ticks > 1 ? (unsigned)ticks : 1;
}

double budget_least(double alarms_per_day)
{
    return LEAST - FALLS * log(fmax(alarms_per_day, 1));
}
