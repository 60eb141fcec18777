/*
 * XINFO STREAM and TIME. Intake asks once a second and after every connect:
 * only so can it see that a stream was trimmed below what it has read, or
 * began again with lower ids, and how far it is behind.
 *
 * After a connect Redis may be another one, or the same without its last
 * moments: a replica that was promoted before it had everything. Its entries go
 * on from the last that it has, maybe with ids below the last that we have
 * read. So that one is looked for; where it is missing, the newest place is
 * found that both streams have, for they are the same up to there.
 */
#include "survey.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"

#define ROOM "intake"

struct survey {
    bool exists;
    bool empty;
    struct stream_id first; /* oldest entry, unless empty */
    struct stream_id last;  /* newest id ever given */
};

static bool reply_is(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

static bool reply_id(const redisReply *reply, struct stream_id *id)
{
    return reply->type == REDIS_REPLY_STRING &&
           reply_parse_id(tocsin_span_of(reply->str, reply->len), id);
}

static int survey_pair(struct survey *survey, const redisReply *name,
                       const redisReply *value)
{
    if (reply_is(name, "last-generated-id")) {
        return reply_id(value, &survey->last) ? 0 : -1;
    }
    if (reply_is(name, "first-entry") && value->type == REDIS_REPLY_ARRAY) {
        survey->empty = false;
        return value->elements == 2 &&
                       reply_id(value->element[0], &survey->first)
                   ? 0
                   : -1;
    }
    return 0;
}

static int survey_stream(redisContext *redis, const char *key,
                         struct survey *survey, struct err *err)
{
    const char *argv[] = {"XINFO", "STREAM", key};
    struct err refused;
    redisReply *reply;
    size_t i;
    int rc = 0;

    memset(survey, 0, sizeof(*survey));
    survey->empty = true;
    if (redis_command(redis, &reply, &refused, 3, argv, NULL) != 0) {
        if (refused.code == ERR_REFUSED &&
            strstr(refused.message, "no such key") != NULL) {
            return 0;
        }
        return err_set(err, refused.code, "%s: %s", key, refused.message);
    }
    survey->exists = true;
    if (reply->type != REDIS_REPLY_ARRAY) {
        rc = -1;
    }
    for (i = 0; rc == 0 && i + 1 < reply->elements; i += 2) {
        rc = survey_pair(survey, reply->element[i], reply->element[i + 1]);
    }
    freeReplyObject(reply);
    if (rc != 0) {
        err_set(err, ERR_INPUT, "redis: XINFO STREAM %s: not as expected", key);
    }
    return rc;
}

int survey_time(redisContext *redis, uint64_t *us, struct err *err)
{
    const char *argv[] = {"TIME"};
    redisReply *reply;
    int rc = 0;

    if (redis_command(redis, &reply, err, 1, argv, NULL) != 0) {
        return -1;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        reply->element[0]->type == REDIS_REPLY_STRING &&
        reply->element[1]->type == REDIS_REPLY_STRING) {
        *us = strtoull(reply->element[0]->str, NULL, 10) * 1000000 +
              strtoull(reply->element[1]->str, NULL, 10);
    } else {
        rc = err_set(err, ERR_INPUT, "redis: TIME: not as expected");
    }
    freeReplyObject(reply);
    return rc;
}

static void lane_reset(struct lane *lane, struct stream_id last)
{
    const struct stream_id start = {0, 0};

    log_warn(ROOM,
             "%s: its newest id %llu-%llu is below %llu-%llu, which was read "
             "already: the stream began anew; reading from its start",
             lane->key, (unsigned long long)last.ms, (unsigned long long)last.n,
             (unsigned long long)lane->read.ms,
             (unsigned long long)lane->read.n);
    lane_clear(lane);
    lane_rewind(lane, start);
    lane->delivered = start;
    lane->began = false;
}

static void lane_trimmed(struct lane *lane, struct stream_id first)
{
    log_warn(ROOM,
             "%s: trimmed up to %llu-%llu when only %llu-%llu had been read: "
             "what was between is lost; is maxlen too small?",
             lane->key, (unsigned long long)first.ms,
             (unsigned long long)first.n, (unsigned long long)lane->read.ms,
             (unsigned long long)lane->read.n);
}

/* Does the stream hold this very entry? 1, 0, or -1 with *err. */
static int has_entry(redisContext *redis, const char *key, struct stream_id id,
                     struct err *err)
{
    char text[48];
    const char *argv[] = {"XRANGE", key, text, text, "COUNT", "1"};
    redisReply *reply;
    int rc;

    snprintf(text, sizeof(text), "%llu-%llu", (unsigned long long)id.ms,
             (unsigned long long)id.n);
    if (redis_command(redis, &reply, err, 6, argv, NULL) != 0) {
        return err_prefix(err, "%s", key);
    }
    rc = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1;
    freeReplyObject(reply);
    return rc;
}

int survey_place(redisContext *redis, struct lane *lane, struct err *err)
{
    const struct stream_id was = lane->read;
    struct survey survey;
    unsigned i;
    int rc = lane->began ? has_entry(redis, lane->key, was, err) : 1;

    if (rc != 0) {
        return rc < 0 ? -1 : 0;
    }
    if (survey_stream(redis, lane->key, &survey, err) != 0) {
        return -1;
    }
    if (survey.empty || stream_id_less(was, survey.first)) {
        return 0; /* it was trimmed, if anything */
    }
    for (i = lane->mark_count; rc == 0 && i-- != 0;) {
        rc = has_entry(redis, lane->key, lane->marks[i], err);
        if (rc == 1) {
            lane_rewind(lane, lane->marks[i]);
        }
    }
    if (rc == 0 && !stream_id_less(survey.last, was)) {
        lane_rewind(lane, (struct stream_id){0, 0});
        lane->began = false;
    }
    if (rc >= 0) {
        log_warn(ROOM,
                 "%s: does not have %llu-%llu, which was read: this Redis has "
                 "lost its last entries, or has another past; reading on from "
                 "%llu-%llu",
                 lane->key, (unsigned long long)was.ms,
                 (unsigned long long)was.n, (unsigned long long)lane->read.ms,
                 (unsigned long long)lane->read.n);
    }
    return rc < 0 ? -1 : 0;
}

int survey_lane(redisContext *redis, struct lane *lane,
                struct intake_stats *stats, struct err *err)
{
    struct survey survey;

    if (survey_stream(redis, lane->key, &survey, err) != 0) {
        return -1;
    }
    if (!survey.exists) {
        return 0;
    }
    if (survey.last.ms > stats->newest_ms) {
        stats->newest_ms = survey.last.ms;
    }
    if (!lane->began) {
        return 0;
    }
    if (stream_id_less(survey.last, lane->read)) {
        stats->resets++;
        lane_reset(lane, survey.last);
    } else if (stream_id_less(lane->read, survey.last) &&
               (survey.empty || stream_id_less(lane->read, survey.first))) {
        stats->trimmed++;
        lane_trimmed(lane, survey.empty ? survey.last : survey.first);
        /* Said once: what follows is read from here. */
        lane->began = false;
    }
    return 0;
}
