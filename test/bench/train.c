/*
 * What training costs those who score: train MODEL DIR [SERIES [SECONDS]].
 *
 * SERIES series (10,000) count one event each in every tick of a second and go
 * through the rooms of the sidecar, with a trainer, whose versions are kept in
 * DIR; only Redis is left out. First as fast as it goes, until there is enough
 * to learn from; then SECONDS (60) ticks in real time. A round begins every
 * sixteenth tick where none runs.
 *
 * A thread's CPU time is that of the process without this thread's, so it is
 * that of all threads that training starts. Printed, one "name value" a line:
 * the share of a core that it takes while a round runs, the largest in one
 * second, how many threads there are, how long a tick takes (median, largest,
 * ms) and what CPU time it costs (median, ms) with a round beside it and
 * without, and how many ticks and rounds that is about.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "sidecar/base/clock.h"
#include "sidecar/base/log.h"
#include "sidecar/command/pipeline.h"

#define START 1700000000000u /* ms; a multiple of 16 s */
#define EVERY 16             /* ticks between rounds */
#define READY 336            /* ticks until one can begin */
#define SECONDS_MAX 3600
#define WORKS 2000u /* us of CPU in a second that mean a round */

struct sample {
    double wall, cpu; /* of closing the tick, ms */
    double others;    /* share of a core in the second from this tick on */
};

static struct sample samples[SECONDS_MAX];
static uint32_t series_count = 10000;

static void fail(const struct err *err)
{
    fprintf(stderr, "train: %s\n", err->message);
    exit(1);
}

static void on_alert(void *ctx, const struct tocsin_alert *alert)
{
    (void)ctx;
    (void)alert;
}

/* The two clocks are read one after the other, and rounded: what is between
 * two calls may be some us too little, also less than nothing. */
static int64_t others_cpu(void)
{
    uint64_t own = clock_thread_cpu();
    struct timespec all;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &all);
    return (int64_t)all.tv_sec * (int64_t)CLOCK_SECOND + all.tv_nsec / 1000 -
           (int64_t)own;
}

static unsigned threads(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    unsigned count = 0;
    char line[128];

    while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, "Threads:", 8) == 0) {
            count = (unsigned)strtoul(line + 8, NULL, 10);
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return count;
}

static struct pipeline *make_rooms(const char *model, const char *dir)
{
    struct pipeline *pipeline;
    struct config config;
    struct err err;

    if (config_load(NULL, &config, &err) != 0) {
        fail(&err);
    }
    snprintf(config.model_path, sizeof(config.model_path), "%s", model);
    snprintf(config.state_dir, sizeof(config.state_dir), "%s", dir);
    config.series_max = series_count;
    config.model_train_every = EVERY * CLOCK_SECOND;
    pipeline =
        pipeline_create(&config, (struct pipeline_sink){NULL, on_alert}, &err);
    if (pipeline == NULL) {
        fail(&err);
    }
    return pipeline;
}

/* The events of a tick; then it is closed. */
static struct sample run_tick(struct pipeline *pipeline, unsigned tick)
{
    struct intake_sink in = pipeline_entrance(pipeline);
    uint64_t ms = START + (uint64_t)tick * 1000, wall, cpu;
    struct tocsin_event ev;
    char route[32];

    for (uint32_t i = 0; i < series_count; i++) {
        tocsin_event_init(&ev, TOCSIN_REQUEST);
        snprintf(route, sizeof(route), "/%u", i);
        ev.server = TOCSIN_SPAN("s");
        ev.route = tocsin_span_str(route);
        ev.status = 200;
        ev.seq = (uint64_t)tick * series_count + i;
        ev.dur = 1000 + (i * 2654435761u + tick * 40503u) % 4000;
        ev.ts = ms * 1000;
        in.event(in.ctx, &ev, ms + 500);
    }
    wall = clock_monotonic();
    cpu = clock_thread_cpu();
    in.time(in.ctx, ms + 1500);
    return (struct sample){
        .wall = (double)(clock_monotonic() - wall) / 1000,
        .cpu = (double)(clock_thread_cpu() - cpu) / 1000,
    };
}

static void sleep_until(uint64_t when)
{
    uint64_t now;

    while ((now = clock_monotonic()) < when) {
        poll(NULL, 0, (int)((when - now) / 1000) + 1);
    }
}

static void run_seconds(struct pipeline *pipeline, unsigned seconds)
{
    uint64_t began = clock_monotonic(), at = began, now;
    int64_t before = others_cpu();

    for (unsigned i = 0; i < seconds; i++) {
        samples[i] = run_tick(pipeline, READY + i);
        sleep_until(began + (uint64_t)(i + 1) * CLOCK_SECOND);
        now = clock_monotonic();
        samples[i].others =
            (double)(others_cpu() - before) / (double)(now - at);
        before = others_cpu();
        at = now;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_times(const char *name, unsigned seconds, bool working)
{
    static double walls[SECONDS_MAX], cpus[SECONDS_MAX];
    unsigned count = 0;

    for (unsigned i = 0; i < seconds; i++) {
        if ((samples[i].others * CLOCK_SECOND > WORKS) == working) {
            walls[count] = samples[i].wall;
            cpus[count++] = samples[i].cpu;
        }
    }
    if (count == 0) {
        fprintf(stderr, "train: no ticks %s\n", name);
        exit(1);
    }
    qsort(walls, count, sizeof(*walls), ascending);
    qsort(cpus, count, sizeof(*cpus), ascending);
    printf("%s_ticks %u\n%s_wall %.2f\n%s_wall_max %.2f\n%s_cpu %.2f\n", name,
           count, name, walls[count / 2], name, walls[count - 1], name,
           cpus[count / 2]);
}

/* Of the seconds that a round filled: not of those it began or ended in. */
static void print_share(unsigned seconds)
{
    double sum = 0, most = 0;
    unsigned count = 0;

    for (unsigned i = 1; i + 1 < seconds; i++) {
        bool within = true;

        for (unsigned k = i - 1; k <= i + 1; k++) {
            within = within && samples[k].others * CLOCK_SECOND > WORKS;
        }
        if (within) {
            sum += samples[i].others;
            count++;
            most = samples[i].others > most ? samples[i].others : most;
        }
    }
    printf("share %.4f\nshare_max %.4f\n", count != 0 ? sum / count : 0, most);
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 60;
    struct pipeline *pipeline;
    struct tocsin_board board;

    series_count =
        argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : series_count;
    if (argc < 3 || series_count == 0 || seconds == 0 ||
        seconds > SECONDS_MAX) {
        fputs("usage: train MODEL DIR [SERIES [SECONDS]]\n", stderr);
        return 2;
    }
    pipeline = make_rooms(argv[1], argv[2]);
    for (unsigned tick = 0; tick < READY; tick++) {
        run_tick(pipeline, tick);
    }
    run_seconds(pipeline, seconds);
    pipeline_board(pipeline, &board);
    print_share(seconds);
    print_times("beside", seconds, true);
    print_times("alone", seconds, false);
    printf("threads %u\nrounds %llu\nwon %llu\n", threads(),
           (unsigned long long)board.trained,
           (unsigned long long)board.swapped);
    pipeline_destroy(pipeline);
    return 0;
}
