/*
 * A recording of events: the XADD commands that made them, as a client sends
 * them. So `redis-cli --pipe < FILE` plays it into any Redis, and
 * `tocsin backtest --replay FILE` plays it into the rooms, without one.
 */
#ifndef TOCSIN_COMMAND_RECORDING_H
#define TOCSIN_COMMAND_RECORDING_H

#include <stdint.h>

#include "../intake/intake.h"

struct recording;

/* Replaces path when it is closed. */
struct recording *recording_create(const char *path, const char *prefix,
                                   struct err *err);

/* As intake delivered it. After a failure, further calls do nothing. */
void recording_add(struct recording *recording, const struct tocsin_event *ev,
                   uint64_t id_ms);

/* -1 (*err) if anything was not written. */
int recording_close(struct recording *recording, struct err *err);

struct recording_stats {
    uint64_t events;
    uint64_t first_ms, last_ms;
    double share; /* of it that has been read, 0 to 1 */
};

/* Delivers all events to the sink, and the time up to their end. What is no
 * recording is an error with the number of the entry. */
int recording_read(const char *path, struct intake_sink sink,
                   struct recording_stats *stats, struct err *err);

#endif
