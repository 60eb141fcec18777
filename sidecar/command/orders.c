/*
 * The stream of commands. It is read without blocking, a few times a second,
 * in the thread that tells alerts: so a command is done between two of them,
 * never within one. An entry that makes no sense is passed and said; its id
 * counts as read, or it would stop all that follow.
 */
#include "orders.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "shared/names.h"
#include "shared/resp.h"

#define ROOM "orders"
#define BATCH "256"
#define EVERY (CLOCK_SECOND / 4)
#define BACKOFF (2 * CLOCK_SECOND)

struct orders {
    struct orders_options options;
    struct orders_sink sink;
    redisContext *redis;
    uint64_t next; /* when to ask, monotonic */
    char last[48]; /* id of the last entry that was read */
};

struct orders *orders_create(const struct orders_options *options,
                             struct orders_sink sink, struct err *err)
{
    struct orders *orders = calloc(1, sizeof(*orders));

    if (orders == NULL) {
        err_set(err, ERR_SYSTEM, "no memory");
        return NULL;
    }
    orders->options = *options;
    orders->sink = sink;
    snprintf(orders->last, sizeof(orders->last), "0-0");
    return orders;
}

void orders_destroy(struct orders *orders)
{
    if (orders != NULL && orders->redis != NULL) {
        redisFree(orders->redis);
    }
    free(orders);
}

static bool is_id(const char *text, size_t len)
{
    return len > 0 && len < sizeof(((struct orders *)NULL)->last) &&
           strspn(text, "0123456789-") >= len;
}

static int take_entry(struct orders *orders, const redisReply *entry)
{
    struct tocsin_command command;
    const redisReply *id, *fields;
    int rc = 0;
    size_t i;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2) {
        return -1;
    }
    id = entry->element[0];
    fields = entry->element[1];
    if (id->type != REDIS_REPLY_STRING || !is_id(id->str, id->len)) {
        return -1;
    }
    memcpy(orders->last, id->str, id->len + 1);
    if (fields->type != REDIS_REPLY_ARRAY) {
        return 0; /* it was deleted */
    }
    tocsin_command_init(&command);
    for (i = 0; rc == 0 && i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i];
        const redisReply *value = fields->element[i + 1];

        rc = name->type != REDIS_REPLY_STRING ||
                     value->type != REDIS_REPLY_STRING
                 ? -1
                 : tocsin_command_field(&command,
                                        tocsin_span_of(name->str, name->len),
                                        tocsin_span_of(value->str, value->len));
    }
    if (rc != 0) {
        log_warn(ROOM, "entry %s cannot be read", orders->last);
    } else {
        orders->sink.command(orders->sink.ctx, &command);
    }
    return 0;
}

/* [[key, [entry, ...]]], or nil. */
static int take_reply(struct orders *orders, const redisReply *reply)
{
    const redisReply *stream, *entries;
    int count = 0;
    size_t i;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 1) {
        return 0;
    }
    stream = reply->element[0];
    if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2 ||
        stream->element[1]->type != REDIS_REPLY_ARRAY) {
        return 0;
    }
    entries = stream->element[1];
    for (i = 0; i < entries->elements; i++) {
        count += take_entry(orders, entries->element[i]) == 0;
    }
    return count;
}

/* A Redis that does not have the last command that was read has lost it, or
 * has another past: its commands may stand below that. All are read then; one
 * that is done twice is as one. */
static int connect_now(struct orders *orders, struct err *err)
{
    char key[512];
    const char *argv[] = {"XRANGE",     key,     orders->last,
                          orders->last, "COUNT", "1"};
    redisReply *reply;

    orders->redis = redis_connect(&orders->options.redis, err);
    if (orders->redis == NULL) {
        return -1;
    }
    snprintf(key, sizeof(key), "%s:%s", orders->options.prefix,
             TOCSIN_STREAM_COMMANDS);
    if (redis_command(orders->redis, &reply, err, 6, argv, NULL) != 0) {
        return -1;
    }
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 0) {
        snprintf(orders->last, sizeof(orders->last), "0-0");
    }
    freeReplyObject(reply);
    return 0;
}

