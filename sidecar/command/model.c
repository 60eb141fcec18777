/*
 * tocsin model rollback: the model that served before serves again. The
 * command names the version that shall go, so that doing it twice, or after
 * another challenger has won, does no harm.
 */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../base/clock.h"
#include "command.h"
#include "entries.h"
#include "orders.h"
#include "shared/names.h"

#define NAME "model"
#define PATIENCE (15 * CLOCK_SECOND)
#define LOOK_MS 200

/* The version that serves, by the newest board. */
static int serving(redisContext *redis, const struct config *config,
                   char version[64], struct err *err)
{
    struct tocsin_board board;
    redisReply *reply;
    int rc = 0;

    if (entries_newest(redis, config, TOCSIN_STREAM_BOARD, 1, &reply, err) !=
        0) {
        return -1;
    }
    if (reply->elements == 0 || entries_board(reply->element[0], &board) != 0 ||
        board.model.len >= 64) {
        rc = err_set(err, ERR_INPUT, "the sidecar was never heard of");
    } else {
        memcpy(version, board.model.data, board.model.len);
        version[board.model.len] = '\0';
    }
    freeReplyObject(reply);
    return rc;
}

/* 0 once another one serves than `from`; its name is in `version`. */
static int wait_for_another(redisContext *redis, const struct config *config,
                            const char *from, char version[64], struct err *err)
{
    uint64_t until = clock_monotonic() + PATIENCE;

    do {
        poll(NULL, 0, LOOK_MS);
        if (serving(redis, config, version, err) != 0) {
            return -1;
        }
        if (strcmp(version, from) != 0) {
            return 0;
        }
    } while (clock_monotonic() < until);
    return err_set(err, ERR_NETWORK,
                   "%s still serves: the log of the sidecar says why", from);
}

static int send_rollback(redisContext *redis, const struct config *config,
                         const char *from, const char *comment, struct err *err)
{
    struct tocsin_command command;

    tocsin_command_init(&command);
    command.what = TOCSIN_SPAN("rollback");
    command.id = tocsin_span_str(from);
    command.author = tocsin_span_str(orders_user());
    command.comment = tocsin_span_str(comment);
    return orders_send(redis, config->redis_prefix, &command, err);
}

static int rollback(int argc, char **argv)
{
    const char *path, *comment = "";
    const struct command_option options[] = {
        {"comment", "TEXT", "why; kept in the stream of commands", NULL,
         &comment},
    };
    char from[64], version[64];
    struct config config;
    redisContext *redis;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv,
                         "Returns from the model that serves to the one "
                         "before it, and waits for that.",
                         "", options, 1, &path, &first);
    if (rc >= 0) {
        return rc;
    }
    redis = command_connect(NAME, path, &config);
    if (redis == NULL) {
        return EXIT_FAILED;
    }
    rc = serving(redis, &config, from, &err) != 0 ||
                 send_rollback(redis, &config, from, comment, &err) != 0 ||
                 wait_for_another(redis, &config, from, version, &err) != 0
             ? command_fail(NAME, &err)
             : EXIT_WELL;
    redisFree(redis);
    if (rc == EXIT_WELL) {
        printf("%s serves, %s did\n", version, from);
    }
    return rc;
}

int command_model(int argc, char **argv)
{
    static char name[] = "model rollback";
    static const char usage[] =
        "usage: tocsin model rollback [options]\n\n"
        "Models that were trained here replace each other when a new one is\n"
        "better on recent traffic. `tocsin status` lists them.\n";

    if (argc > 1 && strcmp(argv[1], "rollback") == 0) {
        argv[1] = name;
        return rollback(argc - 1, argv + 1);
    }
    if (argc > 1 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_WELL;
    }
    fputs(usage, stderr);
    return EXIT_USAGE;
}
