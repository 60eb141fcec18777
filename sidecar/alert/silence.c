/*
 * Silences. Each keeps the command that made it, so that a checkpoint, a
 * restart and the stream read from its beginning all come to the same; its
 * patterns are compiled when it is taken. All times are those of commands:
 * what is done again later gives what it gave before.
 */
#include "silence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/event_codec.h"
#include "shared/names.h"

#define DAY (86400ull * 1000000)
#define ROW_MAX 16384

struct test {
    struct tocsin_matcher matcher; /* its texts are in `room` */
    char *room;
    struct tocsin_pattern *pattern; /* NULL: a text */
};

struct silence {
    char id[TOCSIN_SILENCE_ID + 1];
    uint64_t starts, ends, updated;
    struct tocsin_span author, comment, matchers; /* in `texts` */
    char *texts;
    struct test tests[TOCSIN_MATCHERS];
    unsigned count;
};

void silences_init(struct silences *silences)
{
    *silences = (struct silences){.count = 0};
}

static void silence_free(struct silence *silence)
{
    unsigned i;

    if (silence == NULL) {
        return;
    }
    for (i = 0; i < silence->count; i++) {
        free(silence->tests[i].pattern);
        free(silence->tests[i].room);
    }
    free(silence->texts);
    free(silence);
}

static void drop(struct silences *silences, uint32_t index)
{
    silence_free(silences->all[index]);
    silences->all[index] = NULL;
    silences->count--;
}

void silences_release(struct silences *silences)
{
    uint32_t i;

    for (i = 0; i < SILENCES_MAX; i++) {
        if (silences->all[i] != NULL) {
            drop(silences, i);
        }
    }
}

/* --------------------------------------------------------------- patterns */

static int make_test(struct test *test, const struct tocsin_matcher *matcher,
                     struct err *err)
{
    size_t len = matcher->name.len + matcher->value.len;

    test->room = malloc(len + 1);
    test->pattern =
        matcher->pattern ? malloc(sizeof(struct tocsin_pattern)) : NULL;
    if (test->room == NULL || (matcher->pattern && test->pattern == NULL)) {
        return err_set(err, ERR_SYSTEM, "no memory");
    }
    /* of a matcher that was cut off a list, the value follows the name */
    memcpy(test->room, matcher->name.data, len);
    test->matcher = *matcher;
    test->matcher.name.data = test->room;
    test->matcher.value.data = test->room + matcher->name.len;
    if (matcher->pattern) {
        tocsin_pattern_compile(test->pattern, matcher->value);
    }
    return 0;
}

static int read_tests(struct silence *silence, struct tocsin_span list,
                      struct err *err)
{
    char room[TOCSIN_MATCHERS_MAX];
    struct tocsin_matcher matcher;
    const char *error = tocsin_matchers_check(list);

    if (error != NULL) {
        return err_set(err, ERR_INPUT, "%s", error);
    }
    while (tocsin_matcher_next(&list, &matcher, room) > 0) {
        if (make_test(&silence->tests[silence->count++], &matcher, err) != 0) {
            return -1;
        }
    }
    return 0;
}

/* -------------------------------------------------------------- commands */

static struct tocsin_span copy(char **to, struct tocsin_span text)
{
    char *start = *to;

    if (text.len > 0) {
        memcpy(start, text.data, text.len);
    }
    *to += text.len;
    return tocsin_span_of(start, text.len);
}

static struct silence *make(const struct tocsin_command *command,
                            struct err *err)
{
    struct silence *silence;
    char *at;

    if (!tocsin_is_uuid(command->id) || command->ends < command->starts ||
        command->author.len > TOCSIN_AUTHOR_MAX ||
        command->comment.len > TOCSIN_COMMENT_MAX ||
        command->matchers.len > TOCSIN_MATCHERS_MAX) {
        err_set(err, ERR_INPUT, "its id, times or texts are off");
        return NULL;
    }
    silence = calloc(1, sizeof(*silence));
    if (silence == NULL ||
        (silence->texts = malloc(command->author.len + command->comment.len +
                                 command->matchers.len + 1)) == NULL) {
        silence_free(silence);
        err_set(err, ERR_SYSTEM, "no memory");
        return NULL;
    }
    memcpy(silence->id, command->id.data, TOCSIN_SILENCE_ID);
    silence->starts = command->starts;
    silence->ends = command->ends;
    silence->updated = command->ts;
    at = silence->texts;
    silence->author = copy(&at, command->author);
    silence->comment = copy(&at, command->comment);
    silence->matchers = copy(&at, command->matchers);
    if (read_tests(silence, silence->matchers, err) != 0) {
        silence_free(silence);
        return NULL;
    }
    return silence;
}

