/*
 * How many events a second one core reads, decodes, orders and accounts for.
 *
 *     intake URL [EVENTS]
 *
 * URL is a Redis that may be flushed. Fills the streams as the module would
 * (half requests, half attempts, four producers, a beat a second's worth),
 * then lets intake run through them, and prints events a second of this
 * thread's CPU time; beside it what hiredis' reader alone takes, with a table
 * of functions that builds no tree.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "made_up.h"
#include "sidecar/base/clock.h"
#include "sidecar/intake/intake.h"

#define BATCH 500

static uint64_t seen, statuses;

static void on_event(void *ctx, const struct tocsin_event *ev, uint64_t id_ms)
{
    (void)ctx;
    (void)id_ms;
    seen++;
    statuses += ev->status;
}

static void on_time(void *ctx, uint64_t id_ms)
{
    (void)ctx;
    (void)id_ms;
}

static void fill(redisContext *redis, uint64_t events)
{
    static char memory[BATCH * 4096];
    struct tocsin_event ev;
    uint64_t i, n, started = clock_monotonic();
    redisReply *reply;
    char src[64];

    freeReplyObject(redisCommand(redis, "FLUSHALL"));
    for (i = 0; i < events;) {
        struct tocsin_out out = {memory, sizeof(memory), 0};

        for (n = 0; n < BATCH && i < events; n++, i++) {
            fill_event(&ev, i, src);
            put_xadd(&out, &ev);
        }
        redisAppendFormattedCommand(redis, out.data, out.need);
        for (; n != 0; n--) {
            if (redisGetReply(redis, (void **)&reply) != REDIS_OK) {
                fprintf(stderr, "redis: %s\n", redis->errstr);
                exit(EXIT_FAILURE);
            }
            freeReplyObject(reply);
        }
    }
    printf("filled           %10.0f events/s (one pipelining client)\n",
           (double)events * 1e6 / (double)(clock_monotonic() - started));
}

static int run_intake(const char *url, uint64_t events)
{
    struct intake_options options = {
        .redis = {url, "", "", 2000},
        .prefix = "tocsin",
        .shards = 1,
        .backlog = 3600ull * CLOCK_SECOND,
    };
    struct intake_sink sink = {NULL, on_event, on_time};
    struct err err;
    struct intake *intake = intake_create(&options, sink, &err);
    uint64_t cpu = clock_thread_cpu(), wall = clock_monotonic();

    /* The last millisecond is held back for a while: leave it out. */
    while (intake != NULL && seen < events / 100 * 99) {
        if (intake_poll(intake, 2000, &err) < 0) {
            break;
        }
    }
    if (seen < events / 100 * 99) {
        fprintf(stderr, "%s\n", err.message);
        return EXIT_FAILURE;
    }
    wall = clock_monotonic() - wall;
    cpu = clock_thread_cpu() - cpu;
    printf("intake           %10.0f events/s of one core, %.0f events/s of "
           "time (Redis answers meanwhile)\n",
           (double)seen * 1e6 / (double)cpu, (double)seen * 1e6 / (double)wall);
    intake_destroy(intake);
    return EXIT_SUCCESS;
}

/* hiredis' reader with a table that builds nothing. */
static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    (void)task;
    statuses += len + (unsigned char)text[0];
    return &statuses;
}

static void *on_array(const redisReadTask *task, int elements)
{
    (void)task;
    (void)elements;
    return &statuses;
}

static void *on_integer(const redisReadTask *task, long long value)
{
    (void)task;
    (void)value;
    return &statuses;
}

static void *on_nil(const redisReadTask *task)
{
    (void)task;
    return &statuses;
}

static void on_free(void *object)
{
    (void)object;
}

static void run_reader(uint64_t rounds)
{
    static redisReplyObjectFunctions table = {on_string, on_array, on_integer,
                                              on_nil, on_free};
    static char memory[1000 * 4096];
    struct tocsin_out out = {memory, sizeof(memory), 0};
    redisReader *reader = redisReaderCreateWithFunctions(&table);
    struct tocsin_event ev;
    uint64_t i, cpu;
    void *reply;
    char src[64];

    tocsin_resp_put_array(&out, 1000);
    for (i = 0; i < 1000; i++) {
        fill_event(&ev, i, src);
        tocsin_resp_put_array(&out, 2);
        tocsin_resp_put(&out, TOCSIN_SPAN("1767323045678-0"));
        tocsin_resp_put_array(&out, 2 * tocsin_event_field_count(ev.stream));
        tocsin_event_encode(&out, &ev);
    }
    cpu = clock_thread_cpu();
    for (i = 0; i < rounds; i++) {
        redisReaderFeed(reader, out.data, out.need);
        redisReaderGetReply(reader, &reply);
    }
    cpu = clock_thread_cpu() - cpu;
    printf("hiredis' reader  %10.0f events/s of one core, before decoding\n",
           (double)rounds * 1e9 / (double)cpu);
    redisReaderFree(reader);
}

int main(int argc, char **argv)
{
    uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 500000;
    struct redis_options options = {.url = argc > 1 ? argv[1] : "",
                                    .timeout_ms = 5000};
    redisContext *redis;
    struct err err;

    redis = redis_connect(&options, &err);
    if (redis == NULL) {
        fprintf(stderr, "usage: intake URL [EVENTS]\n%s\n", err.message);
        return 2;
    }
    fill(redis, events);
    redisFree(redis);
    run_reader(events / 1000);
    return run_intake(argv[1], events);
}
