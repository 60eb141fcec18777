/*
 * tocsin.yaml as a struct. Every key has a default, so an empty file is a
 * valid configuration; whatever is not understood is an error that says where
 * it stands and what was expected:
 *
 *     tocsin.yaml:3:8: redis.shards: "many", expected a whole number from 1
 *     to 64
 */
#ifndef TOCSIN_CONFIG_H
#define TOCSIN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../base/err.h"
#include "../base/log.h"
#include "config_keys.h"

#define CONFIG_TEXT_MAX 256
#define CONFIG_LABEL_MAX 64
#define CONFIG_SETS_MAX 16
#define CONFIG_SET_LABELS_MAX 8
#define CONFIG_TARGETS_MAX 16
#define CONFIG_FILE_MAX ((size_t)1 << 20)

struct config_sets {
    char label[CONFIG_SETS_MAX][CONFIG_SET_LABELS_MAX][CONFIG_LABEL_MAX];
    unsigned sizes[CONFIG_SETS_MAX];
    unsigned count;
};

struct config_urls {
    char url[CONFIG_TARGETS_MAX][CONFIG_TEXT_MAX];
    unsigned count;
};

struct config_webhook {
    char url[CONFIG_TEXT_MAX];
    char bearer_file[CONFIG_TEXT_MAX];
};

struct config_webhooks {
    struct config_webhook webhook[CONFIG_TARGETS_MAX];
    unsigned count;
};

#define CONFIG_MEMBER_TEXT(m) char m[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_NAME(m) char m[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_PATH(m) char m[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_REDIS_URL(m) char m[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_URL(m) char m[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_UINT(m) uint64_t m;
#define CONFIG_MEMBER_REAL(m) double m;
#define CONFIG_MEMBER_BOOL(m) bool m;
#define CONFIG_MEMBER_DURATION(m) uint64_t m;
#define CONFIG_MEMBER_LEVEL(m) enum log_level m;
#define CONFIG_MEMBER_SETS(m) struct config_sets m;
#define CONFIG_MEMBER_URLS(m) struct config_urls m;
#define CONFIG_MEMBER_WEBHOOKS(m) struct config_webhooks m;

/* No pointers: may be copied; all bytes are set. */
struct config {
#define X(member, path, TYPE, value, least, most, help)                        \
    CONFIG_MEMBER_##TYPE(member)
    CONFIG_KEYS(X)
#undef X
};

/* Fills *config from a file, or with the defaults where path is NULL. */
int config_load(const char *path, struct config *config, struct err *err);

/* The same from memory; `name` stands for the file in messages. */
int config_parse(const char *name, const char *data, size_t len,
                 struct config *config, struct err *err);

/* What the text does not set stays as it is in *config. */
int config_parse_over(const char *name, const char *data, size_t len,
                      struct config *config, struct err *err);

/* Calls `differs` with the path of each key whose value is not the same. */
void config_compare(const struct config *a, const struct config *b,
                    void (*differs)(void *ctx, const char *path), void *ctx);

/* All keys with their defaults: a valid file, the list of tocsin.yaml(5) in
 * mdoc, the lines of --help. */
void config_print_example(FILE *to);
void config_print_keys(FILE *to);
void config_print_help(FILE *to);

#endif
