/*
 * Writing a recording, and reading it with hiredis' reader: a command is an
 * array of strings, which is what a reply may be too.
 */
#include "recording.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/resp.h"

#define ENTRY_MAX 65536
#define WORDS_MAX 256
#define ID_MAX 48

struct recording {
    FILE *to;
    char path[PATH_MAX], part[PATH_MAX + 8];
    char prefix[256];
    uint64_t last_ms, number; /* of the entry within its millisecond */
    int failed;               /* errno of the first failure */
};

static const char *const stream_names[TOCSIN_STREAMS] = {
    [TOCSIN_REQUEST] = "request",
    [TOCSIN_UPSTREAM] = "upstream",
    [TOCSIN_BEAT] = "beat",
};

/* ------------------------------------------------------------------ writing */

struct recording *recording_create(const char *path, const char *prefix,
                                   struct err *err)
{
    struct recording *recording = calloc(1, sizeof(*recording));

    if (recording == NULL) {
        err_set(err, ERR_LIMIT, "out of memory");
        return NULL;
    }
    snprintf(recording->path, sizeof(recording->path), "%s", path);
    snprintf(recording->part, sizeof(recording->part), "%s.part", path);
    snprintf(recording->prefix, sizeof(recording->prefix), "%s", prefix);
    recording->to = fopen(recording->part, "w");
    if (recording->to == NULL) {
        err_set(err, ERR_SYSTEM, "%s: %s", recording->part, strerror(errno));
        free(recording);
        return NULL;
    }
    return recording;
}

void recording_add(struct recording *recording, const struct tocsin_event *ev,
                   uint64_t id_ms)
{
    char memory[ENTRY_MAX], key[300], id[ID_MAX];
    struct tocsin_out out = {memory, sizeof(memory), 0};

    if (recording->failed != 0) {
        return;
    }
    recording->number = id_ms == recording->last_ms ? recording->number + 1 : 0;
    recording->last_ms = id_ms;
    snprintf(key, sizeof(key), "%s:%s", recording->prefix,
             stream_names[ev->stream]);
    snprintf(id, sizeof(id), "%llu-%llu", (unsigned long long)id_ms,
             (unsigned long long)recording->number);
    tocsin_resp_put_array(&out, 3 + 2 * tocsin_event_field_count(ev->stream));
    tocsin_resp_put(&out, TOCSIN_SPAN("XADD"));
    tocsin_resp_put(&out, tocsin_span_str(key));
    tocsin_resp_put(&out, tocsin_span_str(id));
    tocsin_event_encode(&out, ev);
    if (!tocsin_out_fits(&out)) {
        recording->failed = EMSGSIZE;
    } else if (fwrite(memory, 1, out.need, recording->to) != out.need) {
        recording->failed = errno;
    }
}

int recording_close(struct recording *recording, struct err *err)
{
    int rc = 0;

    if (recording == NULL) {
        return 0;
    }
    if (fclose(recording->to) != 0 && recording->failed == 0) {
        recording->failed = errno;
    }
    if (recording->failed == 0 &&
        rename(recording->part, recording->path) != 0) {
        recording->failed = errno;
    }
    if (recording->failed != 0) {
        rc = err_set(err, ERR_SYSTEM, "%s: %s", recording->path,
                     strerror(recording->failed));
        unlink(recording->part);
    }
    free(recording);
    return rc;
}

/* ------------------------------------------------------------------ reading */

struct player {
    struct intake_sink sink;
    struct recording_stats *stats;
};

static struct tocsin_span word(const redisReply *entry, size_t i)
{
    const redisReply *text = entry->element[i];

    return (struct tocsin_span){text->str, text->len};
}

static bool all_words(const redisReply *entry)
{
    size_t i;

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 5 ||
        entry->elements > WORDS_MAX || entry->elements % 2 == 0) {
        return false;
    }
    for (i = 0; i < entry->elements; i++) {
        if (entry->element[i]->type != REDIS_REPLY_STRING) {
            return false;
        }
    }
    return true;
}

/* By the end of its key: "<prefix>:request", perhaps with ":{shard}". */
static enum tocsin_stream stream_of(const char *key)
{
    unsigned i;

    for (i = 0; i < TOCSIN_STREAMS; i++) {
        const char *at = strstr(key, stream_names[i]);

        if (at != NULL && at > key && at[-1] == ':') {
            return (enum tocsin_stream)i;
        }
    }
    return TOCSIN_STREAMS;
}

