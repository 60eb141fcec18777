/*
 * The outbox. An alert must reach the stream exactly once, though the process
 * may die between writing it and the next checkpoint (a replay then raises it
 * again), and though a connection may break between a command and its reply
 * (nobody knows then whether Redis took it). So after every connect the tail
 * of the stream is read back, and what stands there already - the same id,
 * state and time - is not written again. Replays are exact, so the same alert
 * has the same id, state and time.
 *
 * What was written of late is kept for a while: a replica that is promoted may
 * not have it, though its master had acknowledged it. Of such letters those
 * that the tail lacks are written again.
 *
 * Ids of entries are Redis' own ("*"): ids of ours would break as soon as a
 * clock is set back.
 */
#include "outbox.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "shared/names.h"
#include "shared/resp.h"

#define ROOM "outbox"

#define ALERTS_MAXLEN "100000"
#define BOARD_MAXLEN "2"
#define COMMAND_MAX ((size_t)8 << 20)
#define TAIL_MAX 2000 /* entries read back */
#define SENT_MAX 256u /* letters that are kept */
#define SENT_FOR (600 * CLOCK_SECOND)
#define BACKOFF_MIN 100000u
#define BACKOFF_MAX 5000000u

struct letter {
    uint64_t key;
    uint64_t sent_at; /* monotonic; 0 while it waits */
    size_t len;
    char command[];
};

struct outbox {
    struct outbox_options options;
    struct outbox_stats stats;
    redisContext *redis;
    uint64_t retry_at, backoff;

    struct letter **letters;       /* a ring of options.max */
    uint32_t first;                /* the oldest; stats.waiting of them */
    struct letter *sent[SENT_MAX]; /* the last that were written, a ring */
    uint32_t sent_first, sent_count;
    struct buf board; /* an encoded command; empty if none waits */
    struct buf scratch;

    bool ready;
    uint64_t tail[TAIL_MAX]; /* keys of what the stream held at connect */
    unsigned tail_count;
};

struct outbox *outbox_create(const struct outbox_options *options,
                             struct err *err)
{
    struct outbox *outbox = calloc(1, sizeof(*outbox));

    if (outbox == NULL) {
        err_set(err, ERR_LIMIT, "outbox: out of memory");
        return NULL;
    }
    outbox->options = *options;
    outbox->letters = calloc(options->max, sizeof(struct letter *));
    if (outbox->letters == NULL) {
        free(outbox);
        err_set(err, ERR_LIMIT, "outbox: out of memory");
        return NULL;
    }
    outbox->backoff = BACKOFF_MIN;
    buf_init(&outbox->board, COMMAND_MAX);
    buf_init(&outbox->scratch, COMMAND_MAX);
    return outbox;
}

/* The i-th oldest. */
static struct letter **letter_at(const struct outbox *outbox, uint32_t i)
{
    return &outbox->letters[(outbox->first + i) % outbox->options.max];
}

/* The oldest, which is the caller's then. */
static struct letter *take(struct outbox *outbox)
{
    struct letter *letter = *letter_at(outbox, 0);

    outbox->first = (outbox->first + 1) % outbox->options.max;
    outbox->stats.waiting--;
    return letter;
}

static void pop(struct outbox *outbox)
{
    free(take(outbox));
}

/* The newest of those that were written, or NULL; the caller's then. */
static struct letter *take_sent(struct outbox *outbox)
{
    if (outbox->sent_count == 0) {
        return NULL;
    }
    outbox->sent_count--;
    return outbox->sent[(outbox->sent_first + outbox->sent_count) % SENT_MAX];
}

static void keep_sent(struct outbox *outbox, struct letter *letter)
{
    if (outbox->sent_count == SENT_MAX) {
        free(outbox->sent[outbox->sent_first]);
        outbox->sent_first = (outbox->sent_first + 1) % SENT_MAX;
        outbox->sent_count--;
    }
    outbox->sent[(outbox->sent_first + outbox->sent_count) % SENT_MAX] = letter;
    outbox->sent_count++;
}

static void empty(struct outbox *outbox)
{
    while (outbox->stats.waiting != 0) {
        pop(outbox);
    }
}

