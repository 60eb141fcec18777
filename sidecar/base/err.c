/*
 * Filling struct err. A message is cut rather than allocated: failing must not
 * be able to fail. Every function returns -1, so that a caller can write
 * `return err_set(...)`.
 */
#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void err_format(struct err *err, enum err_code code, const char *format,
                       va_list args) __attribute__((format(printf, 3, 0)));

static void err_format(struct err *err, enum err_code code, const char *format,
                       va_list args)
{
    err->code = code;
    err->line = 0;
    err->column = 0;
    vsnprintf(err->message, sizeof(err->message), format, args);
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    if (err != NULL) {
        va_start(args, format);
        err_format(err, code, format, args);
        va_end(args);
    }
    return -1;
}

int err_set_errno(struct err *err, const char *format, ...)
{
    int saved = errno;
    va_list args;
    size_t len;

    if (err != NULL) {
        va_start(args, format);
        err_format(err, ERR_SYSTEM, format, args);
        va_end(args);
        len = strlen(err->message);
        snprintf(err->message + len, sizeof(err->message) - len, ": %s",
                 strerror(saved));
    }
    errno = saved;
    return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
    const size_t size = sizeof(err->message);
    char context[ERR_MESSAGE_MAX - 2];
    va_list args;
    size_t len, rest;

    if (err != NULL) {
        va_start(args, format);
        vsnprintf(context, sizeof(context), format, args);
        va_end(args);
        len = strlen(context);
        rest = strlen(err->message);
        if (rest > size - 1 - len - 2) {
            rest = size - 1 - len - 2;
        }
        memmove(err->message + len + 2, err->message, rest);
        memcpy(err->message, context, len);
        memcpy(err->message + len, ": ", 2);
        err->message[len + 2 + rest] = '\0';
    }
    return -1;
}
