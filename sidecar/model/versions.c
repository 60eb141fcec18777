/*
 * Files of models that served, and the diary of rounds. A reader (`tocsin
 * status`) sees a whole diary at any time, but for a last line that is just
 * being written, which has no newline yet.
 */
#include "versions.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/file.h"

#define VERSIONS_HISTORY_MAX (4u << 20)
#define VERSIONS_NAME 64

static const char *const verdict_names[] = {
    [TRAINER_WON] = "won",
    [TRAINER_LOST] = "lost",
    [TRAINER_BROKEN] = "broken",
    [TRAINER_FAILED] = "failed",
};

static int versions_path(const char *dir, const char *name, const char *suffix,
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

    if (versions_path(dir, "", "", path, err) != 0) {
        return -1;
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, "%s", path);
    }
    return 0;
}

/* Every line of the history, the oldest first. */
typedef void versions_visit(void *ctx, const json_t *line);

static int versions_read(const char *dir, versions_visit *visit, void *ctx,
                         struct err *err)
{
    char path[PATH_MAX], *at, *end;
    struct buf text;
    json_t *line;

    if (versions_path(dir, "history", "", path, err) != 0) {
        return -1;
    }
    buf_init(&text, VERSIONS_HISTORY_MAX);
    if (file_read(path, &text, err) != 0) {
        buf_release(&text);
        return errno == ENOENT ? 0 : -1;
    }
    for (at = text.data; at != NULL; at = end + 1) {
        end = strchr(at, '\n');
        if (end == NULL) {
            break;
        }
        line = json_loadb(at, (size_t)(end - at), 0, NULL);
        if (json_is_object(line)) {
            visit(ctx, line);
        }
        json_decref(line);
    }
    buf_release(&text);
    return 0;
}

static const char *versions_text(const json_t *line, const char *key)
{
    const char *text = json_string_value(json_object_get(line, key));

    return text != NULL ? text : "";
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
        versions_path(winners->dir, name, ".pt", path, NULL) == 0) {
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

    if (versions_check(version, err) != 0 ||
        versions_path(dir, version, ".pt", path, err) != 0 ||
        model_save(model, path, version, err) != 0 ||
        versions_path(dir, "current", "", path, err) != 0 ||
        file_replace(path, version, strlen(version), false, err) != 0) {
        return -1;
    }
    return versions_read(dir, versions_forget, &winners, err);
}

static int versions_append(const char *path, const char *line, size_t len,
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

int versions_record(const char *dir, const struct trainer_result *result,
                    struct err *err)
{
    char path[PATH_MAX], *text;
    struct buf line;
    json_t *object;
    int rc;

    if (versions_path(dir, "history", "", path, err) != 0) {
        return -1;
    }
    object = json_pack(
        "{ss ss ss ss sI si si sf sf sf sf}", "verdict",
        verdict_names[result->verdict], "version", result->version, "parent",
        result->parent, "reason", result->reason, "position",
        (json_int_t)result->position, "windows", (int)result->windows, "held",
        (int)result->held, "before", result->before, "after", result->after,
        "spread", result->spread, "cpu", result->cpu);
    text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(object);
    if (text == NULL) {
        return err_set(err, ERR_INPUT, "%s: a round that is no JSON", path);
    }
    buf_init(&line, 4096);
    buf_printf(&line, "%s\n", text);
    free(text);
    rc = line.failed ? err_set(err, ERR_LIMIT, "%s: line too long", path)
                     : versions_append(path, line.data, line.len, err);
    buf_release(&line);
    return rc;
}

/* The name in models/current; 1 if there is none. */
static int versions_name(const char *dir, char version[VERSIONS_NAME],
                         struct err *err)
{
    char path[PATH_MAX];
    struct buf text;
    int rc = 0;

    if (versions_path(dir, "current", "", path, err) != 0) {
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

int versions_current(const char *dir, char path[PATH_MAX], struct err *err)
{
    char version[VERSIONS_NAME];
    int rc = versions_name(dir, version, err);

    return rc != 0 ? rc : versions_path(dir, version, ".pt", path, err);
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

int versions_rollback(const char *dir, char version[64], struct err *err)
{
    char current[VERSIONS_NAME], path[PATH_MAX];
    struct parent parent = {.version = current};
    int rc = versions_name(dir, current, err);

    if (rc == 1) {
        return err_set(err, ERR_USAGE,
                       "the default model serves: there is no "
                       "version before it");
    }
    if (rc != 0 || versions_read(dir, versions_parent, &parent, err) != 0) {
        return -1;
    }
    if (parent.name[0] != '\0' &&
        (versions_check(parent.name, err) != 0 ||
         versions_path(dir, parent.name, ".pt", path, err) != 0)) {
        return -1;
    }
    if (parent.name[0] == '\0' || access(path, R_OK) != 0) {
        snprintf(version, 64, "default");
        parent.name[0] = '\0';
    } else {
        snprintf(version, 64, "%s", parent.name);
    }
    if (versions_path(dir, "current", "", path, err) != 0) {
        return -1;
    }
    return file_replace(path, parent.name, strlen(parent.name), false, err);
}