void outbox_destroy(struct outbox *outbox)
{
    struct letter *letter;

    if (outbox == NULL) {
        return;
    }
    empty(outbox);
    while ((letter = take_sent(outbox)) != NULL) {
        free(letter);
    }
    free(outbox->letters);
    buf_release(&outbox->board);
    buf_release(&outbox->scratch);
    if (outbox->redis != NULL) {
        redisFree(outbox->redis);
    }
    free(outbox);
}

const struct outbox_stats *outbox_stats(const struct outbox *outbox)
{
    return &outbox->stats;
}

bool outbox_ready(const struct outbox *outbox)
{
    return outbox->ready;
}

/* ----------------------------------------------------------------- queuing */

static int push(struct outbox *outbox, uint64_t key, const char *command,
                size_t len)
{
    struct letter *letter;

    if (outbox->stats.waiting == outbox->options.max) {
        if (outbox->stats.dropped++ % 1000 == 0) {
            log_error(ROOM, "%u alerts wait for Redis: the oldest is dropped",
                      outbox->stats.waiting);
        }
        pop(outbox);
    }
    letter = malloc(sizeof(*letter) + len);
    if (letter == NULL) {
        outbox->stats.dropped++;
        return -1;
    }
    letter->key = key;
    letter->sent_at = 0;
    letter->len = len;
    memcpy(letter->command, command, len);
    *letter_at(outbox, outbox->stats.waiting) = letter;
    outbox->stats.waiting++;
    return 0;
}

/* What tells one change of state from every other. */
static uint64_t key_of(struct tocsin_span id, struct tocsin_span state,
                       uint64_t updated)
{
    return XXH64(state.data, state.len, XXH64(id.data, id.len, updated));
}

static bool in_tail(const struct outbox *outbox, uint64_t key)
{
    unsigned i;

    for (i = 0; i < outbox->tail_count; i++) {
        if (outbox->tail[i] == key) {
            return true;
        }
    }
    return false;
}

static void put_head(const struct outbox *outbox, struct tocsin_out *out,
                     const char *stream, const char *const *limit,
                     unsigned limits, unsigned fields)
{
    char name[512];
    unsigned i;

    snprintf(name, sizeof(name), "%s:%s", outbox->options.prefix, stream);
    tocsin_resp_put_array(out, 3 + limits + 2 * fields);
    tocsin_resp_put(out, TOCSIN_SPAN("XADD"));
    tocsin_resp_put(out, tocsin_span_str(name));
    for (i = 0; i < limits; i++) {
        tocsin_resp_put(out, tocsin_span_str(limit[i]));
    }
    tocsin_resp_put(out, TOCSIN_SPAN("*"));
}

static void put_alert(struct outbox *outbox, struct tocsin_out *out,
                      const void *alert)
{
    static const char *const limit[] = {"MAXLEN", "~", ALERTS_MAXLEN};

    put_head(outbox, out, TOCSIN_STREAM_ALERTS, limit, 3,
             tocsin_alert_field_count());
    tocsin_alert_encode(out, alert);
}

static void put_board(struct outbox *outbox, struct tocsin_out *out,
                      const void *board)
{
    static const char *const limit[] = {"MAXLEN", BOARD_MAXLEN};

    put_head(outbox, out, TOCSIN_STREAM_BOARD, limit, 2,
             tocsin_board_field_count());
    tocsin_board_encode(out, board);
}

/* Encodes into a buffer, growing it to what the first try needed. */
static int encode(struct outbox *outbox, struct buf *to, const void *what,
                  void (*put)(struct outbox *, struct tocsin_out *,
                              const void *))
{
    struct tocsin_out out = {NULL, 0, 0};

    put(outbox, &out, what);
    buf_clear(to);
    out.data = buf_reserve(to, out.need);
    if (out.data == NULL) {
        log_error(ROOM, "an entry of %zu bytes is too large", out.need);
        return -1;
    }
    out.cap = out.need;
    out.need = 0;
    put(outbox, &out, what);
    to->len = out.need;
    return 0;
}

