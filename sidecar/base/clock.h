/* Time in us: since the epoch, and monotonic for intervals. */
#ifndef TOCSIN_CLOCK_H
#define TOCSIN_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_SECOND 1000000u

uint64_t clock_now(void);
uint64_t clock_monotonic(void);

/* CPU time of the calling thread. */
uint64_t clock_thread_cpu(void);

#define CLOCK_RFC3339_SIZE 28 /* 2026-01-02T03:04:05.678901Z */

/* "2026-01-02T03:04:05.678Z" into text; returns text. */
char *clock_rfc3339(uint64_t us, char text[CLOCK_RFC3339_SIZE]);

#endif
