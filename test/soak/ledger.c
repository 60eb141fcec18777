/*
 * Keeps an account of what stands in the streams, by (src, seq).
 *
 *     ledger HOST PORT PREFIX
 *
 * Follows the events and beats of a Redis through its restarts, one bit for
 * each event of a producer. Standard input takes one command a line:
 *
 *     attic PATH   reads what stands in another Redis, at this unix socket:
 *                  one that was taken out of service with what it knew
 *     report       prints one line of JSON, the account of all producers
 *
 * and the program ends with it. What stands in an attic and nowhere else was
 * lost by Redis after it had acknowledged it.
 */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define BATCH 2000
#define SOURCES 4096
#define KEYS 3 /* requests, attempts, beats */
#define ID 48

struct bits {
    uint64_t *words;
    size_t size;
};

/* What is known of one producer in one stream. */
struct account {
    struct bits seen, attic;
    uint64_t last, repeats;
};

struct source {
    char name[128];
    struct account accounts[2];
    uint64_t dropped; /* as its last beat says */
};

static const char *const names[KEYS] = {"request", "upstream", "beat"};
static char keys[KEYS][64];
static char ids[KEYS][ID] = {"0-0", "0-0", "0-0"};
static struct source sources[SOURCES];
static unsigned known;
static const char *host;
static int port;

static void fail(const char *what)
{
    fprintf(stderr, "ledger: %s\n", what);
    exit(EXIT_FAILURE);
}

/* -------------------------------------------------------------------- bits */

/* Sets a bit; returns whether it was set before. */
static bool set_bit(struct bits *bits, uint64_t number)
{
    size_t word = (size_t)(number / 64), size = bits->size;
    uint64_t mask = 1ull << (number % 64);
    bool before;

    if (word >= size) {
        size = word * 2 + 64;
        bits->words = realloc(bits->words, size * sizeof(uint64_t));
        if (bits->words == NULL) {
            fail("no memory");
        }
        memset(bits->words + bits->size, 0,
               (size - bits->size) * sizeof(uint64_t));
        bits->size = size;
    }
    before = (bits->words[word] & mask) != 0;
    bits->words[word] |= mask;
    return before;
}

static uint64_t word_of(const struct bits *bits, size_t word)
{
    return word < bits->size ? bits->words[word] : 0;
}

/* Bits that are set, but not in `without`. */
static uint64_t count_bits(const struct bits *bits, const struct bits *without)
{
    uint64_t count = 0;
    size_t i;

    for (i = 0; i < bits->size; i++) {
        count += (uint64_t)__builtin_popcountll(bits->words[i] &
                                                ~word_of(without, i));
    }
    return count;
}

/* ----------------------------------------------------------------- entries */

static struct source *source_of(const redisReply *name)
{
    static unsigned last;
    unsigned i;

    if (name->len >= sizeof(sources[0].name)) {
        fail("a long src");
    }
    if (last < known && strcmp(sources[last].name, name->str) == 0) {
        return &sources[last];
    }
    for (i = 0; i < known && strcmp(sources[i].name, name->str) != 0; i++) {
    }
    if (i == SOURCES) {
        fail("too many producers");
    }
    if (i == known) {
        memcpy(sources[known++].name, name->str, name->len + 1);
    }
    last = i;
    return &sources[i];
}

static const redisReply *field(const redisReply *pairs, const char *name)
{
    size_t i;

    for (i = 0; i + 1 < pairs->elements; i += 2) {
        if (strcmp(pairs->element[i]->str, name) == 0) {
            return pairs->element[i + 1];
        }
    }
    fail("an entry without a field that all have");
    return NULL;
}

static uint64_t number(const redisReply *pairs, const char *name)
{
    return strtoull(field(pairs, name)->str, NULL, 10);
}

static void take(unsigned stream, const redisReply *pairs, bool attic)
{
    struct source *source = source_of(field(pairs, "src"));
    struct account *account;
    uint64_t seq;

    if (stream == 2) {
        source->dropped = number(pairs, "dropped");
        return;
    }
    account = &source->accounts[stream];
    seq = number(pairs, "seq");
    if (seq > account->last) {
        account->last = seq;
    }
    if (attic) {
        set_bit(&account->attic, seq);
    } else {
        account->repeats += set_bit(&account->seen, seq);
    }
}

static void take_all(unsigned stream, const redisReply *entries, char *id,
                     bool attic)
{
    const redisReply *entry;
    size_t i;

    for (i = 0; i < entries->elements; i++) {
        entry = entries->element[i];
        snprintf(id, ID, "%s", entry->element[0]->str);
        take(stream, entry->element[1], attic);
    }
}