bool outbox_alert(struct outbox *outbox, const struct tocsin_alert *alert)
{
    uint64_t key = key_of(alert->id, alert->state, alert->updated);

    if (in_tail(outbox, key)) {
        outbox->stats.known++;
        return false;
    }
    if (encode(outbox, &outbox->scratch, alert, put_alert) == 0) {
        push(outbox, key, outbox->scratch.data, outbox->scratch.len);
    }
    return true;
}

void outbox_board(struct outbox *outbox, const struct tocsin_board *board)
{
    encode(outbox, &outbox->board, board, put_board);
}

/* ----------------------------------------------------------------- writing */

static void disconnect(struct outbox *outbox)
{
    if (outbox->redis != NULL) {
        redisFree(outbox->redis);
        outbox->redis = NULL;
    }
    outbox->stats.connected = false;
    outbox->retry_at = clock_monotonic() + outbox->backoff;
    outbox->backoff *= 2;
    if (outbox->backoff > BACKOFF_MAX) {
        outbox->backoff = BACKOFF_MAX;
    }
}

static void read_tail_entry(struct outbox *outbox, const redisReply *entry)
{
    struct tocsin_alert alert;
    const redisReply *fields;
    size_t i;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
        entry->element[1]->type != REDIS_REPLY_ARRAY) {
        return;
    }
    fields = entry->element[1];
    tocsin_alert_init(&alert);
    for (i = 0; i + 1 < fields->elements; i += 2) {
        const redisReply *name = fields->element[i];
        const redisReply *value = fields->element[i + 1];

        if (name->type == REDIS_REPLY_STRING &&
            value->type == REDIS_REPLY_STRING) {
            tocsin_alert_field(&alert, tocsin_span_of(name->str, name->len),
                               tocsin_span_of(value->str, value->len));
        }
    }
    outbox->tail[outbox->tail_count++] =
        key_of(alert.id, alert.state, alert.updated);
}

static int read_tail(struct outbox *outbox, struct err *err)
{
    char name[512], count[16];
    const char *argv[] = {"XREVRANGE", name, "+", "-", "COUNT", count};
    redisReply *reply;
    size_t i;

    snprintf(name, sizeof(name), "%s:%s", outbox->options.prefix,
             TOCSIN_STREAM_ALERTS);
    snprintf(count, sizeof(count), "%d", TAIL_MAX);
    if (redis_command(outbox->redis, &reply, err, 6, argv, NULL) != 0) {
        return -1;
    }
    outbox->tail_count = 0;
    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements &&
                i < TAIL_MAX;
         i++) {
        read_tail_entry(outbox, reply->element[i]);
    }
    freeReplyObject(reply);
    return 0;
}

/* Before what waits, for it is older; false where there is no room. */
static bool push_front(struct outbox *outbox, struct letter *letter)
{
    uint32_t max = outbox->options.max;

    if (outbox->stats.waiting == max) {
        return false;
    }
    outbox->first = (outbox->first + max - 1) % max;
    outbox->stats.waiting++;
    *letter_at(outbox, 0) = letter;
    letter->sent_at = 0;
    return true;
}

/* What was written of late, but is not in the tail, waits again. */
static void take_back(struct outbox *outbox)
{
    struct letter *there[SENT_MAX], *letter;
    uint64_t now = clock_monotonic();
    uint32_t count = 0, again = 0;

    while ((letter = take_sent(outbox)) != NULL) {
        if (now - letter->sent_at > SENT_FOR) {
            free(letter);
        } else if (in_tail(outbox, letter->key)) {
            there[count++] = letter;
        } else if (push_front(outbox, letter)) {
            again++;
        } else {
            outbox->stats.dropped++;
            free(letter);
        }
    }
    while (count != 0) {
        keep_sent(outbox, there[--count]);
    }
    if (again != 0) {
        log_warn(ROOM,
                 "this Redis lacks %u alerts that were written: they are "
                 "written again",
                 again);
    }
}

