/* What intake.c and deliver.c share. */
#ifndef TOCSIN_INTAKE_ROOM_H
#define TOCSIN_INTAKE_ROOM_H

#include "intake.h"
#include "lanes.h"
#include "pace.h"
#include "producers.h"
#include "reply.h"

#define INTAKE_TEXT_MAX 256

struct intake {
    struct intake_options options;
    char url[INTAKE_TEXT_MAX], username[INTAKE_TEXT_MAX],
        password_file[INTAKE_TEXT_MAX];
    struct intake_sink sink;
    struct intake_stats stats;
    struct producers *producers;

    struct lanes lanes;
    bool positioned; /* the lanes know where to read on */

    struct redisContext *redis;
    bool was_connected;
    uint64_t retry_at, backoff;
    uint64_t survey_at, ask_at;
    uint64_t asked_at; /* when the command under way was sent; 0 if none is */
    uint64_t held_since;
    bool answered; /* on this connection: where the lanes end is known */

    struct buf in; /* bytes of the reply that are not used yet */
    struct reply reply;
    struct lane *filling;
    uint32_t replied; /* entries of the reply under way */

    struct pace pace;
    uint64_t told_ms;     /* stream time that was handed on */
    uint64_t pace_log_at; /* when a jump may be logged again, monotonic */
    unsigned seed;
    int delivered; /* by this poll */
};

/* Hands on what may be delivered by now, and the time. */
void intake_deliver(struct intake *intake);

#endif