/* ------------------------------------------------------------------- redis */

/* NULL while it is away. */
static redisContext *connect_once(void)
{
    redisContext *redis =
        redisConnectWithTimeout(host, port, (struct timeval){1, 0});

    if (redis != NULL && redis->err) {
        redisFree(redis);
        redis = NULL;
    }
    if (redis != NULL) {
        redisSetTimeout(redis, (struct timeval){30, 0});
    }
    return redis;
}

/* Reads what is new; false if the connection is of no use any more. */
static bool follow(redisContext *redis)
{
    redisReply *reply, *stream;
    unsigned key;
    size_t i;
    bool well;

    reply = redisCommand(
        redis, "XREAD COUNT %d BLOCK 100 STREAMS %s %s %s %s %s %s", BATCH,
        keys[0], keys[1], keys[2], ids[0], ids[1], ids[2]);
    well = reply != NULL && reply->type != REDIS_REPLY_ERROR;
    for (i = 0; well && i < reply->elements; i++) {
        stream = reply->element[i];
        for (key = 0; strcmp(keys[key], stream->element[0]->str) != 0; key++) {
        }
        take_all(key, stream->element[1], ids[key], false);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return well;
}

static void read_attic(const char *path)
{
    redisContext *redis = redisConnectUnix(path);
    redisReply *reply;
    char id[ID], from[ID + 1];
    unsigned key;
    size_t got;

    if (redis == NULL || redis->err) {
        fail("no Redis in the attic");
    }
    for (key = 0; key < 2; key++) {
        snprintf(from, sizeof(from), "-");
        do {
            reply = redisCommand(redis, "XRANGE %s %s + COUNT %d", keys[key],
                                 from, BATCH);
            if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
                fail("the attic cannot be read");
            }
            got = reply->elements;
            take_all(key, reply, id, true);
            snprintf(from, sizeof(from), "(%s", id);
            freeReplyObject(reply);
        } while (got == BATCH);
    }
    redisFree(redis);
    printf("{\"attic\": true}\n");
    fflush(stdout);
}

/* ---------------------------------------------------------------- commands */

static void report(void)
{
    const struct bits none = {NULL, 0};
    const struct account *a;
    unsigned i, k;

    printf("{\"ids\": {");
    for (i = 0; i < KEYS; i++) {
        printf("%s\"%s\": \"%s\"", i ? ", " : "", names[i], ids[i]);
    }
    printf("}, \"sources\": {");
    for (i = 0; i < known; i++) {
        printf("%s\"%s\": {\"dropped\": %lu", i ? ", " : "", sources[i].name,
               sources[i].dropped);
        for (k = 0; k < 2; k++) {
            a = &sources[i].accounts[k];
            printf(", \"%s\": {\"last\": %lu, \"distinct\": %lu, "
                   "\"lost\": %lu, \"repeats\": %lu}",
                   names[k], a->last, count_bits(&a->seen, &none),
                   count_bits(&a->attic, &a->seen), a->repeats);
        }
        printf("}");
    }
    printf("}}\n");
    fflush(stdout);
}

/* Whole lines of standard input; false at its end. */
static bool obey(void)
{
    static char text[512];
    static size_t have;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char *end;
    ssize_t n;

    if (poll(&input, 1, 0) != 1) {
        return true;
    }
    n = read(STDIN_FILENO, text + have, sizeof(text) - 1 - have);
    if (n <= 0) {
        return false;
    }
    have += (size_t)n;
    text[have] = '\0';
    while ((end = strchr(text, '\n')) != NULL) {
        *end = '\0';
        if (strcmp(text, "report") == 0) {
            report();
        } else if (strncmp(text, "attic ", 6) == 0) {
            read_attic(text + 6);
        } else {
            fail("an unknown command");
        }
        have -= (size_t)(end + 1 - text);
        memmove(text, end + 1, have + 1);
    }
    return true;
}

int main(int argc, char **argv)
{
    redisContext *redis = NULL;
    unsigned i;

    if (argc != 4) {
        fprintf(stderr, "usage: ledger HOST PORT PREFIX\n");
        return 2;
    }
    host = argv[1];
    port = (int)strtol(argv[2], NULL, 10);
    for (i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%s:%s", argv[3], names[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    while (obey()) {
        if (redis == NULL) {
            redis = connect_once();
        }
        if (redis == NULL) {
            usleep(20000);
        } else if (!follow(redis)) {
            redisFree(redis);
            redis = NULL;
        }
    }
    return 0;
}
