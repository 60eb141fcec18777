/*
 * One message is one line and one write(2): lines of several threads never
 * mix, and nothing is buffered when the process dies. Whatever comes from
 * outside may stand in a message, so all bytes that could end a line or
 * command a terminal are escaped.
 */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"

#define LOG_LINE_MAX 2048

static const char *const log_names[] = {"error", "warn", "notice", "info",
                                        "debug"};
/* Priorities of syslog(3), as sd-daemon(3) wants them. */
static const char log_priorities[] = "34567";

static _Atomic int log_limit = LOG_INFO;

void log_set_level(enum log_level level)
{
    log_limit = (int)level;
}

int log_level_parse(const char *name, enum log_level *level)
{
    unsigned i;

    for (i = 0; i < sizeof(log_names) / sizeof(log_names[0]); i++) {
        if (strcmp(name, log_names[i]) == 0) {
            *level = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

/* Returns how many bytes it wrote; stops where the next would not fit. */
static size_t log_escape(char *to, size_t room, const char *from)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    unsigned char c;

    for (; (c = (unsigned char)*from) != '\0'; from++) {
        if (c >= 0x20 && c != 0x7f) {
            if (len + 1 > room) {
                break;
            }
            to[len++] = (char)c;
            continue;
        }
        if (len + 4 > room) {
            break;
        }
        to[len++] = '\\';
        to[len++] = 'x';
        to[len++] = hex[c >> 4];
        to[len++] = hex[c & 15];
    }
    return len;
}

/* JOURNAL_STREAM is "device:inode" of the journal's end of standard error. It
 * is inherited by whoever is started below, whose standard error may be
 * another by then. */
static bool log_to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    return stream != NULL &&
           sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
           st.st_ino == inode;
}

static size_t log_head(char *to, size_t room, enum log_level level,
                       const char *room_name)
{
    char time[CLOCK_RFC3339_SIZE];
    int len;

    if (log_to_journal()) {
        len = snprintf(to, room, "<%c>%s: ", log_priorities[level], room_name);
    } else {
        len = snprintf(to, room, "%s %s %s: ", clock_rfc3339(clock_now(), time),
                       log_names[level], room_name);
    }
    return len < 0 ? 0 : (size_t)len;
}

void log_at(enum log_level level, const char *room, const char *format, ...)
{
    char message[LOG_LINE_MAX];
    char line[LOG_LINE_MAX];
    va_list args;
    size_t len;
    ssize_t written;

    if ((int)level > log_limit) {
        return;
    }
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    len = log_head(line, sizeof(line) / 2, level, room);
    len += log_escape(line + len, sizeof(line) - 1 - len, message);
    line[len++] = '\n';
    written = write(STDERR_FILENO, line, len);
    (void)written; /* there is nobody left to tell */
}
