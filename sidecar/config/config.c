/*
 * Reading tocsin.yaml: a walk over libyaml's events that looks each key up in
 * the table of config_keys.h. The defaults are YAML too and are read by the
 * same walk before the file is; so a default cannot be what a file could not
 * say. The file is hostile input: its size is capped, its depth is that of the
 * table, and nothing in it is followed anywhere.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "../base/file.h"
#include "../base/redis_tls.h"
#include "../base/redis_url.h"
#include "config_reader.h"
#include "config_value.h"

#define PATH_SIZE 128
#define SECTIONS_MAX 16
#define SHOWN_MAX 48

struct walk {
    struct config_reader reader;
    struct config *config;
    bool seen[64]; /* keys of the table */
    char sections[SECTIONS_MAX][PATH_SIZE];
    unsigned section_count;
};

_Static_assert(sizeof(((struct walk *)NULL)->seen) >= 0
#define X(member, path, TYPE, value, least, most, help) +1
                   CONFIG_KEYS(X)
#undef X
                   ,
               "one flag a key");

#define FAIL(walk, ...)                                                        \
    config_reader_fail(&(walk)->reader, (walk)->reader.event.start_mark,       \
                       __VA_ARGS__)

/* ---------------------------------------------------------- what was meant */

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein's distance, for texts shorter than PATH_SIZE. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[PATH_SIZE + 1];
    unsigned i, j, above, corner;

    for (j = 0; j <= strlen(b); j++) {
        row[j] = j;
    }
    for (i = 1; i <= strlen(a); i++) {
        corner = row[0];
        row[0] = i;
        for (j = 1; j <= strlen(b); j++) {
            above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1,
                              corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[strlen(b)];
}

/* The part of a key's path that stands at the level of `prefix`: "url" of
 * "redis.url" at "redis."; false if it is not below it. */
static bool name_at(const char *path, const char *prefix, char name[PATH_SIZE])
{
    size_t len = strlen(prefix);

    if (strncmp(path, prefix, len) != 0) {
        return false;
    }
    snprintf(name, PATH_SIZE, "%.*s", (int)strcspn(path + len, "."),
             path + len);
    return true;
}

static int fail_unknown(struct walk *walk, const char *prefix, const char *path)
{
    const char *name = path + strlen(prefix);
    char candidate[PATH_SIZE], nearest[PATH_SIZE] = "";
    unsigned i, far, best = PATH_SIZE;

    for (i = 0; i < config_key_count; i++) {
        if (name_at(config_keys[i].path, prefix, candidate)) {
            far = distance(name, candidate);
            if (far < best) {
                best = far;
                memcpy(nearest, candidate, sizeof(nearest));
            }
        }
    }
    return FAIL(walk, path, "unknown key (nearest name: %s%s)", prefix,
                nearest);
}

/* Shows what stands in the file, cut and made printable. A URL with a
 * password in it is not shown. */
static const char *shown(const char *text, char to[SHOWN_MAX + 4])
{
    size_t i;

    if (strstr(text, "://") != NULL && strchr(text, '@') != NULL) {
        return "...@...";
    }
    for (i = 0; i < SHOWN_MAX && text[i] != '\0'; i++) {
        to[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    }
    memcpy(to + i, text[i] != '\0' ? "..." : "", text[i] != '\0' ? 4 : 1);
    return to;
}

static int fail_value(struct walk *walk, const struct config_key *key)
{
    const char *text = config_reader_text(&walk->reader);
    char expected[CONFIG_EXPECTED_MAX], clean[SHOWN_MAX + 4];
    struct err err;

    if (key->type == CONFIG_REDIS_URL && text != NULL &&
        strncmp(text, "rediss://", 9) == 0 && redis_tls_missing() != NULL) {
        return FAIL(walk, key->path, "rediss://: %s", redis_tls_missing());
    }
    if (key->type == CONFIG_REDIS_URL && text != NULL &&
        redis_url_sentinels(text) && redis_url_check(text, &err) != 0) {
        return FAIL(walk, key->path, "sentinel://: %s", err.message);
    }
    config_value_expected(key, expected);
    if (text == NULL) {
        return FAIL(walk, key->path, "a %s, expected %s",
                    walk->reader.event.type == YAML_MAPPING_START_EVENT
                        ? "mapping"
                        : "list",
                    expected);
    }
    return FAIL(walk, key->path, "\"%s\", expected %s", shown(text, clean),
                expected);
}

/* ------------------------------------------------------------------ values */

static int next(struct walk *walk)
{
    return config_reader_next(&walk->reader);
}

static int next_but_one(struct walk *walk)
{
    int rc = next(walk);

    return rc != 0 ? rc : next(walk);
}

static bool at(const struct walk *walk, yaml_event_type_t type)
{
    return walk->reader.event.type == type;
}

static int read_scalar(struct walk *walk, const struct config_key *key,
                       void *to)
{
    const char *text = config_reader_text(&walk->reader);

    if (text == NULL || config_value_parse(key, text, to) != 0) {
        return fail_value(walk, key);
    }
    return 0;
}

static int read_set(struct walk *walk, const struct config_key *key,
                    struct config_sets *sets)
{
    unsigned set = sets->count, i;
    const char *text;

    if (!at(walk, YAML_SEQUENCE_START_EVENT) || set == CONFIG_SETS_MAX) {
        return fail_value(walk, key);
    }
    for (;;) {
        if (next(walk) != 0) {
            return -1;
        }
        if (at(walk, YAML_SEQUENCE_END_EVENT)) {
            break;
        }
        i = sets->sizes[set];
        text = config_reader_text(&walk->reader);
        if (i == CONFIG_SET_LABELS_MAX || text == NULL ||
            config_label_parse(text, sets->label[set][i]) != 0) {
            return fail_value(walk, key);
        }
        while (i-- > 0) {
            if (strcmp(sets->label[set][i], text) == 0) {
                return FAIL(walk, key->path,
                            "\"%s\" twice in one set, expected each once",
                            text);
            }
        }
        sets->sizes[set]++;
    }
    sets->count++;
    return 0;
}

static const struct config_key url_key = {.type = CONFIG_URL};
static const struct config_key path_key = {.type = CONFIG_PATH};

static int read_url(struct walk *walk, const struct config_key *key, char *to)
{
    struct config_key named = url_key;
    const char *text = config_reader_text(&walk->reader);

    named.path = key->path;
    if (text == NULL || *text == '\0') {
        return fail_value(walk, &named);
    }
    return read_scalar(walk, &named, to);
}

static int read_webhook_field(struct walk *walk, const struct config_key *key,
                              struct config_webhook *hook)
{
    const char *name = config_reader_text(&walk->reader);
    struct config_key named = path_key;
    bool url;

    if (name == NULL ||
        (strcmp(name, "url") != 0 && strcmp(name, "bearer_file") != 0)) {
        return fail_value(walk, key);
    }
    url = strcmp(name, "url") == 0;
    if (*(url ? hook->url : hook->bearer_file) != '\0') {
        return FAIL(walk, key->path, "\"%s\" twice", name);
    }
    if (next(walk) != 0) {
        return -1;
    }
    named.path = key->path;
    return url ? read_url(walk, key, hook->url)
               : read_scalar(walk, &named, hook->bearer_file);
}

static int read_webhook(struct walk *walk, const struct config_key *key,
                        struct config_webhooks *hooks)
{
    struct config_webhook *hook;
    yaml_mark_t mark = walk->reader.event.start_mark;

    if (!at(walk, YAML_MAPPING_START_EVENT) ||
        hooks->count == CONFIG_TARGETS_MAX) {
        return fail_value(walk, key);
    }
    hook = &hooks->webhook[hooks->count];
    for (;;) {
        if (next(walk) != 0) {
            return -1;
        }
        if (at(walk, YAML_MAPPING_END_EVENT)) {
            break;
        }
        if (read_webhook_field(walk, key, hook) != 0) {
            return -1;
        }
    }
    if (*hook->url == '\0') {
        return config_reader_fail(&walk->reader, mark, key->path,
                                  "a webhook without url, expected one");
    }
    hooks->count++;
    return 0;
}

static int read_item(struct walk *walk, const struct config_key *key, void *to)
{
    struct config_urls *urls = to;

    if (key->type == CONFIG_SETS) {
        return read_set(walk, key, to);
    }
    if (key->type == CONFIG_WEBHOOKS) {
        return read_webhook(walk, key, to);
    }
    if (urls->count == CONFIG_TARGETS_MAX) {
        return fail_value(walk, key);
    }
    if (read_url(walk, key, urls->url[urls->count]) != 0) {
        return -1;
    }
    urls->count++;
    return 0;
}

static int read_list(struct walk *walk, const struct config_key *key, void *to)
{
    yaml_mark_t mark = walk->reader.event.start_mark;
    bool empty = true;

    if (!at(walk, YAML_SEQUENCE_START_EVENT)) {
        return fail_value(walk, key);
    }
    memset(to, 0, key->size);
    for (;;) {
        if (next(walk) != 0) {
            return -1;
        }
        if (at(walk, YAML_SEQUENCE_END_EVENT)) {
            break;
        }
        if (read_item(walk, key, to) != 0) {
            return -1;
        }
        empty = false;
    }
    if (empty && key->type == CONFIG_SETS) {
        return config_reader_fail(&walk->reader, mark, key->path,
                                  "an empty list, expected at least one set");
    }
    return 0;
}

static int read_value(struct walk *walk, const struct config_key *key)
{
    void *to = (char *)walk->config + key->offset;

    if (next(walk) != 0) {
        return -1;
    }
    if (config_reader_is_null(&walk->reader)) {
        return 0; /* as if the key were not there */
    }
    return key->type < CONFIG_SETS ? read_scalar(walk, key, to)
                                   : read_list(walk, key, to);
}

/* -------------------------------------------------------------------- keys */

static int read_mapping(struct walk *walk, const char *prefix);

static bool is_section(const char *path)
{
    size_t len = strlen(path);
    unsigned i;

    for (i = 0; i < config_key_count; i++) {
        if (strncmp(config_keys[i].path, path, len) == 0 &&
            config_keys[i].path[len] == '.') {
            return true;
        }
    }
    return false;
}

static int read_section(struct walk *walk, const char *path)
{
    char prefix[PATH_SIZE + 1];
    unsigned i;

    for (i = 0; i < walk->section_count; i++) {
        if (strcmp(walk->sections[i], path) == 0) {
            return FAIL(walk, path, "a second time, expected each key once");
        }
    }
    snprintf(walk->sections[walk->section_count++], PATH_SIZE, "%s", path);
    if (next(walk) != 0) {
        return -1;
    }
    if (config_reader_is_null(&walk->reader)) {
        return 0;
    }
    if (!at(walk, YAML_MAPPING_START_EVENT)) {
        return FAIL(walk, path, "%s, expected a mapping of keys",
                    config_reader_text(&walk->reader) != NULL ? "a text"
                                                              : "a list");
    }
    snprintf(prefix, sizeof(prefix), "%s.", path);
    return read_mapping(walk, prefix);
}

static int read_key(struct walk *walk, const char *prefix)
{
    const char *name = config_reader_text(&walk->reader);
    char path[PATH_SIZE], clean[SHOWN_MAX + 4];
    unsigned i;

    if (name == NULL) {
        return FAIL(walk, "", "a key must be a text");
    }
    snprintf(path, sizeof(path), "%s%s", prefix, shown(name, clean));
    if (strchr(name, '.') != NULL) {
        return fail_unknown(walk, prefix, path); /* paths are not keys */
    }
    for (i = 0; i < config_key_count; i++) {
        if (strcmp(config_keys[i].path, path) == 0) {
            if (walk->seen[i]) {
                return FAIL(walk, path,
                            "a second time, expected each key once");
            }
            walk->seen[i] = true;
            return read_value(walk, &config_keys[i]);
        }
    }
    if (is_section(path)) {
        return read_section(walk, path);
    }
    return fail_unknown(walk, prefix, path);
}

static int read_mapping(struct walk *walk, const char *prefix)
{
    for (;;) {
        if (next(walk) != 0) {
            return -1;
        }
        if (at(walk, YAML_MAPPING_END_EVENT)) {
            return 0;
        }
        if (read_key(walk, prefix) != 0) {
            return -1;
        }
    }
}

static int read_document(struct walk *walk)
{
    if (next_but_one(walk) != 0) { /* stream, document */
        return -1;
    }
    if (at(walk, YAML_STREAM_END_EVENT)) {
        return 0; /* an empty file */
    }
    if (next(walk) != 0) {
        return -1;
    }
    if (!config_reader_is_null(&walk->reader)) {
        if (!at(walk, YAML_MAPPING_START_EVENT)) {
            return FAIL(walk, "", "expected a mapping of keys");
        }
        if (read_mapping(walk, "") != 0) {
            return -1;
        }
    }
    if (next_but_one(walk) != 0) {
        return -1;
    }
    if (!at(walk, YAML_STREAM_END_EVENT)) {
        return FAIL(walk, "", "a second document, expected one");
    }
    return 0;
}

int config_parse_over(const char *name, const char *data, size_t len,
                      struct config *config, struct err *err)
{
    struct walk walk;
    int rc;

    if (len > CONFIG_FILE_MAX) {
        return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", name,
                       CONFIG_FILE_MAX);
    }
    memset(&walk, 0, sizeof(walk));
    walk.config = config;
    if (config_reader_open(&walk.reader, name, data, len, err) != 0) {
        return -1;
    }
    rc = read_document(&walk);
    config_reader_close(&walk.reader);
    return rc;
}

static int set_defaults(struct config *config, struct err *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    int rc;

    memset(config, 0, sizeof(*config));
    if (to == NULL) {
        return err_set(err, ERR_LIMIT, "configuration: out of memory");
    }
    config_print_example(to);
    if (fclose(to) != 0) {
        free(text);
        return err_set(err, ERR_LIMIT, "configuration: out of memory");
    }
    rc = config_parse_over("defaults", text, len, config, err);
    free(text);
    return rc;
}

int config_parse(const char *name, const char *data, size_t len,
                 struct config *config, struct err *err)
{
    if (set_defaults(config, err) != 0) {
        return -1;
    }
    return config_parse_over(name, data, len, config, err);
}

int config_load(const char *path, struct config *config, struct err *err)
{
    struct buf buf;
    int rc;

    if (path == NULL) {
        return set_defaults(config, err);
    }
    buf_init(&buf, CONFIG_FILE_MAX);
    rc = file_read(path, &buf, err);
    if (rc == 0) {
        rc = config_parse(path, buf.data != NULL ? buf.data : "", buf.len,
                          config, err);
    }
    buf_release(&buf);
    return rc;
}

void config_compare(const struct config *a, const struct config *b,
                    void (*differs)(void *ctx, const char *path), void *ctx)
{
    unsigned i;

    for (i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (memcmp((const char *)a + key->offset, (const char *)b + key->offset,
                   key->size) != 0) {
            differs(ctx, key->path);
        }
    }
}