int silence_check(const struct tocsin_command *command, struct err *err)
{
    struct silence *silence = make(command, err);

    silence_free(silence);
    return silence == NULL ? -1 : 0;
}

static uint32_t find(const struct silences *silences, struct tocsin_span id)
{
    uint32_t i;

    for (i = 0; i < SILENCES_MAX; i++) {
        if (silences->all[i] != NULL &&
            tocsin_span_eq(tocsin_span_str(silences->all[i]->id), id)) {
            break;
        }
    }
    return i;
}

/* A free place; where there is none, that of what expired first. */
static uint32_t find_place(struct silences *silences, uint64_t now)
{
    uint32_t i, oldest = SILENCES_MAX;

    for (i = 0; i < SILENCES_MAX; i++) {
        if (silences->all[i] == NULL) {
            return i;
        }
        if (silences->all[i]->ends <= now &&
            (oldest == SILENCES_MAX ||
             silences->all[i]->ends < silences->all[oldest]->ends)) {
            oldest = i;
        }
    }
    if (oldest < SILENCES_MAX) {
        drop(silences, oldest);
    }
    return oldest;
}

static int put(struct silences *silences, const struct tocsin_command *command,
               uint64_t now, struct err *err)
{
    struct silence *silence = make(command, err);
    uint32_t index = find(silences, command->id);

    if (silence == NULL) {
        return -1;
    }
    if (index < SILENCES_MAX) {
        drop(silences, index);
    } else {
        index = find_place(silences, now);
    }
    if (index == SILENCES_MAX) {
        silence_free(silence);
        return err_set(err, ERR_LIMIT, "there are %d silences already",
                       SILENCES_MAX);
    }
    silences->all[index] = silence;
    silences->count++;
    return 0;
}

static void expire(struct silences *silences,
                   const struct tocsin_command *command, uint64_t now)
{
    uint32_t index = find(silences, command->id);
    uint64_t when = command->ts < now ? command->ts : now;
    struct silence *silence;

    if (index == SILENCES_MAX || silences->all[index]->ends <= when) {
        return;
    }
    silence = silences->all[index];
    silence->ends = silence->updated = when;
    if (silence->starts > when) {
        silence->starts = when;
    }
}

int silences_command(struct silences *silences,
                     const struct tocsin_command *command, uint64_t now,
                     struct err *err)
{
    if (command->v != TOCSIN_SCHEMA_VERSION) {
        return err_set(err, ERR_INPUT, "a command of another version");
    }
    if (tocsin_span_eq(command->what, TOCSIN_SPAN("silence"))) {
        return put(silences, command, now, err);
    }
    if (tocsin_span_eq(command->what, TOCSIN_SPAN("expire"))) {
        expire(silences, command, now);
        return 0;
    }
    return err_set(err, ERR_INPUT, "an unknown command");
}

static bool is_within(uint64_t when, uint64_t since, uint64_t now)
{
    return since < when && when <= now;
}

bool silences_turned(const struct silences *silences, uint64_t since,
                     uint64_t now)
{
    uint32_t i;

    for (i = 0; i < SILENCES_MAX; i++) {
        const struct silence *silence = silences->all[i];

        if (silence != NULL && (is_within(silence->starts, since, now) ||
                                is_within(silence->ends, since, now))) {
            return true;
        }
    }
    return false;
}

void silences_sweep(struct silences *silences, uint64_t now)
{
    uint32_t i;

    for (i = 0; i < SILENCES_MAX; i++) {
        if (silences->all[i] != NULL && now > DAY &&
            silences->all[i]->ends < now - DAY) {
            drop(silences, i);
        }
    }
}

/* --------------------------------------------------------------- matching */

