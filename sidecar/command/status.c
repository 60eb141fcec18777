/*
 * tocsin status: the sidecar's last snapshot, from Redis, so it works from any
 * machine that may read there. Fails when there is none or it is old: then
 * the sidecar is dead, or cannot write.
 */
#include <hiredis/hiredis.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../base/clock.h"
#include "command.h"
#include "entries.h"
#include "shared/event_codec.h"
#include "shared/json.h"
#include "shared/names.h"

#define STALE (10ull * CLOCK_SECOND)

static unsigned count_ids(struct tocsin_span ids)
{
    unsigned count = ids.len != 0;
    size_t i;

    for (i = 0; i < ids.len; i++) {
        count += ids.data[i] == ',';
    }
    return count;
}

static void print_time(const char *name, uint64_t us)
{
    char text[CLOCK_RFC3339_SIZE];

    printf("%-14s %s\n", name, us != 0 ? clock_rfc3339(us, text) : "never");
}

static void print_cell(struct tocsin_span cell)
{
    char room[TOCSIN_EVIDENCE_MAX];

    command_print_text(stdout, room, tocsin_pct_decode(room, cell));
}

static void print_round(const struct tocsin_round_row *row)
{
    char at[CLOCK_RFC3339_SIZE];

    printf("  %s  ", clock_rfc3339(row->at, at));
    print_cell(row->version);
    printf(" (of ");
    print_cell(row->parent);
    printf("): ");
    print_cell(row->verdict);
    if (!isnan(row->after)) {
        printf(", loss %.4g, champion's %.4g, on %llu windows", row->after,
               row->before, (unsigned long long)row->held);
    }
    if (row->reason.len != 0) {
        printf(", ");
        print_cell(row->reason);
    }
    printf("\n");
}

static void print_rounds(struct tocsin_span rounds)
{
    struct tocsin_round_row row;
    int rc;

    if (rounds.len != 0) {
        printf("rounds of training, newest last:\n");
    }
    while ((rc = tocsin_round_row_next(&rounds, &row)) != 0) {
        if (rc > 0) {
            print_round(&row);
        }
    }
}

static void print_board(const struct tocsin_board *board, uint64_t age)
{
    printf("%-14s %s, %.1f s ago\n", "sidecar",
           age > STALE ? "SILENT" : "alive", (double)age / 1e6);
    printf("%-14s ", "version");
    command_print_text(stdout, board->version.data, board->version.len);
    printf("\n%-14s ", "model");
    command_print_text(stdout, board->model.data, board->model.len);
    printf("\n");
    print_time("model since", board->model_ts);
    printf("%-14s %llu, of which %llu won\n", "challengers",
           (unsigned long long)board->trained,
           (unsigned long long)board->swapped);
    print_time("last tick", board->tick);
    printf("%-14s %.3f s\n", "tick", (double)board->tick_length / 1e6);
    printf("%-14s %.3f s\n", "lag", (double)board->lag / 1e6);
    printf("%-14s %llu (%llu evicted)\n", "series",
           (unsigned long long)board->series,
           (unsigned long long)board->series_evicted);
    printf(
        "%-14s %llu (%llu late, %llu duplicates, %llu missing, %llu "
        "malformed)\n",
        "events", (unsigned long long)board->events,
        (unsigned long long)board->late, (unsigned long long)board->duplicates,
        (unsigned long long)board->gaps, (unsigned long long)board->malformed);
    printf("%-14s %u\n", "alerts", count_ids(board->active));
    print_rounds(board->rounds);
}

/* The texts of a board are at most 255 bytes each: this is ample. */
#define JSON_MAX 65536

static void put_uint(struct tocsin_json *json, const char *name, uint64_t value)
{
    tocsin_json_key(json, name);
    tocsin_json_uint(json, value);
}

static void put_text(struct tocsin_json *json, const char *name,
                     struct tocsin_span text)
{
    tocsin_json_key(json, name);
    tocsin_json_text(json, text);
}

static void put_cell(struct tocsin_json *json, const char *name,
                     struct tocsin_span cell)
{
    char room[TOCSIN_EVIDENCE_MAX];

    put_text(json, name, tocsin_span_of(room, tocsin_pct_decode(room, cell)));
}

