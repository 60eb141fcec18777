/*
 * How far a long work has come: one line on standard error that is written
 * over, where that is a terminal.
 *
 *     [########------------]  42 %  1,234,567 of 2,900,000 rows, 95,000 a
 *     second, 18 s left
 */
#ifndef TOCSIN_COMMAND_PROGRESS_H
#define TOCSIN_COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *unit; /* what is counted */
    uint64_t all;     /* of them; 0: not known */
    bool on;
    bool shown; /* a line stands there */
    uint64_t began, told_at;
};

/* From now on; shows nothing when `quiet`, or where nobody looks. */
void progress_begin(struct progress *progress, const char *unit, bool quiet);

/* `count` units are done, which is this share of the work (0 to 1). May be
 * called as often as one likes. */
void progress_tell(struct progress *progress, uint64_t count, double share);

/* Takes the line away: before anything else is printed, and at the end. */
void progress_hide(struct progress *progress);

#endif
