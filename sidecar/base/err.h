/*
 * How things fail: functions that can fail return 0 or -1 and, on -1, have
 * filled the struct err that they were given.
 *
 *     if (config_load(path, &config, err) != 0) { goto out; }
 */
#ifndef TOCSIN_ERR_H
#define TOCSIN_ERR_H

#include <stdarg.h>

#define ERR_MESSAGE_MAX 512

enum err_code {
    ERR_NONE,
    ERR_USAGE,   /* the caller's words are off */
    ERR_INPUT,   /* a file, a reply or a message is not what it should be */
    ERR_SYSTEM,  /* the operating system refused */
    ERR_NETWORK, /* a peer could not be reached or went away */
    ERR_REFUSED, /* a peer answered no */
    ERR_LIMIT,   /* a cap was reached */
    ERR_MODEL    /* libtorch refused, or the model breaks its contract */
};

struct err {
    enum err_code code;
    unsigned line, column; /* of ERR_INPUT in a text; 0 if it has none */
    char message[ERR_MESSAGE_MAX];
};

/* Fills *err (which may be NULL) and returns -1. */
int err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, followed by ": " and strerror(errno). */
int err_set_errno(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts "context: " before a message that is already there; returns -1. */
int err_prefix(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
