/*
 * Scalars. Strict on purpose: a number with a tail, a duration without a unit
 * or "yes" for true is more often a mistake than a wish. The texts that say
 * what would have been right are made from the same rows.
 */
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../base/redis_url.h"

const struct config_key config_keys[] = {
#define X(member, path, TYPE, value, least, most, help)                        \
    {path,                                                                     \
     CONFIG_##TYPE,                                                            \
     offsetof(struct config, member),                                          \
     sizeof(((struct config *)NULL)->member),                                  \
     (double)(least),                                                          \
     (double)(most),                                                           \
     value,                                                                    \
     help},
    CONFIG_KEYS(X)
#undef X
};

const unsigned config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

static const struct {
    const char *name;
    uint64_t us;
} units[] = {
    {"us", 1},       {"ms", CONFIG_MS}, {"s", CONFIG_S},
    {"m", CONFIG_M}, {"h", CONFIG_H},   {"d", CONFIG_D},
};

#define UNITS (sizeof(units) / sizeof(units[0]))

/* Digits at *text, which is moved behind them. */
static int parse_digits(const char **text, uint64_t *value)
{
    const char *p = *text;

    *value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (*value > (UINT64_MAX >> 8) / 10) {
            return -1;
        }
        *value = *value * 10 + (uint64_t)(*p - '0');
    }
    if (p == *text) {
        return -1;
    }
    *text = p;
    return 0;
}

static int parse_duration(const char *text, uint64_t *us)
{
    uint64_t number;
    unsigned i;

    if (parse_digits(&text, &number) != 0) {
        return -1;
    }
    if (number == 0 && *text == '\0') {
        *us = 0;
        return 0;
    }
    for (i = 0; i < UNITS; i++) {
        if (strcmp(text, units[i].name) == 0 &&
            number <= UINT64_MAX / units[i].us) {
            *us = number * units[i].us;
            return 0;
        }
    }
    return -1;
}

const char *config_duration_text(uint64_t us, char text[32])
{
    unsigned i = UNITS - 1;

    if (us == 0) {
        return "0";
    }
    while (us % units[i].us != 0) {
        i--;
    }
    snprintf(text, 32, "%llu%s", (unsigned long long)(us / units[i].us),
             units[i].name);
    return text;
}

static bool within(const struct config_key *key, double value)
{
    return value >= key->least && value <= key->most;
}

static int value_uint(const struct config_key *key, const char *text,
                      uint64_t *to)
{
    uint64_t value;

    if (key->type == CONFIG_DURATION) {
        if (parse_duration(text, &value) != 0) {
            return -1;
        }
    } else if (parse_digits(&text, &value) != 0 || *text != '\0') {
        return -1;
    }
    if (!within(key, (double)value)) {
        return -1;
    }
    *to = value;
    return 0;
}

static int value_real(const struct config_key *key, const char *text,
                      double *to)
{
    double value;
    char *end;

    if (strspn(text, "0123456789.eE+-") != strlen(text)) {
        return -1; /* no inf, nan, 0x1p3, blanks */
    }
    errno = 0;
    value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(value) ||
        !within(key, value)) {
        return -1;
    }
    *to = value;
    return 0;
}

static int value_bool(const char *text, bool *to)
{
    if (strcmp(text, "true") == 0) {
        *to = true;
    } else if (strcmp(text, "false") == 0) {
        *to = false;
    } else {
        return -1;
    }
    return 0;
}

static bool is_name(const char *text)
{
    return *text != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_.:-") == strlen(text);
}

static bool is_url(const char *text)
{
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;
    const char *p;

    for (p = text; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f) {
            return false;
        }
    }
    return scheme != 0 && text[scheme] != '\0' && text[scheme] != '/';
}

static int value_text(const struct config_key *key, const char *text, char *to)
{
    size_t len = strlen(text), i;

    if (len >= CONFIG_TEXT_MAX ||
        (key->type == CONFIG_NAME && !is_name(text)) ||
        (key->type == CONFIG_REDIS_URL && redis_url_check(text, NULL) != 0) ||
        (key->type == CONFIG_URL && len != 0 && !is_url(text))) {
        return -1;
    }
    for (i = 0; i < len; i++) {
        if (iscntrl((unsigned char)text[i])) {
            return -1;
        }
    }
    memset(to, 0, CONFIG_TEXT_MAX);
    memcpy(to, text, len);
    return 0;
}

int config_label_parse(const char *text, char to[CONFIG_LABEL_MAX])
{
    size_t len = strlen(text), i;

    if (len == 0 || len >= CONFIG_LABEL_MAX || isdigit((unsigned char)*text)) {
        return -1;
    }
    for (i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '_') {
            return -1;
        }
    }
    memset(to, 0, CONFIG_LABEL_MAX);
    memcpy(to, text, len);
    return 0;
}

int config_value_parse(const struct config_key *key, const char *text, void *to)
{
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_NAME:
    case CONFIG_PATH:
    case CONFIG_REDIS_URL:
    case CONFIG_URL:
        return value_text(key, text, to);
    case CONFIG_UINT:
    case CONFIG_DURATION:
        return value_uint(key, text, to);
    case CONFIG_REAL:
        return value_real(key, text, to);
    case CONFIG_BOOL:
        return value_bool(text, to);
    case CONFIG_LEVEL:
        return log_level_parse(text, to);
    case CONFIG_SETS:
    case CONFIG_URLS:
    case CONFIG_WEBHOOKS:
    default:
        return -1;
    }
}

static const char *const expected[] = {
    [CONFIG_TEXT] = "a text of at most 255 bytes without control characters",
    [CONFIG_NAME] = "a name of letters, digits, '_', '.', ':' and '-'",
    [CONFIG_PATH] = "a path of at most 255 bytes",
    [CONFIG_REDIS_URL] = ("redis://host:port/db, rediss://host:port/db, "
                          "sentinel://master@host:port,host:port/db or "
                          "unix:/path, without user and password"),
    [CONFIG_URL] = "a URL that begins with http:// or https://",
    [CONFIG_UINT] = "a whole number",
    [CONFIG_REAL] = "a number",
    [CONFIG_BOOL] = "true or false",
    [CONFIG_DURATION] = "a duration as 500ms, 1s, 10m, 1h or 7d,",
    [CONFIG_LEVEL] = "error, warn, notice, info or debug",
    [CONFIG_SETS] = "a list of 1 to 16 lists of up to 8 label names",
    [CONFIG_URLS] = "a list of at most 16 URLs",
    [CONFIG_WEBHOOKS] = "a list of at most 16 mappings {url, bearer_file}",
};

const char *config_value_expected(const struct config_key *key,
                                  char text[CONFIG_EXPECTED_MAX])
{
    char least[32], most[32];

    if (key->type == CONFIG_DURATION) {
        snprintf(text, CONFIG_EXPECTED_MAX, "%s from %s to %s",
                 expected[key->type],
                 config_duration_text((uint64_t)key->least, least),
                 config_duration_text((uint64_t)key->most, most));
    } else if (key->type == CONFIG_UINT || key->type == CONFIG_REAL) {
        snprintf(text, CONFIG_EXPECTED_MAX, "%s from %.15g to %.15g",
                 expected[key->type], key->least, key->most);
    } else {
        snprintf(text, CONFIG_EXPECTED_MAX, "%s", expected[key->type]);
    }
    return text;
}
