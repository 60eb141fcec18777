/*
 * Intake: Redis Streams in, events out, in one order.
 *
 * Streams become lanes: request and upstream (one lane a shard) and beat. One
 * XREAD asks for all of them and Redis answers from one moment, so whatever
 * comes later has ids of at least the newest millisecond in that answer. Hence
 * each lane knows below which millisecond it is complete, and what lies below
 * the least of these is delivered, ordered by (millisecond, lane, number).
 * That order, and the calls of sink.time() between, depend on the streams'
 * content alone: living them or replaying them is the same to what comes
 * behind. Only how soon something is delivered depends on the clock.
 *
 * One loop calls intake_poll(). The command that is under way stays so between
 * calls; the socket is read directly, since hiredis' reader is too slow for it
 * (reply.c), which is sound as all other commands on this connection have got
 * their reply before XREAD is sent.
 */
#include "intake.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "lanes.h"
#include "producers.h"
#include "reply.h"
#include "shared/names.h"
#include "survey.h"

#define ROOM "intake"

#define READ_CHUNK ((size_t)256 * 1024)
#define READ_COUNT 1000            /* entries a stream and command */
#define READ_MUCH (4 * READ_COUNT) /* a lane that holds so many may wait */
#define READ_FEW 100      /* fewer than that: wait a little before the next */
#define READ_PAUSE 10000u /* us */
#define BLOCK_MS 1000     /* Redis waits that long for news */
#define HOLD_MAX 1000000u /* us after which the newest ms is let go */
#define SURVEY_EVERY 1000000u
#define BACKOFF_MIN 100000u /* us */
#define BACKOFF_MAX 5000000u
#define PRODUCERS_MAX 4096u
#define TEXT_MAX 256
#define SAVE_VERSION 2

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

struct intake {
    struct intake_options options;
    char url[TEXT_MAX], username[TEXT_MAX], password_file[TEXT_MAX];
    struct intake_sink sink;
    struct intake_stats stats;
    struct producers *producers;

    struct lanes lanes;
    bool positioned; /* the lanes know where to read on */

    redisContext *redis;
    bool was_connected;
    uint64_t retry_at, backoff;
    uint64_t survey_at, ask_at;
    uint64_t asked_at; /* when the command under way was sent; 0 if none is */
    uint64_t held_since;
    bool answered; /* on this connection: where the lanes end is known */

    struct buf in; /* bytes of the reply that are not used yet */
    struct reply reply;
    struct lane *filling;
    uint32_t replied; /* entries of the reply under way */

    uint64_t time_ms;
    unsigned seed;
    int delivered; /* by this poll */
};

/* ------------------------------------------------------------- life cycle */

/* Keeps our own copy of what the options point to. */
static int keep_text(char *to, const char **text, struct err *err)
{
    if (*text == NULL) {
        *text = "";
    }
    if (strlen(*text) >= TEXT_MAX) {
        return err_set(err, ERR_LIMIT, "intake: \"%.32s...\" is too long",
                       *text);
    }
    memcpy(to, *text, strlen(*text) + 1);
    *text = to;
    return 0;
}

struct intake *intake_create(const struct intake_options *options,
                             struct intake_sink sink, struct err *err)
{
    struct intake *intake = calloc(1, sizeof(*intake));

    if (intake == NULL) {
        err_set(err, ERR_LIMIT, "intake: out of memory");
        return NULL;
    }
    intake->options = *options;
    intake->sink = sink;
    intake->backoff = BACKOFF_MIN;
    intake->seed = (unsigned)getpid();
    buf_init(&intake->in, REPLY_ENTRY_MAX + 2 * READ_CHUNK);
    if (options->shards < 1 || options->shards > LANES_SHARDS_MAX ||
        strlen(options->prefix) > TEXT_MAX - 32) {
        err_set(err, ERR_USAGE, "intake: shards or prefix out of range");
        goto fail;
    }
    if (keep_text(intake->url, &intake->options.redis.url, err) != 0 ||
        keep_text(intake->username, &intake->options.redis.username, err) !=
            0 ||
        keep_text(intake->password_file, &intake->options.redis.password_file,
                  err) != 0) {
        goto fail;
    }
    lanes_init(&intake->lanes, options->prefix, options->shards);
    intake->producers = producers_create(PRODUCERS_MAX, err);
    if (intake->producers == NULL) {
        goto fail;
    }
    return intake;

fail:
    intake_destroy(intake);
    return NULL;
}

void intake_destroy(struct intake *intake)
{
    if (intake == NULL) {
        return;
    }
    lanes_release(&intake->lanes);
    producers_destroy(intake->producers);
    buf_release(&intake->in);
    if (intake->redis != NULL) {
        redisFree(intake->redis);
    }
    free(intake);
}

