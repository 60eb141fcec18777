/*
 * So many made-up events a second, into Redis as the module writes them.
 *
 *     feed URL RATE SECONDS
 *
 * In real time and with real stamps, pipelined, with a beat of each producer
 * every second, and one when all is sent. Prints how many events Redis has
 * taken. When Redis cannot keep up they come later, but all of them come.
 */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "made_up.h"
#include "sidecar/base/clock.h"
#include "sidecar/base/redis.h"

#define BATCH 500
#define PAUSE 5000 /* us between two looks at the clock */

static void await(redisContext *redis, uint64_t replies)
{
    redisReply *reply;

    for (; replies != 0; replies--) {
        if (redisGetReply(redis, (void **)&reply) != REDIS_OK ||
            reply->type == REDIS_REPLY_ERROR) {
            fprintf(stderr, "feed: %s\n", redis->errstr);
            exit(EXIT_FAILURE);
        }
        freeReplyObject(reply);
    }
}

/* Events from `sent` up to `due`, a batch at most; returns how many. */
static uint64_t send_some(redisContext *redis, uint64_t sent, uint64_t due)
{
    static char memory[BATCH * 4096];
    struct tocsin_out out = {memory, sizeof(memory), 0};
    struct tocsin_event ev;
    uint64_t n;
    char src[64];

    for (n = 0; n < BATCH && sent + n < due; n++) {
        fill_event(&ev, sent + n, src);
        ev.ts = clock_now();
        put_xadd(&out, &ev);
    }
    redisAppendFormattedCommand(redis, out.data, out.need);
    await(redis, n);
    return n;
}

static void send_beats(redisContext *redis, uint64_t sent)
{
    static char memory[MADE_UP_PRODUCERS * 4096];
    struct tocsin_out out = {memory, sizeof(memory), 0};
    struct tocsin_event ev, beat;
    unsigned i;
    char src[64];

    for (i = 0; i < MADE_UP_PRODUCERS; i++) {
        fill_event(&ev, 2 * i, src);
        tocsin_event_init(&beat, TOCSIN_BEAT);
        beat.v = ev.v;
        beat.src = ev.src;
        beat.ts = clock_now();
        beat.request_seq = beat.upstream_seq = sent / (2 * MADE_UP_PRODUCERS);
        beat.emitted = beat.delivered = 2 * beat.request_seq;
        put_xadd(&out, &beat);
    }
    redisAppendFormattedCommand(redis, out.data, out.need);
    await(redis, MADE_UP_PRODUCERS);
}

int main(int argc, char **argv)
{
    struct redis_options options = {.url = argc > 1 ? argv[1] : "",
                                    .timeout_ms = 10000};
    uint64_t rate = argc > 3 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t all = argc > 3 ? rate * strtoull(argv[3], NULL, 10) : 0;
    uint64_t sent = 0, due, began, passed, beaten = 0;
    redisContext *redis;
    struct err err;

    redis = redis_connect(&options, &err);
    if (redis == NULL || all == 0) {
        fprintf(stderr, "usage: feed URL RATE SECONDS\n%s\n",
                redis == NULL ? err.message : "");
        return 2;
    }
    began = clock_monotonic();
    while (sent < all) {
        passed = clock_monotonic() - began;
        due = passed * rate / CLOCK_SECOND;
        while (sent < due && sent < all) {
            sent += send_some(redis, sent, due < all ? due : all);
        }
        if (passed / CLOCK_SECOND > beaten) {
            beaten = passed / CLOCK_SECOND;
            send_beats(redis, sent);
        }
        usleep(PAUSE);
    }
    send_beats(redis, sent);
    printf("sent %llu\n", (unsigned long long)sent);
    redisFree(redis);
    return EXIT_SUCCESS;
}