static void put_real(struct tocsin_json *json, const char *name, double value)
{
    tocsin_json_key(json, name);
    tocsin_json_real(json, value);
}

static void put_rounds(struct tocsin_json *json, struct tocsin_span rounds)
{
    struct tocsin_round_row row;
    int rc;

    tocsin_json_key(json, "rounds");
    tocsin_json_open(json, '[');
    while ((rc = tocsin_round_row_next(&rounds, &row)) != 0) {
        if (rc < 0) {
            continue;
        }
        tocsin_json_open(json, '{');
        put_uint(json, "at", row.at);
        put_cell(json, "verdict", row.verdict);
        put_cell(json, "version", row.version);
        put_cell(json, "parent", row.parent);
        put_real(json, "before", row.before);
        put_real(json, "after", row.after);
        put_uint(json, "windows", row.windows);
        put_uint(json, "held", row.held);
        put_real(json, "cpu", row.cpu);
        put_cell(json, "reason", row.reason);
        tocsin_json_close(json, '}');
    }
    tocsin_json_close(json, ']');
}

static void print_json(const struct tocsin_board *board, uint64_t age)
{
    static char memory[JSON_MAX];
    struct tocsin_out out = {memory, sizeof(memory), 0};
    struct tocsin_json json = tocsin_json_begin(&out);

    tocsin_json_open(&json, '{');
    tocsin_json_key(&json, "alive");
    tocsin_json_bool(&json, age <= STALE);
    put_uint(&json, "age", age);
    put_text(&json, "version", board->version);
    put_text(&json, "model", board->model);
    put_uint(&json, "model_ts", board->model_ts);
    put_uint(&json, "trained", board->trained);
    put_uint(&json, "swapped", board->swapped);
    put_uint(&json, "ts", board->ts);
    put_uint(&json, "tick", board->tick);
    put_uint(&json, "tick_length", board->tick_length);
    put_uint(&json, "lag", board->lag);
    put_uint(&json, "series", board->series);
    put_uint(&json, "series_evicted", board->series_evicted);
    put_uint(&json, "events", board->events);
    put_uint(&json, "late", board->late);
    put_uint(&json, "duplicates", board->duplicates);
    put_uint(&json, "gaps", board->gaps);
    put_uint(&json, "malformed", board->malformed);
    put_uint(&json, "alerts", count_ids(board->active));
    put_rounds(&json, board->rounds);
    tocsin_json_close(&json, '}');
    printf("%.*s\n", (int)out.need, memory);
}

static int show(redisContext *redis, const struct config *config, bool json,
                struct err *err)
{
    struct tocsin_board board;
    redisReply *reply;
    uint64_t now, age;
    int rc = 0;

    if (entries_newest(redis, config, TOCSIN_STREAM_BOARD, 1, &reply, err) !=
        0) {
        return -1;
    }
    if (reply->elements == 0 || entries_board(reply->element[0], &board) != 0) {
        rc = err_set(err, ERR_INPUT,
                     "no snapshot in %s:%s: no sidecar has run on this Redis",
                     config->redis_prefix, TOCSIN_STREAM_BOARD);
    } else {
        now = clock_now();
        age = now > board.ts ? now - board.ts : 0;
        json ? print_json(&board, age) : print_board(&board, age);
        if (age > STALE) {
            rc = err_set(err, ERR_NETWORK,
                         "the sidecar has said nothing for %llu s",
                         (unsigned long long)(age / CLOCK_SECOND));
        }
    }
    freeReplyObject(reply);
    return rc;
}

int command_status(int argc, char **argv)
{
    bool json = false;
    const struct command_option options[] = {
        {"json", NULL, "as one JSON object; times in us", &json, NULL},
    };
    const char *config_path;
    struct config config;
    redisContext *redis;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv,
                         "Shows what the running sidecar is doing. Fails if "
                         "it has been silent for 10 s.",
                         "", options, 1, &config_path, &first);
    if (rc >= 0) {
        return rc;
    }
    redis = command_connect(argv[0], config_path, &config);
    if (redis == NULL) {
        return EXIT_FAILED;
    }
    rc = show(redis, &config, json, &err);
    redisFree(redis);
    return rc == 0 ? EXIT_WELL : command_fail(argv[0], &err);
}
