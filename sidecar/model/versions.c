/*
 * Files of models that served, and the diary of rounds. A reader (`tocsin
 * status`) sees a whole diary at any time, but for a last line that is just
 * being written, which has no newline yet.
 */
#include "versions.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/file.h"
#include "shared/alert_codec.h"

#define VERSIONS_HISTORY_MAX (4u << 20)
#define VERSIONS_HISTORY_LONG (1 << 20)
#define VERSIONS_AGAIN 64u /* lines that a round may be among already */

static const char *const verdict_names[] = {
    [TRAINER_WON] = "won",
    [TRAINER_LOST] = "lost",
    [TRAINER_BROKEN] = "broken",
    [TRAINER_FAILED] = "failed",
};

static int versions_file(const char *dir, const char *name, const char *suffix,
                         char path[PATH_MAX], struct err *err)
{
    int n = snprintf(path, PATH_MAX, "%s/models/%s%s", dir, name, suffix);

    if (n < 0 || n >= PATH_MAX) {
        return err_set(err, ERR_USAGE, "%s: too long", dir);
    }
    return 0;
}

/* A version names a file: letters, digits and .+-_, not a dot first. */
static int versions_check(const char *version, struct err *err)
{
    size_t len = strlen(version);

    if (len == 0 || len >= VERSIONS_NAME || version[0] == '.' ||
        strspn(version, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789.+-_") != len) {
        return err_set(err, ERR_INPUT, "no name of a version: \"%.64s\"",
                       version);
    }
    return 0;
}

int versions_prepare(const char *dir, struct err *err)
{
    char path[PATH_MAX];

    if (versions_file(dir, "", "", path, err) != 0) {
        return -1;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, "%s", path);
    }
    return 0;
}

/* Lines of the history, the oldest first. */
typedef void versions_visit(void *ctx, const json_t *line);

static void versions_lines(char *at, versions_visit *visit, void *ctx)
{
    char *end;

    for (; at != NULL && (end = strchr(at, '\n')) != NULL; at = end + 1) {
        json_t *line = json_loadb(at, (size_t)(end - at), 0, NULL);

        if (json_is_object(line)) {
            visit(ctx, line);
        }
        json_decref(line);
    }
}

/* Where the newest `count` lines begin. */
static char *versions_newest(char *text, size_t len, unsigned count)
{
    while (len > 0 && text[len - 1] != '\n') {
        len--;
    }
    while (len > 0 && (text[len - 1] != '\n' || count-- > 0)) {
        len--;
    }
    return text + len;
}

static int versions_read_newest(const char *dir, unsigned count,
                                versions_visit *visit, void *ctx,
                                struct err *err)
{
    char path[PATH_MAX];
    struct buf text;
    int rc = 0;

    if (versions_file(dir, "history", "", path, err) != 0) {
        return -1;
    }
    buf_init(&text, VERSIONS_HISTORY_MAX);
    if (file_read(path, &text, err) != 0) {
        rc = errno == ENOENT ? 0 : -1;
    } else if (text.data != NULL) {
        versions_lines(versions_newest(text.data, text.len, count), visit, ctx);
    }
    buf_release(&text);
    return rc;
}

static int versions_read(const char *dir, versions_visit *visit, void *ctx,
                         struct err *err)
{
    return versions_read_newest(dir, UINT_MAX, visit, ctx, err);
}

static const char *versions_text(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));

    return text != NULL ? text : "";
}

static uint64_t versions_count(const json_t *line, const char *key)
{
    json_int_t count = json_integer_value(json_object_get(line, key));

    return count > 0 ? (uint64_t)count : 0;
}

/* The files of winners beyond the newest VERSIONS_MAX are removed. */
struct winners {
    char names[VERSIONS_MAX][VERSIONS_NAME];
    unsigned long count;
    const char *dir;
};

