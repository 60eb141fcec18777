/* What Redis holds of the streams now, as if it were a recording. */
#ifndef TOCSIN_COMMAND_BACKLOG_H
#define TOCSIN_COMMAND_BACKLOG_H

#include "../config/config.h"
#include "recording.h"

/* Delivers all events from the oldest there is to the newest at the start, and
 * the time up to their end: what recording them and reading the recording
 * would deliver. It is an error if there are none. */
int backlog_read(const struct config *config, struct intake_sink sink,
                 struct recording_stats *stats, struct err *err);

#endif
