/*
 * tocsin silence add|list|expire: what the page and amtool do, from a shell.
 * A command goes into the stream like any other; the sidecar does it as soon
 * as it runs. It is checked here by the code that will take it there.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../alert/silence.h"
#include "../base/clock.h"
#include "command.h"
#include "entries.h"
#include "orders.h"
#include "shared/event_codec.h"
#include "shared/names.h"

#define NAME "silence"

/* --------------------------------------------------------------------- add */

/* "90s", "30m", "2h", "1d" in us; 0 if it is none. */
static uint64_t duration(const char *text)
{
    static const char units[] = "smhd";
    static const uint64_t seconds[] = {1, 60, 3600, 86400};
    unsigned long value;
    const char *unit;
    char *end;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || value > 1000000 ||
        end[0] == '\0' || end[1] != '\0' ||
        (unit = strchr(units, end[0])) == NULL) {
        return 0;
    }
    return value * seconds[unit - units] * CLOCK_SECOND;
}

static int read_matchers(int count, char **texts, struct tocsin_out *list)
{
    struct tocsin_matcher matcher;
    const char *error;
    int i;

    for (i = 0; i < count; i++) {
        if (tocsin_matcher_parse(&matcher, tocsin_span_str(texts[i])) != 0) {
            fprintf(stderr,
                    "tocsin silence: %s is no matcher: name=value, "
                    "name!=value, name=~pattern, name!~pattern\n",
                    texts[i]);
            return -1;
        }
        error = tocsin_matcher_check(&matcher);
        if (error != NULL) {
            fprintf(stderr, "tocsin silence: %s: %s\n", texts[i], error);
            return -1;
        }
        tocsin_matcher_put(list, &matcher);
    }
    if (count == 0 || !tocsin_out_fits(list)) {
        fprintf(stderr, "tocsin silence: %s\n",
                count == 0 ? "a matcher is needed" : "too many matchers");
        return -1;
    }
    return 0;
}

static int add(int argc, char **argv)
{
    const char *path, *author = orders_user(), *comment = "", *length = "1h";
    const struct command_option options[] = {
        {"duration", "TIME", "as 90s, 30m, 1h (default), 7d", NULL, &length},
        {"author", "NAME", "who wants it; default: who you are", NULL, &author},
        {"comment", "TEXT", "why", NULL, &comment},
    };
    char list[TOCSIN_MATCHERS_MAX], id[TOCSIN_SILENCE_ID];
    struct tocsin_out matchers = {list, sizeof(list), 0};
    struct tocsin_command command;
    unsigned char random[16];
    struct config config;
    redisContext *redis;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv, "Nobody is told of alerts that match.",
                         "MATCHER...", options, 3, &path, &first);
    if (rc >= 0) {
        return rc;
    }
    if (duration(length) == 0) {
        fprintf(stderr, "tocsin silence: %s is no time: 90s, 30m, 1h, 7d\n",
                length);
        return EXIT_USAGE;
    }
    if (read_matchers(argc - first, argv + first, &matchers) != 0) {
        return EXIT_USAGE;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return EXIT_FAILED;
    }
    tocsin_uuid(id, random);
    tocsin_command_init(&command);
    command.what = TOCSIN_SPAN("silence");
    command.id = tocsin_span_of(id, sizeof(id));
    command.starts = clock_now();
    command.ends = command.starts + duration(length);
    command.author = tocsin_span_str(author);
    command.comment = tocsin_span_str(comment);
    command.matchers = tocsin_span_of(list, matchers.need);
    if (silence_check(&command, &err) != 0) {
        command_fail(NAME, &err);
        return EXIT_USAGE;
    }
    redis = command_connect(NAME, path, &config);
    if (redis == NULL) {
        return EXIT_FAILED;
    }
    rc = orders_send(redis, config.redis_prefix, &command, &err);
    redisFree(redis);
    if (rc != 0) {
        return command_fail(NAME, &err);
    }
    printf("%.*s\n", TOCSIN_SILENCE_ID, id);
    return EXIT_WELL;
}

/* ------------------------------------------------------------------ expire */