static void versions_forget(void *ctx, const json_t *line)
{
    struct winners *winners = ctx;
    char path[PATH_MAX], *name;

    if (strcmp(versions_text(line, "verdict"), "won") != 0 ||
        versions_check(versions_text(line, "version"), NULL) != 0) {
        return;
    }
    name = winners->names[winners->count % VERSIONS_MAX];
    if (winners->count >= VERSIONS_MAX &&
        versions_file(winners->dir, name, ".pt", path, NULL) == 0) {
        unlink(path);
    }
    snprintf(name, VERSIONS_NAME, "%s", versions_text(line, "version"));
    winners->count++;
}

int versions_store(const char *dir, struct model *model, const char *version,
                   struct err *err)
{
    struct winners winners = {.dir = dir};
    char path[PATH_MAX];

    if (versions_path(dir, version, path, err) != 0 ||
        model_save(model, path, version, err) != 0 ||
        versions_file(dir, "current", "", path, err) != 0 ||
        file_replace(path, version, strlen(version), false, err) != 0) {
        return -1;
    }
    return versions_read(dir, versions_forget, &winners, err);
}

/* Before the history is too long to be read, its older half goes. */
static int versions_trim(const char *path, struct err *err)
{
    struct stat status;
    struct buf text;
    char *half;
    int rc;

    if (stat(path, &status) != 0 || status.st_size < VERSIONS_HISTORY_LONG) {
        return 0;
    }
    buf_init(&text, VERSIONS_HISTORY_MAX);
    rc = file_read(path, &text, err);
    if (rc == 0 && text.data != NULL &&
        (half = strchr(text.data + text.len / 2, '\n')) != NULL) {
        rc =
            file_replace(path, half + 1,
                         text.len - (size_t)(half + 1 - text.data), false, err);
    }
    buf_release(&text);
    return rc;
}

static int versions_write(const char *path, const char *line, size_t len,
                          struct err *err)
{
    int fd, rc = 0;
    ssize_t n;

    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_set_errno(err, "%s", path);
    }
    n = write(fd, line, len);
    if (n < 0) {
        rc = err_set_errno(err, "%s", path);
    } else if ((size_t)n != len) {
        rc = err_set(err, ERR_SYSTEM, "%s: the disk is full", path);
    }
    close(fd);
    return rc;
}

/* Takes the line over. */
static int versions_append(const char *dir, json_t *object, struct err *err)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    char path[PATH_MAX];
    struct buf line;
    int rc = -1;

    json_decref(object);
    buf_init(&line, 4096);
    buf_printf(&line, "%s\n", text != NULL ? text : "");
    if (text == NULL || line.failed) {
        err_set(err, ERR_INPUT, "a round that is no line of JSON");
    } else if (versions_file(dir, "history", "", path, err) == 0 &&
               versions_trim(path, err) == 0) {
        rc = versions_write(path, line.data, line.len, err);
    }
    free(text);
    buf_release(&line);
    return rc;
}

/* A round that a checkpoint brought back is made again, and tells the same. */
struct versions_again {
    const struct trainer_result *result;
    bool found;
};

static void versions_compare(void *ctx, const json_t *line)
{
    struct versions_again *again = ctx;
    const struct trainer_result *result = again->result;

    if (versions_count(line, "position") == result->position &&
        strcmp(versions_text(line, "version"), result->version) == 0 &&
        strcmp(versions_text(line, "parent"), result->parent) == 0 &&
        strcmp(versions_text(line, "verdict"),
               verdict_names[result->verdict]) == 0) {
        again->found = true;
    }
}

int versions_record(const char *dir, const struct trainer_result *result,
                    struct err *err)
{
    struct versions_again again = {result, false};

    if (versions_read_newest(dir, VERSIONS_AGAIN, versions_compare, &again,
                             err) != 0) {
        return -1;
    }
    if (again.found) {
        return 0;
    }
    return versions_append(
        dir,
        json_pack("{ss ss ss ss sI si si sf sf sf sf}", "verdict",
                  verdict_names[result->verdict], "version", result->version,
                  "parent", result->parent, "reason", result->reason,
                  "position", (json_int_t)result->position, "windows",
                  (int)result->windows, "held", (int)result->held, "before",
                  result->before, "after", result->after, "spread",
                  result->spread, "cpu", result->cpu),
        err);
}

