/*
 * Two questions and their answers, which are input like any other: from a
 * sentinel the address of a master, from a Redis its role. redis.c asks them
 * in this order at each connect.
 */
#include "redis_sentinel.h"

#include <ctype.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "redis.h"

static bool is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ||
           reply->type == REDIS_REPLY_STATUS;
}

/* An address, or a name where sentinels announce names. */
static bool is_host(const redisReply *reply)
{
    size_t i;

    if (!is_text(reply) || (size_t)reply->len >= REDIS_HOST_MAX ||
        reply->len == 0) {
        return false;
    }
    for (i = 0; i < (size_t)reply->len; i++) {
        if (!isalnum((unsigned char)reply->str[i]) &&
            (reply->str[i] == '\0' || strchr(".:-_%", reply->str[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

int redis_sentinel_address(const redisReply *reply, const char *master,
                           struct redis_host *to, struct err *err)
{
    if (reply->type == REDIS_REPLY_NIL) {
        return err_set(err, ERR_INPUT, "knows no master \"%s\"", master);
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !is_host(reply->element[0]) || !is_text(reply->element[1]) ||
        redis_url_number(reply->element[1]->str, 65535, &to->port) != 0 ||
        to->port == 0) {
        return err_set(err, ERR_INPUT,
                       "tells of master \"%s\" what is no address and port",
                       master);
    }
    memcpy(to->name, reply->element[0]->str,
           (size_t)reply->element[0]->len + 1);
    return 0;
}

int redis_sentinel_ask(redisContext *sentinel, const char *master,
                       struct redis_host *to, struct err *err)
{
    const char *argv[] = {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", master};
    redisReply *reply;
    int rc;

    if (redis_command(sentinel, &reply, err, 3, argv, NULL) != 0) {
        return -1;
    }
    rc = redis_sentinel_address(reply, master, to, err);
    freeReplyObject(reply);
    return rc;
}

int redis_role_check(const redisReply *reply, const char *master,
                     struct err *err)
{
    const redisReply *role;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        !is_text(reply->element[0])) {
        return err_set(err, ERR_INPUT, "its answer to ROLE is none");
    }
    role = reply->element[0];
    if (strcmp(role->str, "master") != 0) {
        return err_set(err, ERR_REFUSED,
                       "is not the master \"%s\" (any more): its role is "
                       "\"%.16s\"",
                       master, role->str);
    }
    return 0;
}

int redis_role_ask(redisContext *redis, const char *master, struct err *err)
{
    const char *argv[] = {"ROLE"};
    redisReply *reply;
    int rc;

    if (redis_command(redis, &reply, err, 1, argv, NULL) != 0) {
        return -1;
    }
    rc = redis_role_check(reply, master, err);
    freeReplyObject(reply);
    return rc;
}