static int ask(struct orders *orders, struct err *err)
{
    char key[512];
    const char *argv[] = {"XREAD",   "COUNT", BATCH,
                          "STREAMS", key,     orders->last};
    redisReply *reply;
    int count;

    if (orders->redis == NULL && connect_now(orders, err) != 0) {
        return -1;
    }
    snprintf(key, sizeof(key), "%s:%s", orders->options.prefix,
             TOCSIN_STREAM_COMMANDS);
    if (redis_still_master(orders->redis, &orders->options.redis, err) != 0 ||
        redis_command(orders->redis, &reply, err, 6, argv, NULL) != 0) {
        return -1;
    }
    count = take_reply(orders, reply);
    freeReplyObject(reply);
    return count;
}

int orders_poll(struct orders *orders, struct err *err)
{
    uint64_t now = clock_monotonic();
    int count;

    if (now < orders->next) {
        return 0;
    }
    count = ask(orders, err);
    if (count < 0 && orders->redis != NULL) {
        redisFree(orders->redis);
        orders->redis = NULL;
    }
    orders->next = count < 0 ? now + BACKOFF : count > 0 ? 0 : now + EVERY;
    return count;
}

bool orders_connected(const struct orders *orders)
{
    return orders->redis != NULL;
}

void orders_save(const struct orders *orders, struct buf *to)
{
    buf_put(to, orders->last, sizeof(orders->last));
}

int orders_restore(struct orders *orders, struct cursor *from, struct err *err)
{
    const char *data = cursor_bytes(from, sizeof(orders->last));

    if (data == NULL || memchr(data, '\0', sizeof(orders->last)) == NULL ||
        !is_id(data, strlen(data))) {
        return err_set(err, ERR_INPUT, "place in the commands is off");
    }
    memcpy(orders->last, data, sizeof(orders->last));
    return 0;
}

/* ------------------------------------------------------- from the other side
 */

const char *orders_user(void)
{
    const struct passwd *who = getpwuid(getuid());

    return who == NULL ? "" : who->pw_name;
}

static void put_command(struct tocsin_out *out, const char *prefix,
                        const struct tocsin_command *command)
{
    char key[512];

    snprintf(key, sizeof(key), "%s:%s", prefix, TOCSIN_STREAM_COMMANDS);
    tocsin_resp_put_array(out, 6 + 2 * tocsin_command_field_count());
    tocsin_resp_put(out, TOCSIN_SPAN("XADD"));
    tocsin_resp_put(out, tocsin_span_str(key));
    tocsin_resp_put(out, TOCSIN_SPAN("MAXLEN"));
    tocsin_resp_put(out, TOCSIN_SPAN("~"));
    tocsin_resp_put(out, TOCSIN_SPAN(ORDERS_MAXLEN));
    tocsin_resp_put(out, TOCSIN_SPAN("*"));
    tocsin_command_encode(out, command);
}

int orders_send(redisContext *redis, const char *prefix,
                struct tocsin_command *command, struct err *err)
{
    static char room[32768];
    struct tocsin_out out = {room, sizeof(room), 0};
    redisReply *reply = NULL;
    int rc = 0;

    command->v = TOCSIN_SCHEMA_VERSION;
    command->ts = clock_now();
    command->via = TOCSIN_SPAN("command line");
    command->user = tocsin_span_str(orders_user());
    put_command(&out, prefix, command);
    if (!tocsin_out_fits(&out)) {
        return err_set(err, ERR_LIMIT, "the command is too long");
    }
    if (redisAppendFormattedCommand(redis, room, out.need) != REDIS_OK ||
        redisGetReply(redis, (void **)&reply) != REDIS_OK) {
        return err_set(err, ERR_NETWORK, "redis: %s", redis->errstr);
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        rc = err_set(err, ERR_REFUSED, "redis: XADD: %s", reply->str);
    }
    freeReplyObject(reply);
    return rc;
}