int versions_path(const char *dir, const char *version, char path[PATH_MAX],
                  struct err *err)
{
    return versions_check(version, err) != 0
               ? -1
               : versions_file(dir, version, ".pt", path, err);
}

int versions_current(const char *dir, char version[VERSIONS_NAME],
                     struct err *err)
{
    char path[PATH_MAX];
    struct buf text;
    int rc = 0;

    if (versions_file(dir, "current", "", path, err) != 0) {
        return -1;
    }
    buf_init(&text, 4096);
    if (file_read(path, &text, err) != 0) {
        rc = errno == ENOENT ? 1 : -1;
    } else if (text.len == 0) {
        rc = 1;
    } else if (versions_check(text.data, err) != 0) {
        rc = err_prefix(err, "%s", path);
    } else {
        snprintf(version, VERSIONS_NAME, "%s", text.data);
    }
    buf_release(&text);
    return rc;
}

struct parent {
    const char *version;
    char name[VERSIONS_NAME];
};

static void versions_parent(void *ctx, const json_t *line)
{
    struct parent *parent = ctx;

    if (strcmp(versions_text(line, "verdict"), "won") == 0 &&
        strcmp(versions_text(line, "version"), parent->version) == 0) {
        snprintf(parent->name, sizeof(parent->name), "%s",
                 versions_text(line, "parent"));
    }
}

bool versions_kept(const char *dir, const char *version)
{
    char path[PATH_MAX];

    return versions_path(dir, version, path, NULL) == 0 &&
           access(path, F_OK) == 0;
}

int versions_before(const char *dir, const char *from,
                    char version[VERSIONS_NAME], struct err *err)
{
    struct parent parent = {.version = from};

    if (versions_read(dir, versions_parent, &parent, err) != 0) {
        return -1;
    }
    if (parent.name[0] == '\0') {
        return err_set(err, ERR_USAGE,
                       "no model is known to have served before %s", from);
    }
    snprintf(version, VERSIONS_NAME, "%s", parent.name);
    return 0;
}

int versions_use(const char *dir, const char *version, struct err *err)
{
    const char *name = versions_kept(dir, version) ? version : "";
    char path[PATH_MAX];

    if (versions_file(dir, "current", "", path, err) != 0) {
        return -1;
    }
    return file_replace(path, name, strlen(name), false, err);
}

int versions_note(const char *dir, const char *verdict, const char *version,
                  const char *parent, uint64_t position, struct err *err)
{
    return versions_append(dir,
                           json_pack("{ss ss ss sI}", "verdict", verdict,
                                     "version", version, "parent", parent,
                                     "position", (json_int_t)position),
                           err);
}

/* ------------------------------------------------------------- for people */

static struct tocsin_span versions_span(const json_t *line, const char *key)
{
    return tocsin_span_str(versions_text(line, key));
}

static double versions_number(const json_t *line, const char *key)
{
    const json_t *number = json_object_get(line, key);

    return json_is_number(number) ? json_number_value(number) : (double)NAN;
}

static void versions_row(void *ctx, const json_t *line)
{
    char room[4096];
    struct tocsin_out out = {room, sizeof(room), 0};

    tocsin_round_row_encode(&out,
                            &(struct tocsin_round_row){
                                .at = versions_count(line, "position"),
                                .verdict = versions_span(line, "verdict"),
                                .version = versions_span(line, "version"),
                                .parent = versions_span(line, "parent"),
                                .before = versions_number(line, "before"),
                                .after = versions_number(line, "after"),
                                .windows = versions_count(line, "windows"),
                                .held = versions_count(line, "held"),
                                .cpu = versions_number(line, "cpu"),
                                .reason = versions_span(line, "reason"),
                            });
    if (tocsin_out_fits(&out)) {
        buf_put(ctx, room, out.need);
    }
}

int versions_rounds(const char *dir, struct buf *rows, struct err *err)
{
    return versions_read_newest(dir, VERSIONS_ROUNDS, versions_row, rows, err);
}
