/*
 * tocsin tail: events as they come, by the very intake of the sidecar, so what
 * is shown is what is judged: merged, in order, without repeats. With --json
 * one object a line, of the fields that the entry has.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../intake/intake.h"
#include "command.h"
#include "recording.h"
#include "shared/event_codec.h"
#include "shared/json.h"

#define LINE_MAX_BYTES 65536
#define POLL_MS 200

struct tail {
    bool json;
    bool wanted[TOCSIN_STREAMS];
    uint64_t left;
    bool bounded;
    struct recording *recording;
};

static volatile sig_atomic_t got_end;

static void on_signal(int number)
{
    got_end = number;
}

static const char *const stream_names[TOCSIN_STREAMS] = {
    [TOCSIN_REQUEST] = "request",
    [TOCSIN_UPSTREAM] = "upstream",
    [TOCSIN_BEAT] = "beat",
};

/* -------------------------------------------------------------------- lines */

static void print_word(struct tocsin_span text)
{
    putchar(' ');
    if (text.len == 0) {
        putchar('-');
    } else {
        command_print_text(stdout, text.data, text.len);
    }
}

static void print_request(const struct tocsin_event *ev)
{
    print_word(ev->server);
    print_word(ev->route);
    print_word(ev->method);
    printf(" %llu %.3fms", (unsigned long long)ev->status,
           (double)ev->dur / 1000);
}

static void print_upstream(const struct tocsin_event *ev)
{
    print_word(ev->upstream);
    print_word(ev->peer);
    printf(" #%llu %llu", (unsigned long long)ev->attempt,
           (unsigned long long)ev->status);
    print_word(ev->error);
    printf(" %.3fms", (double)ev->dur / 1000);
}

static void print_beat(const struct tocsin_event *ev)
{
    printf(" emitted %llu delivered %llu dropped %llu buffered %llu",
           (unsigned long long)ev->emitted, (unsigned long long)ev->delivered,
           (unsigned long long)ev->dropped, (unsigned long long)ev->buffered);
    print_word(ev->inflight);
}

static void print_line(const struct tocsin_event *ev)
{
    char time[CLOCK_RFC3339_SIZE];

    printf("%s %-8s", clock_rfc3339(ev->ts, time), stream_names[ev->stream]);
    if (ev->stream == TOCSIN_BEAT) {
        print_word(ev->src);
        print_beat(ev);
    } else {
        if (ev->stream == TOCSIN_REQUEST) {
            print_request(ev);
        } else {
            print_upstream(ev);
        }
        print_word(ev->cloud);
        print_word(ev->region);
    }
    putchar('\n');
}

/* --------------------------------------------------------------------- JSON */

static void json_uint(struct tocsin_json *json, const char *name,
                      uint64_t value)
{
    tocsin_json_key(json, name);
    tocsin_json_uint(json, value);
}

static void json_opt(struct tocsin_json *json, const char *name, uint64_t value)
{
    tocsin_json_key(json, name);
    if (value == TOCSIN_NONE) {
        tocsin_json_null(json);
    } else {
        tocsin_json_uint(json, value);
    }
}

static void json_milli(struct tocsin_json *json, const char *name,
                       uint64_t value)
{
    tocsin_json_key(json, name);
    tocsin_json_real(json, (double)value / 1000);
}

static void json_flags(struct tocsin_json *json, const char *name,
                       uint64_t value)
{
    static const char *const names[TOCSIN_FLAG_COUNT] = {
#define X(flag, text, help) text,
        TOCSIN_EVENT_FLAGS(X)
#undef X
    };
    unsigned i;

    tocsin_json_key(json, name);
    tocsin_json_open(json, '[');
    for (i = 0; i < TOCSIN_FLAG_COUNT; i++) {
        if (value >> i & 1) {
            tocsin_json_text(json, tocsin_span_str(names[i]));
        }
    }
    tocsin_json_close(json, ']');
}

static void json_text(struct tocsin_json *json, const char *name,
                      struct tocsin_span value)
{
    tocsin_json_key(json, name);
    tocsin_json_text(json, value);
}

#define JSON_UINT json_uint
#define JSON_OPT json_opt
#define JSON_MILLI json_milli
#define JSON_FLAGS json_flags
#define JSON_TEXT json_text
#define JSON_PAIRS json_text
#define JSON_LONG json_text
#define X(member, kind, name, unit, help) JSON_##kind(json, name, ev->member);

static void json_event(struct tocsin_json *json, const struct tocsin_event *ev)
{
    switch (ev->stream) {
    case TOCSIN_REQUEST:
        TOCSIN_REQUEST_FIELDS(X)
        break;
    case TOCSIN_UPSTREAM:
        TOCSIN_UPSTREAM_FIELDS(X)
        break;
    case TOCSIN_BEAT:
    case TOCSIN_STREAMS:
    default:
        TOCSIN_BEAT_FIELDS(X)
        break;
    }
}

#undef X

