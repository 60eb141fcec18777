/* What Redis says of the streams and of its own clock. */
#ifndef TOCSIN_SURVEY_H
#define TOCSIN_SURVEY_H

#include "../base/err.h"
#include "../base/redis.h"
#include "intake.h"
#include "lane.h"

/* us since the epoch by Redis' clock, which makes the ids. */
int survey_time(struct redisContext *redis, uint64_t *us, struct err *err);

/* Looks at the stream of a lane: raises stats->newest_ms, notices and logs
 * that it was trimmed below what was read (stats->trimmed) or began anew with
 * lower ids (stats->resets: the lane then reads it from its start). */
int survey_lane(struct redisContext *redis, struct lane *lane,
                struct intake_stats *stats, struct err *err);

/* After a connect: where the stream does not have the entry that was read
 * last, goes back to the newest place that it has, or to its start. */
int survey_place(struct redisContext *redis, struct lane *lane,
                 struct err *err);

#endif