static int play_entry(struct player *player, const redisReply *entry,
                      struct err *err)
{
    struct recording_stats *stats = player->stats;
    struct tocsin_event ev;
    enum tocsin_stream stream;
    uint64_t id_ms;
    size_t i;

    if (!all_words(entry) || strcmp(entry->element[0]->str, "XADD") != 0) {
        return err_set(err, ERR_INPUT, "expected XADD KEY ID FIELD VALUE...");
    }
    stream = stream_of(entry->element[1]->str);
    id_ms = strtoull(entry->element[2]->str, NULL, 10);
    if (stream == TOCSIN_STREAMS || id_ms == 0 || id_ms < stats->last_ms) {
        return err_set(err, ERR_INPUT,
                       "key %.40s, id %.40s: expected a stream of events, and "
                       "ids that do not fall",
                       entry->element[1]->str, entry->element[2]->str);
    }
    tocsin_event_init(&ev, stream);
    for (i = 3; i < entry->elements; i += 2) {
        if (tocsin_event_field(&ev, (unsigned)(i - 3) / 2, word(entry, i),
                               word(entry, i + 1)) != 0) {
            return err_set(err, ERR_INPUT, "field %.40s: bad value %.40s",
                           entry->element[i]->str, entry->element[i + 1]->str);
        }
    }
    if (id_ms > stats->last_ms) {
        player->sink.time(player->sink.ctx, id_ms);
    }
    stats->first_ms = stats->events == 0 ? id_ms : stats->first_ms;
    stats->last_ms = id_ms;
    stats->events++;
    player->sink.event(player->sink.ctx, &ev, id_ms);
    return 0;
}

static int play_all(struct player *player, redisReader *reader, struct err *err)
{
    void *reply = NULL;
    int rc = 0;

    while (rc == 0) {
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            rc = err_set(err, ERR_INPUT, "%s", reader->errstr);
        }
        if (reply == NULL) {
            break;
        }
        rc = play_entry(player, reply, err);
        freeReplyObject(reply);
    }
    if (rc != 0) {
        err_prefix(err, "entry %llu",
                   (unsigned long long)player->stats->events + 1);
    }
    return rc;
}

/* Within an entry. The reader keeps up to a KiB that it has read, and then has
 * its first task (0) before a byte of the next entry comes; so that a lone
 * first byte is to be told from the end of an entry by itself. */
static bool is_within(const redisReader *reader, char last)
{
    return reader->ridx > 0 || reader->pos < reader->len || last != '\n';
}

static int play_file(struct player *player, FILE *from, redisReader *reader,
                     struct err *err)
{
    char bytes[65536];
    char last = '\n';
    struct stat status;
    double read = 0;
    size_t len;
    int rc = fstat(fileno(from), &status) == 0
                 ? 0
                 : err_set(err, ERR_SYSTEM, "%s", strerror(errno));

    while (rc == 0 && (len = fread(bytes, 1, sizeof(bytes), from)) > 0) {
        last = bytes[len - 1];
        if (redisReaderFeed(reader, bytes, len) != REDIS_OK) {
            return err_set(err, ERR_LIMIT, "%s", reader->errstr);
        }
        rc = play_all(player, reader, err);
        read += (double)len;
        player->stats->share =
            status.st_size > 0 ? read / (double)status.st_size : 0;
    }
    if (rc == 0 && ferror(from)) {
        rc = err_set(err, ERR_SYSTEM, "%s", strerror(errno));
    } else if (rc == 0 && is_within(reader, last)) {
        rc = err_set(err, ERR_INPUT, "the last entry is cut off");
    }
    return rc;
}

int recording_read(const char *path, struct intake_sink sink,
                   struct recording_stats *stats, struct err *err)
{
    struct player player = {sink, stats};
    redisReader *reader;
    FILE *from = fopen(path, "r");
    int rc;

    memset(stats, 0, sizeof(*stats));
    if (from == NULL) {
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    }
    reader = redisReaderCreate();
    if (reader == NULL) {
        rc = err_set(err, ERR_LIMIT, "out of memory");
    } else {
        rc = play_file(&player, from, reader, err);
        redisReaderFree(reader);
    }
    fclose(from);
    if (rc != 0) {
        return err_prefix(err, "%s", path);
    }
    sink.time(sink.ctx, stats->last_ms + 1);
    return 0;
}