static int expire(int argc, char **argv)
{
    struct tocsin_command command;
    struct config config;
    redisContext *redis;
    const char *path;
    struct err err;
    int first, i, rc;

    rc = command_options(argc, argv, "Ends silences now.", "ID...", NULL, 0,
                         &path, &first);
    if (rc >= 0) {
        return rc;
    }
    for (i = first; i < argc; i++) {
        if (!tocsin_is_uuid(tocsin_span_str(argv[i]))) {
            fprintf(stderr, "tocsin silence: %s is no id\n", argv[i]);
            return EXIT_USAGE;
        }
    }
    if (first == argc) {
        fprintf(stderr, "tocsin silence: an id is needed\n");
        return EXIT_USAGE;
    }
    redis = command_connect(NAME, path, &config);
    if (redis == NULL) {
        return EXIT_FAILED;
    }
    for (i = first, rc = 0; rc == 0 && i < argc; i++) {
        tocsin_command_init(&command);
        command.what = TOCSIN_SPAN("expire");
        command.id = tocsin_span_str(argv[i]);
        rc = orders_send(redis, config.redis_prefix, &command, &err);
    }
    redisFree(redis);
    return rc == 0 ? EXIT_WELL : command_fail(NAME, &err);
}

/* -------------------------------------------------------------------- list */

static void print_cell(const char *before, struct tocsin_span cell)
{
    char room[TOCSIN_EVIDENCE_MAX];

    fputs(before, stdout);
    command_print_text(stdout, room, tocsin_pct_decode(room, cell));
}

static void print_silence(const struct tocsin_silence_row *row, bool json,
                          unsigned shown)
{
    static char memory[65536];
    struct tocsin_out out = {memory, sizeof(memory), 0};
    struct tocsin_json writer = tocsin_json_begin(&out);
    char until[CLOCK_RFC3339_SIZE];

    if (json) {
        tocsin_silence_json(&writer, row, clock_now());
        if (tocsin_out_fits(&out)) {
            printf("%s\n%.*s", shown == 0 ? "" : ",", (int)out.need, memory);
        }
        return;
    }
    print_cell("", row->id);
    printf(" %s until %s",
           tocsin_silence_states[tocsin_silence_state(row, clock_now())],
           clock_rfc3339(row->ends, until));
    print_cell(" by ", row->author);
    print_cell(": ", row->comment);
    print_cell(" {", row->matchers);
    printf("}\n");
}

static void list_rows(struct tocsin_span rows, bool json, bool all)
{
    struct tocsin_silence_row row;
    unsigned shown = 0;
    int rc;

    if (json) {
        putchar('[');
    }
    while ((rc = tocsin_silence_row_next(&rows, &row)) != 0) {
        if (rc > 0 && (all || clock_now() < row.ends)) {
            print_silence(&row, json, shown++);
        }
    }
    if (json) {
        printf("%s]\n", shown != 0 ? "\n" : "");
    } else if (shown == 0) {
        printf("no silences\n");
    }
}

static int list(int argc, char **argv)
{
    bool json = false, all = false;
    const struct command_option options[] = {
        {"json", NULL, "as Alertmanager's API v2 lists them", &json, NULL},
        {"all", NULL, "those that ended less than a day ago, too", &all, NULL},
    };
    struct tocsin_board board;
    struct config config;
    redisContext *redis;
    redisReply *reply;
    const char *path;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv, "Silences, as the sidecar has them.", "",
                         options, 2, &path, &first);
    if (rc >= 0) {
        return rc;
    }
    redis = command_connect(NAME, path, &config);
    if (redis == NULL) {
        return EXIT_FAILED;
    }
    rc = entries_newest(redis, &config, TOCSIN_STREAM_BOARD, 1, &reply, &err);
    redisFree(redis);
    if (rc != 0) {
        return command_fail(NAME, &err);
    }
    tocsin_board_init(&board);
    if (reply->elements == 0 || entries_board(reply->element[0], &board) != 0) {
        fprintf(stderr, "tocsin silence: the sidecar was never heard of\n");
        rc = EXIT_FAILED;
    }
    list_rows(board.silences, json, all);
    freeReplyObject(reply);
    return rc == 0 ? EXIT_WELL : EXIT_FAILED;
}

int command_silence(int argc, char **argv)
{
    static char names[][16] = {"silence add", "silence list", "silence expire"};
    static int (*const runs[])(int, char **) = {add, list, expire};
    static const char usage[] =
        "usage: tocsin silence add|list|expire [options] ...\n\n"
        "Silences: alerts that nobody is told of, for a time. They stay on\n"
        "the page and in the stream. Each of the three has a --help.\n";
    unsigned i;

    for (i = 0; argc > 1 && i < 3; i++) {
        if (strcmp(argv[1], names[i] + sizeof(NAME)) == 0) {
            argv[1] = names[i];
            return runs[i](argc - 1, argv + 1);
        }
    }
    if (argc > 1 &&
        (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_WELL;
    }
    fputs(usage, stderr);
    return EXIT_USAGE;
}
