/*
 * One line a message, on standard error:
 *
 *     2026-01-02T03:04:05.678Z notice intake: connected to redis://...
 *
 * Bytes that are not printable are escaped, so that no input can forge a line.
 * Thread safe. Under systemd (JOURNAL_STREAM) the time is left out and the
 * priority is given as "<N>".
 */
#ifndef TOCSIN_LOG_H
#define TOCSIN_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* Messages above it are dropped. The default is LOG_INFO. */
void log_set_level(enum log_level level);

/* 0, or -1 if no level has that name: error, warn, notice, info, debug. */
int log_level_parse(const char *name, enum log_level *level);

void log_at(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(room, ...) log_at(LOG_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...) log_at(LOG_WARN, room, __VA_ARGS__)
#define log_notice(room, ...) log_at(LOG_NOTICE, room, __VA_ARGS__)
#define log_info(room, ...) log_at(LOG_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_at(LOG_DEBUG, room, __VA_ARGS__)

#endif
