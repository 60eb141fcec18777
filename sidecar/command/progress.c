/*
 * The line is told ten times a second at most. What remains is reckoned from
 * the share that is done, the rate from what was counted: of a recording the
 * share is one of bytes, and its number of events is not known before its end.
 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../base/clock.h"

#define EVERY (CLOCK_SECOND / 10)
#define BAR 20
#define WIDTH 80
#define LINE_MAX_BYTES 256

void progress_begin(struct progress *progress, const char *unit, bool quiet)
{
    *progress = (struct progress){
        .unit = unit,
        .on = !quiet && isatty(STDERR_FILENO),
        .began = clock_monotonic(),
    };
}

/* "1,234,567" */
static const char *grouped(uint64_t number, char text[32])
{
    char *at = text + 31;
    unsigned digits = 0;

    *at = '\0';
    do {
        if (digits != 0 && digits % 3 == 0) {
            *--at = ',';
        }
        *--at = (char)('0' + number % 10);
        digits++;
        number /= 10;
    } while (number != 0);
    return at;
}

/* Longer lines would leave their ends behind. */
static int columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) {
        return WIDTH - 1;
    }
    return size.ws_col - 1;
}

/* "17 s", "12 min"; nothing where it cannot be known. */
static void put_rest(char *to, size_t room, double seconds, double share)
{
    double rest = seconds * (1 - share) / share;

    *to = '\0';
    if (share <= 0 || rest > 86400.0 * 100) {
        return;
    }
    if (rest < 100) {
        snprintf(to, room, ", %.0f s left", rest);
    } else {
        snprintf(to, room, ", %.0f min left", rest / 60);
    }
}

static void show(const struct progress *progress, uint64_t count, double share)
{
    double seconds = (double)(clock_monotonic() - progress->began) * 1e-6;
    char bar[BAR + 1], line[LINE_MAX_BYTES], rest[64];
    char done[32], all[32], rate[32];
    unsigned full = (unsigned)(share * BAR);

    memset(bar, '-', BAR);
    memset(bar, '#', full);
    bar[BAR] = '\0';
    put_rest(rest, sizeof(rest), seconds, share);
    snprintf(
        line, sizeof(line), "[%s] %3.0f %%  %s%s%s %s, %s a second%s", bar,
        share * 100, grouped(count, done), progress->all != 0 ? " of " : "",
        progress->all != 0 ? grouped(progress->all, all) : "", progress->unit,
        grouped(seconds > 0 ? (uint64_t)((double)count / seconds) : 0, rate),
        rest);
    fprintf(stderr, "\r%.*s\033[K", columns(), line);
}

void progress_tell(struct progress *progress, uint64_t count, double share)
{
    uint64_t now;

    if (!progress->on) {
        return;
    }
    now = clock_monotonic();
    if (progress->told_at != 0 && now - progress->told_at < EVERY) {
        return;
    }
    progress->told_at = now;
    progress->shown = true;
    show(progress, count, share < 0 ? 0 : share > 1 ? 1 : share);
}

void progress_hide(struct progress *progress)
{
    if (progress->shown) {
        fputs("\r\033[K", stderr);
        progress->shown = false;
    }
}