const struct intake_stats *intake_stats(const struct intake *intake)
{
    return &intake->stats;
}

uint64_t intake_lag(const struct intake_stats *stats)
{
    return stats->processed_ms != 0 && stats->newest_ms > stats->processed_ms
               ? stats->newest_ms - stats->processed_ms
               : 0;
}

/* ------------------------------------------------------------- connection */

static void disconnect(struct intake *intake)
{
    unsigned jitter = (unsigned)rand_r(&intake->seed) % 1024;

    if (intake->redis != NULL) {
        redisFree(intake->redis);
        intake->redis = NULL;
    }
    intake->stats.connected = false;
    intake->answered = false;
    intake->asked_at = 0;
    buf_clear(&intake->in);
    intake->retry_at = clock_monotonic() + intake->backoff / 2 +
                       intake->backoff / 2048 * jitter;
    intake->backoff *= 2;
    if (intake->backoff > BACKOFF_MAX) {
        intake->backoff = BACKOFF_MAX;
    }
}

/* On a first start all lanes begin at one moment, by Redis' own clock. */
static int position(struct intake *intake, struct err *err)
{
    uint64_t now, back = intake->options.backlog;
    unsigned i;

    if (intake->positioned) {
        return 0;
    }
    if (survey_time(intake->redis, &now, err) != 0) {
        return -1;
    }
    for (i = 0; i < intake->lanes.count; i++) {
        intake->lanes.lane[i].read.ms = now > back ? (now - back) / 1000 : 0;
        intake->lanes.lane[i].delivered = intake->lanes.lane[i].read;
    }
    intake->positioned = true;
    return 0;
}

static int survey(struct intake *intake, struct err *err)
{
    unsigned i;

    if (redis_still_master(intake->redis, &intake->options.redis, err) != 0) {
        return -1;
    }
    for (i = 0; i < intake->lanes.count; i++) {
        struct lane *lane = &intake->lanes.lane[i];

        if (survey_lane(intake->redis, lane, &intake->stats, err) != 0) {
            return -1;
        }
        lane_mark(lane);
    }
    intake->survey_at = clock_monotonic() + SURVEY_EVERY;
    return 0;
}

/* Redis may be another one than before, or not have all that it had. */
static int find_places(struct intake *intake, struct err *err)
{
    unsigned i;

    for (i = 0; i < intake->lanes.count; i++) {
        if (survey_place(intake->redis, &intake->lanes.lane[i], err) != 0) {
            return -1;
        }
    }
    return 0;
}

static int connect_now(struct intake *intake, struct err *err)
{
    intake->redis = redis_connect(&intake->options.redis, err);
    if (intake->redis == NULL) {
        return -1;
    }
    if (position(intake, err) != 0 || find_places(intake, err) != 0 ||
        survey(intake, err) != 0) {
        return -1;
    }
    if (intake->was_connected) {
        intake->stats.reconnects++;
    }
    intake->was_connected = true;
    intake->stats.connected = true;
    intake->backoff = BACKOFF_MIN;
    log_notice(ROOM, "connected to %s (%s)", intake->url,
               redis_peer(intake->redis));
    return 0;
}

/* ----------------------------------------------------- asking and reading */

static int send_all(struct intake *intake, struct err *err)
{
    int done = 0;

    while (!done) {
        if (redisBufferWrite(intake->redis, &done) != REDIS_OK) {
            return err_set(err, ERR_NETWORK, "redis: %s: %s", intake->url,
                           intake->redis->errstr);
        }
    }
    return 0;
}

static int on_stream(void *ctx, struct tocsin_span key, struct err *err)
{
    struct intake *intake = ctx;

    intake->filling = lanes_asked(&intake->lanes, key);
    if (intake->filling == NULL) {
        return err_set(err, ERR_INPUT,
                       "redis: XREAD: a stream that was not asked for");
    }
    return 0;
}

static int on_entry(void *ctx, struct stream_id id, struct tocsin_span fields,
                    uint32_t pairs, struct err *err)
{
    struct intake *intake = ctx;
    struct lane *lane = intake->filling;

    if (lane_push(lane, id, fields, pairs, err) != 0) {
        return -1;
    }
    lane->read = id;
    lane->began = true;
    lane->got++;
    intake->replied++;
    return 0;
}