static int connect_now(struct outbox *outbox, struct err *err)
{
    outbox->redis = redis_connect(&outbox->options.redis, err);
    if (outbox->redis == NULL || read_tail(outbox, err) != 0) {
        return -1;
    }
    take_back(outbox);
    outbox->backoff = BACKOFF_MIN;
    outbox->stats.connected = true;
    outbox->ready = true;
    return 0;
}

/* Sends one encoded command and waits for its answer. */
static int write_one(struct outbox *outbox, const char *command, size_t len,
                     struct err *err)
{
    redisReply *reply = NULL;
    int rc = 0;

    if (redisAppendFormattedCommand(outbox->redis, command, len) != REDIS_OK ||
        redisGetReply(outbox->redis, (void **)&reply) != REDIS_OK) {
        return err_set(err, ERR_NETWORK, "redis: %s", outbox->redis->errstr);
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        rc = err_set(err, ERR_REFUSED, "redis: XADD: %s", reply->str);
    }
    freeReplyObject(reply);
    return rc;
}

static int write_all(struct outbox *outbox, struct err *err)
{
    struct letter *sent;

    while (outbox->stats.waiting != 0) {
        const struct letter *letter = *letter_at(outbox, 0);

        if (in_tail(outbox, letter->key)) {
            outbox->stats.known++;
            pop(outbox);
            continue;
        }
        if (write_one(outbox, letter->command, letter->len, err) != 0) {
            return -1;
        }
        outbox->stats.written++;
        sent = take(outbox);
        sent->sent_at = clock_monotonic();
        keep_sent(outbox, sent);
    }
    if (outbox->board.len != 0) {
        if (write_one(outbox, outbox->board.data, outbox->board.len, err) !=
            0) {
            return -1;
        }
        buf_clear(&outbox->board);
    }
    return 0;
}

int outbox_flush(struct outbox *outbox, struct err *err)
{
    if (outbox->redis == NULL) {
        if (clock_monotonic() < outbox->retry_at) {
            return 0;
        }
        if (connect_now(outbox, err) != 0) {
            disconnect(outbox);
            return -1;
        }
    }
    if (write_all(outbox, err) != 0) {
        disconnect(outbox);
        return -1;
    }
    return 0;
}

/* -------------------------------------------------------------- checkpoint */

void outbox_save(const struct outbox *outbox, struct buf *to)
{
    uint32_t i;

    buf_put_u32(to, outbox->stats.waiting);
    for (i = 0; i < outbox->stats.waiting; i++) {
        const struct letter *letter = *letter_at(outbox, i);

        buf_put_u64(to, letter->key);
        buf_put_u64(to, letter->len);
        buf_put(to, letter->command, letter->len);
    }
}

/* The bytes go to Redis as they are: they must be one XADD to our stream. */
static bool is_alert_command(const struct outbox *outbox, const char *command,
                             size_t len)
{
    redisReader *reader = redisReaderCreate();
    redisReply *reply = NULL;
    char name[512];
    bool good;

    snprintf(name, sizeof(name), "%s:%s", outbox->options.prefix,
             TOCSIN_STREAM_ALERTS);
    good = reader != NULL &&
           redisReaderFeed(reader, command, len) == REDIS_OK &&
           redisReaderGetReply(reader, (void **)&reply) == REDIS_OK &&
           reply != NULL && reader->pos == reader->len &&
           reply->type == REDIS_REPLY_ARRAY && reply->elements > 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[0]->str, "XADD") == 0 &&
           reply->element[1]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[1]->str, name) == 0;
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    if (reader != NULL) {
        redisReaderFree(reader);
    }
    return good;
}

int outbox_restore(struct outbox *outbox, struct cursor *from, struct err *err)
{
    uint32_t count = cursor_u32(from), i;

    for (i = 0; i < count && !from->failed; i++) {
        uint64_t key = cursor_u64(from);
        uint64_t len = cursor_u64(from);
        const char *command = cursor_bytes(from, len);

        if (command == NULL || len > COMMAND_MAX ||
            !is_alert_command(outbox, command, len)) {
            break;
        }
        push(outbox, key, command, len);
    }
    if (from->failed || i != count) {
        empty(outbox);
        return err_set(err, ERR_INPUT, "outbox: cut short or damaged");
    }
    return 0;
}
