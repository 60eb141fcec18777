/*
 * Parsing redis.url. Who calls: the reader of the configuration, which shows
 * the messages to whoever wrote it, and redis.c at each connect. Users and
 * passwords are refused where they would stand in a URL, and what may hold one
 * is not repeated in a message.
 */
#include "redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_tls.h"

#define PORT_DEFAULT 6379
#define PORT_SENTINEL 26379
#define DB_MAX 65535
#define PATH_MAX_SUN 107 /* sun_path */

#define FORMS                                                                  \
    "expected redis://host:port/db, rediss://host:port/db, "                   \
    "sentinel://master@host:port,host:port/db or unix:/path, unix:/path?db=N"

#define SENTINEL "sentinel://"
#define SENTINEL_FORM "expected sentinel://master@host:port,host:port/db"

int redis_url_number(const char *text, unsigned max, unsigned *number)
{
    unsigned long value;
    char *end;

    if (*text < '0' || *text > '9') {
        return -1;
    }
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || value > max) {
        return -1;
    }
    *number = (unsigned)value;
    return 0;
}

bool redis_url_sentinels(const char *url)
{
    return strncmp(url, SENTINEL, sizeof(SENTINEL) - 1) == 0;
}

static int parse_local(const char *rest, struct redis_url *to, struct err *err)
{
    const char *query = strstr(rest, "?db=");
    size_t len = query != NULL ? (size_t)(query - rest) : strlen(rest);

    to->local = true;
    to->count = 1;
    if (*rest != '/' || len > PATH_MAX_SUN) {
        return err_set(err, ERR_USAGE,
                       "\"unix:%s\": not an absolute path of at most %d "
                       "bytes, " FORMS,
                       rest, PATH_MAX_SUN);
    }
    memcpy(to->hosts[0].name, rest, len);
    to->hosts[0].name[len] = '\0';
    if (query != NULL && redis_url_number(query + 4, DB_MAX, &to->db) != 0) {
        return err_set(err, ERR_USAGE, "\"%s\": not a database number",
                       query + 4);
    }
    return 0;
}

/* host, host:port, [v6], [v6]:port; cuts the text into its parts */
static int parse_host(char *text, unsigned port_default, struct redis_host *to,
                      struct err *err)
{
    char *host = text;
    char *end, *port;

    to->port = port_default;
    if (*host == '[') {
        end = strchr(++host, ']');
        port = end != NULL && end[1] == ':' ? end + 1 : NULL;
        if (end == NULL || (port == NULL && end[1] != '\0')) {
            return err_set(err, ERR_USAGE,
                           "\"%s\": not an address in brackets, " FORMS, text);
        }
        *end = '\0';
    } else {
        port = strchr(host, ':');
    }
    if (port != NULL) {
        *port++ = '\0';
        if (redis_url_number(port, 65535, &to->port) != 0 || to->port == 0) {
            return err_set(err, ERR_USAGE, "\"%s\": not a port, " FORMS, port);
        }
    }
    if (*host == '\0') {
        return err_set(err, ERR_USAGE, "no host, " FORMS);
    }
    snprintf(to->name, sizeof(to->name), "%s", host);
    return 0;
}

/* Copies what stands before the database, whose number it reads. */
static int parse_database(const char *rest, char authority[REDIS_HOST_MAX],
                          struct redis_url *to, struct err *err)
{
    const char *slash = strchr(rest, '/');
    size_t len = slash != NULL ? (size_t)(slash - rest) : strlen(rest);

    if (len >= REDIS_HOST_MAX) {
        return err_set(err, ERR_USAGE, "host longer than %d bytes",
                       REDIS_HOST_MAX - 1);
    }
    memcpy(authority, rest, len);
    authority[len] = '\0';
    if (slash != NULL && slash[1] != '\0' &&
        redis_url_number(slash + 1, DB_MAX, &to->db) != 0) {
        return err_set(err, ERR_USAGE, "\"%s\": not a database number, " FORMS,
                       slash + 1);
    }
    return 0;
}

static int parse_sentinels(const char *rest, struct redis_url *to,
                           struct err *err)
{
    const char *at = strchr(rest, '@');
    char list[REDIS_HOST_MAX] = "";
    char *host, *next = list;

    if (at == NULL || at == rest) {
        return err_set(err, ERR_USAGE, "no name of a master, " SENTINEL_FORM);
    }
    if ((size_t)(at - rest) >= sizeof(to->master)) {
        return err_set(err, ERR_USAGE, "name of a master longer than %d bytes",
                       REDIS_HOST_MAX - 1);
    }
    memcpy(to->master, rest, (size_t)(at - rest));
    if (parse_database(at + 1, list, to, err) != 0) {
        return -1;
    }
    while ((host = strsep(&next, ",")) != NULL) {
        if (to->count == REDIS_SENTINELS_MAX) {
            return err_set(err, ERR_USAGE, "more than %d sentinels",
                           REDIS_SENTINELS_MAX);
        }
        if (parse_host(host, PORT_SENTINEL, &to->hosts[to->count], err) != 0) {
            return -1;
        }
        to->count++;
    }
    return 0;
}

static int parse_server(const char *rest, struct redis_url *to, struct err *err)
{
    char authority[REDIS_HOST_MAX] = "";

    if (strchr(rest, '@') != NULL) {
        return err_set(err, ERR_USAGE,
                       "the URL must not hold a user or a password: use "
                       "redis.username and redis.password_file");
    }
    if (parse_database(rest, authority, to, err) != 0) {
        return -1;
    }
    to->count = 1;
    return parse_host(authority, PORT_DEFAULT, &to->hosts[0], err);
}

int redis_url_parse(const char *url, struct redis_url *to, struct err *err)
{
    static const char scheme[] = "redis://", tls_scheme[] = "rediss://";

    memset(to, 0, sizeof(*to));
    if (strncmp(url, "unix:", 5) == 0) {
        return parse_local(url + 5, to, err);
    }
    if (redis_url_sentinels(url)) {
        return parse_sentinels(url + sizeof(SENTINEL) - 1, to, err);
    }
    to->tls = strncmp(url, tls_scheme, sizeof(tls_scheme) - 1) == 0;
    if (!to->tls && strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
        return err_set(err, ERR_USAGE, "\"%s\": " FORMS, url);
    }
    if (to->tls && redis_tls_missing() != NULL) {
        return err_set(err, ERR_USAGE, "rediss://: %s", redis_tls_missing());
    }
    return parse_server(
        url + (to->tls ? sizeof(tls_scheme) : sizeof(scheme)) - 1, to, err);
}

int redis_url_check(const char *url, struct err *err)
{
    struct redis_url parsed;

    return redis_url_parse(url, &parsed, err);
}