static int ask(struct intake *intake, struct err *err)
{
    const char *argv[6 + 2 * LANES_MAX] = {"XREAD", "COUNT", TEXT(READ_COUNT)};
    char ids[LANES_MAX][48];
    bool wait;
    unsigned i, asked = lanes_choose(&intake->lanes, READ_MUCH, &wait), at = 0;
    unsigned argc = 3;

    if (wait) {
        argv[argc++] = "BLOCK";
        argv[argc++] = TEXT(BLOCK_MS);
    }
    argv[argc++] = "STREAMS";
    for (i = 0; i < intake->lanes.count; i++) {
        struct lane *lane = &intake->lanes.lane[i];

        if (lane->asked) {
            snprintf(ids[at], sizeof(ids[at]), "%llu-%llu",
                     (unsigned long long)lane->read.ms,
                     (unsigned long long)lane->read.n);
            argv[argc + at] = lane->key;
            argv[argc + asked + at] = ids[at];
            at++;
        }
    }
    if (redisAppendCommandArgv(intake->redis, (int)(argc + 2 * asked), argv,
                               NULL) != REDIS_OK) {
        return err_set(err, ERR_LIMIT, "redis: XREAD: out of memory");
    }
    reply_start(&intake->reply,
                (struct reply_sink){intake, on_stream, on_entry});
    intake->replied = 0;
    intake->asked_at = clock_monotonic();
    return send_all(intake, err);
}

static void settle(struct intake *intake)
{
    uint64_t newest = lanes_settle(&intake->lanes, READ_COUNT);

    if (newest > intake->stats.newest_ms) {
        intake->stats.newest_ms = newest;
    }
    intake->answered = true;
    intake->ask_at =
        intake->replied < READ_FEW ? intake->asked_at + READ_PAUSE : 0;
    intake->asked_at = 0;
}

/* 1 if there was something, 0 if not, -1 if the connection is gone. */
static int read_some(struct intake *intake, int timeout_ms, struct err *err)
{
    char *to = buf_reserve(&intake->in, READ_CHUNK);
    ssize_t n;

    if (to == NULL) {
        return err_set(err, ERR_LIMIT, "redis: XREAD: no room for the reply");
    }
    n = redis_read(intake->redis, to, READ_CHUNK, timeout_ms, err);
    if (n < 0) {
        return err_prefix(err, "redis: %s", intake->url);
    }
    if (n > 0) {
        intake->in.len += (size_t)n;
        return 1;
    }
    if (clock_monotonic() - intake->asked_at >
        BLOCK_MS * 1000 + intake->options.redis.timeout_ms * 1000ull) {
        return err_set(err, ERR_NETWORK, "redis: %s: no answer in time",
                       intake->url);
    }
    return 0;
}

/* Takes the bytes that are there; 1 if the reply is whole. */
static int take_reply(struct intake *intake, struct err *err)
{
    struct buf *in = &intake->in;
    size_t used;
    int rc = reply_take(&intake->reply, in->data, in->len, &used, err);

    if (rc < 0) {
        return -1;
    }
    memmove(in->data, in->data + used, in->len - used);
    in->len -= used;
    if (rc == 1 && in->len != 0) {
        return err_set(err, ERR_INPUT, "redis: XREAD: more than one reply");
    }
    return rc;
}

/* ------------------------------------------------------------- delivering */

/* A beat has no number, but its time; it is a repeat only where one may be. */
static bool is_news(struct intake *intake, const struct tocsin_event *ev,
                    bool again)
{
    uint64_t last[PRODUCERS_KINDS] = {ev->request_seq, ev->upstream_seq};

    if (ev->stream != TOCSIN_BEAT) {
        return producers_event(intake->producers, ev->src, ev->stream, ev->seq);
    }
    if (!producers_beat_at(intake->producers, ev->src, ev->ts, again)) {
        return false;
    }
    if (ev->buffered == 0) {
        producers_beat(intake->producers, ev->src, last);
    }
    return true;
}

static void deliver(struct intake *intake, struct lane *lane)
{
    const struct held *entry = lane_head(lane);
    const char *rest = lane_fields(lane, entry).data;
    struct tocsin_span name, value;
    struct tocsin_event ev;
    uint32_t i;
    int rc = entry->pairs == 0 ? -1 : 0;
    bool again;

    tocsin_event_init(&ev, lane->kind);
    for (i = 0; i < entry->pairs && rc == 0; i++) {
        name = reply_field(&rest);
        value = reply_field(&rest);
        rc = tocsin_event_field(&ev, i, name, value);
    }
    if (rc != 0 || ev.v == 0 || ev.src.len == 0) {
        intake->stats.malformed++;
    } else {
        again = !stream_id_less(lane->again, entry->id);
        if (is_news(intake, &ev, again)) {
            intake->stats.events++;
            intake->sink.event(intake->sink.ctx, &ev, intake->time_ms);
        }
    }
    lane_pop(lane);
    intake->delivered++;
}

static void tell_time(struct intake *intake, uint64_t ms)
{
    if (ms > intake->time_ms) {
        intake->time_ms = ms;
        intake->stats.processed_ms = ms;
        intake->sink.time(intake->sink.ctx, ms);
    }
}