/* A label's plain value; empty if it is not there. */
static struct tocsin_span label_of(const struct tocsin_alert *alert,
                                   struct tocsin_span wanted,
                                   char room[TOCSIN_LABELS_MAX])
{
    struct tocsin_span rest = alert->labels, name, value;

    if (tocsin_span_eq(wanted, TOCSIN_SPAN("alertname"))) {
        return alert->alertname;
    }
    if (tocsin_span_eq(wanted, TOCSIN_SPAN("severity"))) {
        return alert->severity;
    }
    while (tocsin_pairs_next(&rest, &name, &value)) {
        if (tocsin_span_eq(name, wanted) && value.len <= TOCSIN_LABELS_MAX) {
            return tocsin_span_of(room, tocsin_pct_decode(room, value));
        }
    }
    return TOCSIN_SPAN("");
}

static bool matches(const struct silence *silence,
                    const struct tocsin_alert *alert)
{
    char room[TOCSIN_LABELS_MAX];
    unsigned i;

    for (i = 0; i < silence->count; i++) {
        const struct test *test = &silence->tests[i];

        if (!tocsin_matcher_holds(&test->matcher, test->pattern,
                                  label_of(alert, test->matcher.name, room))) {
            return false;
        }
    }
    return true;
}

const char *silences_match(const struct silences *silences,
                           const struct tocsin_alert *alert, uint64_t now)
{
    const struct silence *best = NULL;
    uint32_t i;

    for (i = 0; silences->count > 0 && i < SILENCES_MAX; i++) {
        const struct silence *silence = silences->all[i];

        if (silence != NULL && silence->starts <= now && now < silence->ends &&
            (best == NULL || silence->ends > best->ends) &&
            matches(silence, alert)) {
            best = silence;
        }
    }
    return best == NULL ? NULL : best->id;
}

/* --------------------------------------------------- board and checkpoint */

void silences_rows(const struct silences *silences, struct buf *to)
{
    char room[ROW_MAX];
    uint32_t i;

    for (i = 0; i < SILENCES_MAX; i++) {
        const struct silence *silence = silences->all[i];
        struct tocsin_out out = {room, sizeof(room), 0};

        if (silence != NULL) {
            tocsin_silence_row_encode(&out,
                                      &(struct tocsin_silence_row){
                                          .id = tocsin_span_str(silence->id),
                                          .starts = silence->starts,
                                          .ends = silence->ends,
                                          .updated = silence->updated,
                                          .author = silence->author,
                                          .comment = silence->comment,
                                          .matchers = silence->matchers,
                                      });
        }
        if (silence != NULL && tocsin_out_fits(&out)) {
            buf_put(to, room, out.need);
        }
    }
}

static void save_text(struct buf *to, struct tocsin_span text)
{
    buf_put_u32(to, (uint32_t)text.len);
    buf_put(to, text.data, text.len);
}

static struct tocsin_span restore_text(struct cursor *from)
{
    uint32_t len = cursor_u32(from);
    const char *data = cursor_bytes(from, len);

    return data == NULL ? tocsin_span_of("", 0) : tocsin_span_of(data, len);
}

void silences_save(const struct silences *silences, struct buf *to)
{
    uint32_t i;

    buf_put_u32(to, silences->count);
    for (i = 0; i < SILENCES_MAX; i++) {
        const struct silence *silence = silences->all[i];

        if (silence == NULL) {
            continue;
        }
        save_text(to, tocsin_span_str(silence->id));
        buf_put_u64(to, silence->starts);
        buf_put_u64(to, silence->ends);
        buf_put_u64(to, silence->updated);
        save_text(to, silence->author);
        save_text(to, silence->comment);
        save_text(to, silence->matchers);
    }
}

int silences_restore(struct silences *silences, struct cursor *from,
                     struct err *err)
{
    uint32_t count = cursor_u32(from), i;

    silences_release(silences);
    for (i = 0; i < count && !from->failed; i++) {
        struct tocsin_command command;

        tocsin_command_init(&command);
        command.id = restore_text(from);
        command.starts = cursor_u64(from);
        command.ends = cursor_u64(from);
        command.ts = cursor_u64(from);
        command.author = restore_text(from);
        command.comment = restore_text(from);
        command.matchers = restore_text(from);
        if (from->failed || put(silences, &command, 0, err) != 0) {
            break;
        }
    }
    if (from->failed || i != count) {
        silences_release(silences);
        return err_set(err, ERR_INPUT, "silences are cut off or damaged");
    }
    return 0;
}