static void print_json(const struct tocsin_event *ev, uint64_t id_ms)
{
    char memory[LINE_MAX_BYTES];
    struct tocsin_out out = {memory, sizeof(memory), 0};
    struct tocsin_json json = tocsin_json_begin(&out);

    tocsin_json_open(&json, '{');
    json_text(&json, "stream", tocsin_span_str(stream_names[ev->stream]));
    json_uint(&json, "id_ms", id_ms);
    json_event(&json, ev);
    tocsin_json_close(&json, '}');
    if (tocsin_out_fits(&out)) {
        printf("%.*s\n", (int)out.need, memory);
    }
}

/* ---------------------------------------------------------------- following */

static void on_event(void *ctx, const struct tocsin_event *ev, uint64_t id_ms)
{
    struct tail *tail = ctx;

    if (!tail->wanted[ev->stream] || (tail->bounded && tail->left == 0)) {
        return;
    }
    tail->left--;
    if (tail->recording != NULL) {
        recording_add(tail->recording, ev, id_ms);
    } else if (tail->json) {
        print_json(ev, id_ms);
    } else {
        print_line(ev);
    }
}

static void on_time(void *ctx, uint64_t id_ms)
{
    (void)ctx;
    (void)id_ms;
}

static int choose(struct tail *tail, bool all, int argc, char **argv, int first)
{
    unsigned i;
    int at;

    for (i = 0; first == argc && i < TOCSIN_STREAMS; i++) {
        tail->wanted[i] = i != TOCSIN_BEAT || all;
    }
    for (at = first; at < argc; at++) {
        for (i = 0; i < TOCSIN_STREAMS; i++) {
            if (strcmp(argv[at], stream_names[i]) == 0) {
                tail->wanted[i] = true;
                break;
            }
        }
        if (i == TOCSIN_STREAMS) {
            fprintf(stderr,
                    "tocsin tail: no stream \"%s\", expected request, "
                    "upstream or beat\n",
                    argv[at]);
            return -1;
        }
    }
    return 0;
}

static int follow(struct tail *tail, const struct config *config,
                  uint64_t backlog, struct err *err)
{
    struct intake_sink sink = {tail, on_event, on_time};
    struct intake_options options = {
        .redis = command_redis(config),
        .prefix = config->redis_prefix,
        .shards = (unsigned)config->redis_shards,
        .backlog = backlog,
    };
    struct intake *intake = intake_create(&options, sink, err);
    bool connected = false;
    int rc = intake == NULL ? -1 : 0;

    /* Who cannot connect at all ends; who lost a connection gets it back. */
    while (intake != NULL && !got_end && !(tail->bounded && tail->left == 0)) {
        rc = intake_poll(intake, POLL_MS, err);
        if (rc < 0 && !connected) {
            break;
        }
        if (rc < 0) {
            log_warn("tail", "%s", err->message);
        }
        connected |= intake_stats(intake)->connected;
        rc = 0;
        if (fflush(stdout) != 0) {
            break; /* who read us has gone: `tocsin tail | head` */
        }
    }
    intake_destroy(intake);
    return rc;
}

static int follow_into(struct tail *tail, const struct config *config,
                       const char *record, uint64_t backlog, struct err *err)
{
    struct err ignored;
    int rc;

    if (record != NULL) {
        tail->recording = recording_create(record, config->redis_prefix, err);
        if (tail->recording == NULL) {
            return -1;
        }
    }
    rc = follow(tail, config, backlog, err);
    if (recording_close(tail->recording, rc == 0 ? err : &ignored) != 0) {
        rc = -1;
    }
    return rc;
}

static int take_number(const char *name, const char *text, uint64_t most,
                       uint64_t *to)
{
    char *end;

    if (*text < '0' || *text > '9') {
        end = NULL;
    } else {
        *to = strtoull(text, &end, 10);
    }
    if (end == NULL || *end != '\0' || *to > most) {
        fprintf(stderr,
                "tocsin tail: --%s %s: expected a whole number up to %llu\n",
                name, text, (unsigned long long)most);
        return -1;
    }
    return 0;
}

int command_tail(int argc, char **argv)
{
    struct tail tail = {.left = 0};
    const char *count = NULL, *back = "0", *record = NULL;
    const struct command_option options[] = {
        {"json", NULL, "one JSON object a line", &tail.json, NULL},
        {"count", "N", "end after N events", NULL, &count},
        {"back", "SECONDS", "begin so far in the past", NULL, &back},
        {"record", "FILE", "write them to FILE, beats too: see backtest", NULL,
         &record},
    };
    const char *config_path;
    struct config config;
    uint64_t seconds;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv,
                         "Follows events as they come, in order; by default "
                         "requests and attempts.",
                         "[request] [upstream] [beat]", options, 4,
                         &config_path, &first);
    if (rc >= 0) {
        return rc;
    }
    tail.bounded = count != NULL;
    if ((tail.bounded &&
         take_number("count", count, UINT64_MAX / 2, &tail.left) != 0) ||
        take_number("back", back, 365 * 86400, &seconds) != 0 ||
        choose(&tail, record != NULL, argc, argv, first) != 0) {
        return EXIT_USAGE;
    }
    if (command_config(config_path, &config) != 0) {
        return EXIT_FAILED;
    }
    log_set_level(LOG_WARN);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    rc = follow_into(&tail, &config, record, seconds * CLOCK_SECOND, &err);
    return rc == 0 ? EXIT_WELL : command_fail(argv[0], &err);
}
