/*
 * The three clocks. Nothing downstream of intake may look at clock_now() to
 * decide anything: ticks close by stream time, so that a replay gives what was
 * lived. These serve logs, time-outs and shares of CPU.
 */
#include "clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t clock_read(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts) != 0) {
        return 0;
    }
    return (uint64_t)ts.tv_sec * CLOCK_SECOND + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_now(void)
{
    return clock_read(CLOCK_REALTIME);
}

uint64_t clock_monotonic(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_thread_cpu(void)
{
    return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

char *clock_rfc3339(uint64_t us, char text[CLOCK_RFC3339_SIZE])
{
    time_t seconds = (time_t)(us / CLOCK_SECOND);
    unsigned ms = (unsigned)(us % CLOCK_SECOND / 1000);
    char date[CLOCK_RFC3339_SIZE];
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099) {
        seconds = 253402300799; /* the last second of the year 9999 */
        gmtime_r(&seconds, &tm);
    }
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, CLOCK_RFC3339_SIZE, "%.19s.%03uZ", date, ms);
    return text;
}
