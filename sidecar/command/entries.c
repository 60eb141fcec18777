/*
 * Entries as hiredis' replies. Few are read, so the tree that hiredis builds
 * is as good as any; what stands in them is hostile input like any other.
 */
#include "entries.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

#include "../base/redis.h"

typedef int (*field_fn)(void *to, struct tocsin_span name,
                        struct tocsin_span value);

int entries_newest(redisContext *redis, const struct config *config,
                   const char *stream, unsigned count, redisReply **reply,
                   struct err *err)
{
    char key[512], limit[16];
    const char *argv[] = {"XREVRANGE", key, "+", "-", "COUNT", limit};

    snprintf(key, sizeof(key), "%s:%s", config->redis_prefix, stream);
    snprintf(limit, sizeof(limit), "%u", count);
    if (redis_command(redis, reply, err, 6, argv, NULL) != 0) {
        return -1;
    }
    if ((*reply)->type != REDIS_REPLY_ARRAY) {
        freeReplyObject(*reply);
        return err_set(err, ERR_INPUT, "redis: XREVRANGE: not a list");
    }
    return 0;
}

static int take_fields(const redisReply *entry, void *to, field_fn take)
{
    const redisReply *fields;
    size_t i;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[1]->type != REDIS_REPLY_ARRAY) {
        return -1;
    }
    fields = entry->element[1];
    for (i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i];
        const redisReply *value = fields->element[i + 1];

        if (name->type != REDIS_REPLY_STRING ||
            value->type != REDIS_REPLY_STRING ||
            take(to, tocsin_span_of(name->str, name->len),
                 tocsin_span_of(value->str, value->len)) != 0) {
            return -1;
        }
    }
    return 0;
}

static int take_alert(void *to, struct tocsin_span name,
                      struct tocsin_span value)
{
    return tocsin_alert_field(to, name, value);
}

static int take_board(void *to, struct tocsin_span name,
                      struct tocsin_span value)
{
    return tocsin_board_field(to, name, value);
}

int entries_alert(const redisReply *entry, struct tocsin_alert *alert)
{
    tocsin_alert_init(alert);
    if (take_fields(entry, alert, take_alert) != 0 || alert->id.len == 0) {
        return -1;
    }
    return 0;
}

int entries_board(const redisReply *entry, struct tocsin_board *board)
{
    tocsin_board_init(board);
    if (take_fields(entry, board, take_board) != 0 || board->ts == 0) {
        return -1;
    }
    return 0;
}