static void deliver_below(struct intake *intake, uint64_t bound)
{
    const struct held *entry;
    struct lane *lane;
    uint64_t ms;

    while ((lane = lanes_next(&intake->lanes, bound)) != NULL) {
        ms = lane_head(lane)->id.ms;
        tell_time(intake, ms);
        while ((entry = lane_head(lane)) != NULL && entry->id.ms == ms) {
            deliver(intake, lane);
        }
    }
}

/*
 * The newest millisecond waits for a newer one. It is let go after a second,
 * since nothing can be added to it by then - except by a Redis whose clock
 * was set back, which goes on with the same millisecond until time has caught
 * up; then the order within it is that of arrival.
 */
static bool may_let_go(struct intake *intake)
{
    uint64_t now = clock_monotonic();

    if (lanes_hold_much(&intake->lanes)) {
        return true;
    }
    if (intake->delivered != 0 || intake->redis == NULL ||
        !lanes_hold_any(&intake->lanes) || !lanes_at_end(&intake->lanes)) {
        intake->held_since = now;
    }
    return now - intake->held_since > HOLD_MAX;
}

static void merge(struct intake *intake)
{
    uint64_t bound = lanes_bound(&intake->lanes);

    deliver_below(intake, bound);
    tell_time(intake, bound);
    if (may_let_go(intake)) {
        deliver_below(intake, bound + 1);
    }
}

static int poll_connection(struct intake *intake, int timeout_ms,
                           struct err *err)
{
    uint64_t now = clock_monotonic();
    int rc;

    if (intake->redis == NULL) {
        if (now < intake->retry_at) {
            uint64_t ms = (intake->retry_at - now) / 1000 + 1;

            poll(NULL, 0, ms < (uint64_t)timeout_ms ? (int)ms : timeout_ms);
            return 0;
        }
        return connect_now(intake, err);
    }
    if (intake->asked_at == 0) {
        if (now < intake->ask_at) {
            poll(NULL, 0, (int)((intake->ask_at - now) / 1000 + 1));
        }
        if (now >= intake->survey_at && survey(intake, err) != 0) {
            return -1;
        }
        if (ask(intake, err) != 0) {
            return -1;
        }
    }
    rc = read_some(intake, timeout_ms, err);
    while (rc == 1 && (rc = take_reply(intake, err)) == 0) {
        /* The rest of a reply is on its way: do not leave it half read. */
        rc = read_some(intake, timeout_ms, err);
    }
    if (rc == 1) {
        settle(intake);
        if (intake->ask_at == 0 && now < intake->survey_at) {
            /* There is more: Redis prepares it while we deliver this. */
            rc = ask(intake, err);
        }
    }
    return rc < 0 ? -1 : 0;
}

int intake_poll(struct intake *intake, int timeout_ms, struct err *err)
{
    int rc;

    intake->delivered = 0;
    rc = poll_connection(intake, timeout_ms, err);
    if (rc != 0) {
        disconnect(intake);
    }
    merge(intake);
    intake->stats.gaps = producers_stats(intake->producers)->gaps;
    intake->stats.duplicates = producers_stats(intake->producers)->duplicates;
    return rc != 0 ? -1 : intake->delivered;
}

bool intake_caught_up(const struct intake *intake)
{
    return intake->answered && lanes_at_end(&intake->lanes) &&
           !lanes_hold_any(&intake->lanes);
}

/* ------------------------------------------------------------- checkpoint */

void intake_save(const struct intake *intake, struct buf *to)
{

    buf_put_u32(to, SAVE_VERSION);
    buf_put_u32(to, intake->positioned);
    buf_put_u64(to, intake->time_ms);
    buf_put_u64(to, intake->stats.events);
    buf_put_u64(to, intake->stats.malformed);
    lanes_save(&intake->lanes, to);
    producers_save(intake->producers, to);
}

int intake_restore(struct intake *intake, struct cursor *from, struct err *err)
{
    uint32_t version = cursor_u32(from);
    bool positioned = cursor_u32(from) != 0;
    uint64_t time_ms = cursor_u64(from);
    uint64_t events = cursor_u64(from), malformed = cursor_u64(from);

    if (from->failed || version != SAVE_VERSION) {
        return err_set(err, ERR_INPUT, "intake: not its checkpoint");
    }
    if (lanes_restore(&intake->lanes, from, err) != 0 ||
        producers_restore(intake->producers, from, err) != 0) {
        return -1;
    }
    intake->positioned = positioned;
    intake->time_ms = intake->stats.processed_ms = time_ms;
    intake->stats.events = events;
    intake->stats.malformed = malformed;
    return 0;
}
