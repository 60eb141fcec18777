/*
 * tocsin alerts: the alerts that stand, from Redis: the newest entry of each
 * id, for the ids that the last snapshot calls active.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "alert_print.h"
#include "command.h"
#include "entries.h"
#include "shared/names.h"

#define ENTRIES_MAX 20000
#define RESOLVE_TIMEOUT (300ull * CLOCK_SECOND)

struct listing {
    struct tocsin_span active; /* ids, joined by ',' */
    bool all, json;
    unsigned shown;
    struct tocsin_span *seen; /* ids, of newer entries */
    unsigned seen_count;
};

/* Whether a list joined by ',' has this very item. */
static bool has_id(struct tocsin_span list, struct tocsin_span id)
{
    size_t at, end;

    for (at = 0; at < list.len; at = end + 1) {
        for (end = at; end < list.len && list.data[end] != ','; end++) {
        }
        if (tocsin_span_eq(tocsin_span_of(list.data + at, end - at), id)) {
            return true;
        }
    }
    return false;
}

static bool seen_before(struct listing *listing, struct tocsin_span id)
{
    unsigned i;

    for (i = 0; i < listing->seen_count; i++) {
        if (tocsin_span_eq(listing->seen[i], id)) {
            return true;
        }
    }
    listing->seen[listing->seen_count++] = id;
    return false;
}

static void print_json(const struct tocsin_alert *alert, bool first)
{
    struct tocsin_span json = alert_print_json(alert, RESOLVE_TIMEOUT);

    if (json.len != 0) {
        printf("%s\n%.*s", first ? "" : ",", (int)json.len, json.data);
    }
}

static void list_one(struct listing *listing, const redisReply *entry)
{
    struct tocsin_alert alert;

    if (entries_alert(entry, &alert) != 0 || seen_before(listing, alert.id)) {
        return;
    }
    if (!listing->all && !has_id(listing->active, alert.id)) {
        return;
    }
    if (listing->json) {
        print_json(&alert, listing->shown == 0);
    } else {
        alert_print_line(&alert, alert.started);
    }
    listing->shown++;
}

static int list_alerts(redisContext *redis, const struct config *config,
                       struct listing *listing, struct err *err)
{
    redisReply *reply;
    size_t i;

    if (entries_newest(redis, config, TOCSIN_STREAM_ALERTS, ENTRIES_MAX, &reply,
                       err) != 0) {
        return -1;
    }
    listing->seen = calloc(reply->elements + 1, sizeof(*listing->seen));
    if (listing->seen == NULL) {
        freeReplyObject(reply);
        return err_set(err, ERR_LIMIT, "out of memory");
    }
    if (listing->json) {
        putchar('[');
    }
    for (i = 0; i < reply->elements; i++) {
        list_one(listing, reply->element[i]);
    }
    if (listing->json) {
        printf("%s]\n", listing->shown != 0 ? "\n" : "");
    } else if (listing->shown == 0) {
        printf("no alerts\n");
    }
    free(listing->seen);
    freeReplyObject(reply);
    return 0;
}

static int list(redisContext *redis, const struct config *config,
                struct listing *listing, struct err *err)
{
    struct tocsin_board board;
    redisReply *reply;
    int rc;

    if (entries_newest(redis, config, TOCSIN_STREAM_BOARD, 1, &reply, err) !=
        0) {
        return -1;
    }
    if (reply->elements != 0 && entries_board(reply->element[0], &board) == 0) {
        listing->active = board.active;
        if (clock_now() > board.ts + 10ull * CLOCK_SECOND) {
            fprintf(
                stderr,
                "tocsin alerts: the sidecar has been silent for "
                "%llu s: this is what it said last\n",
                (unsigned long long)((clock_now() - board.ts) / CLOCK_SECOND));
        }
    }
    rc = list_alerts(redis, config, listing, err);
    freeReplyObject(reply);
    return rc;
}

int command_alerts(int argc, char **argv)
{
    struct listing listing = {.seen_count = 0};
    const struct command_option options[] = {
        {"json", NULL, "as Alertmanager's API v2 lists them", &listing.json,
         NULL},
        {"all", NULL, "resolved ones too, as far back as the stream reaches",
         &listing.all, NULL},
    };
    const char *config_path;
    struct config config;
    redisContext *redis;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv, "Lists the alerts that stand.", "",
                         options, 2, &config_path, &first);
    if (rc >= 0) {
        return rc;
    }
    redis = command_connect(argv[0], config_path, &config);
    if (redis == NULL) {
        return EXIT_FAILED;
    }
    rc = list(redis, &config, &listing, &err);
    redisFree(redis);
    return rc == 0 ? EXIT_WELL : command_fail(argv[0], &err);
}
