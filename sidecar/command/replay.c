/*
 * A recording, or what Redis holds, through the rooms of the sidecar, as fast
 * as they go. Ticks close by the events' own time, so it tells what living
 * them would have told: when an alert fired, and of what.
 */
#include "replay.h"

#include <stdio.h>

#include "alert_print.h"
#include "backlog.h"
#include "pipeline.h"
#include "progress.h"
#include "recording.h"
#include "shared/alert_codec.h"

/* As many as the alert room has at a time, and some that just ended. */
#define FIRING_MAX 1024
#define ID_MAX 64

struct replay {
    const struct replay_options *options;
    struct intake_sink rooms;
    struct recording_stats stats;
    struct progress progress;
    unsigned fired, ended;
    char firing[FIRING_MAX][ID_MAX];
};

static void print_alert(struct replay *replay, const struct tocsin_alert *alert)
{
    struct tocsin_span json;

    progress_hide(&replay->progress);
    if (!replay->options->json) {
        alert_print_line(alert, alert->updated);
        return;
    }
    json = alert_print_json(alert, 0);
    if (json.len != 0) {
        printf("%.*s\n", (int)json.len, json.data);
    }
}

static bool is(struct tocsin_span text, const char *word)
{
    return tocsin_span_eq(text, tocsin_span_str(word));
}

/* The place of an id, or a free one. */
static char *place_of(struct replay *replay, struct tocsin_span id)
{
    char *empty = replay->firing[0];
    unsigned i;

    for (i = 0; i < FIRING_MAX; i++) {
        if (is(id, replay->firing[i])) {
            return replay->firing[i];
        }
        if (replay->firing[i][0] == '\0') {
            empty = replay->firing[i];
        }
    }
    return empty;
}

/* Pending ones and reminders are not told. */
static void on_alert(void *ctx, const struct tocsin_alert *alert)
{
    struct replay *replay = ctx;
    char *place = place_of(replay, alert->id);
    bool known = place[0] != '\0', ends = is(alert->state, "resolved");

    if (replay->options->out != NULL) {
        return;
    }
    if (ends ? !known : (known || !is(alert->state, "firing"))) {
        return;
    }
    if (ends) {
        place[0] = '\0';
        replay->ended++;
    } else {
        snprintf(place, ID_MAX, "%.*s", (int)alert->id.len, alert->id.data);
        replay->fired++;
    }
    print_alert(replay, alert);
}

static void on_event(void *ctx, const struct tocsin_event *ev, uint64_t id_ms)
{
    struct replay *replay = ctx;

    replay->rooms.event(replay->rooms.ctx, ev, id_ms);
    progress_tell(&replay->progress, replay->stats.events, replay->stats.share);
}

static void on_time(void *ctx, uint64_t id_ms)
{
    struct replay *replay = ctx;

    replay->rooms.time(replay->rooms.ctx, id_ms);
}

static void print_totals(const struct replay *replay)
{
    const struct recording_stats *stats = &replay->stats;
    double seconds = (double)(stats->last_ms - stats->first_ms) / 1000;

    fprintf(stderr,
            "%llu events in %.0f s: %u alerts fired, %u of them ended\n",
            (unsigned long long)stats->events, seconds, replay->fired,
            replay->ended);
}

static int read_events(struct replay *replay, const struct config *config,
                       struct err *err)
{
    struct intake_sink sink = {replay, on_event, on_time};

    if (replay->options->recording == NULL) {
        return backlog_read(config, sink, &replay->stats, err);
    }
    return recording_read(replay->options->recording, sink, &replay->stats,
                          err);
}

int replay(const struct config *config, const struct replay_options *options,
           struct err *err)
{
    static struct replay state;
    struct config fixed = *config;
    struct pipeline *pipeline;
    int rc;

    state = (struct replay){.options = options};
    fixed.model_train = options->out != NULL;
    fixed.model_train_share = 0;
    if (options->model != NULL) {
        snprintf(fixed.model_path, sizeof(fixed.model_path), "%s",
                 options->model);
    }
    if (options->model != NULL || options->out != NULL) {
        fixed.state_dir[0] = '\0'; /* where a trained one may lie */
    }
    pipeline = pipeline_create(
        &fixed, (struct pipeline_sink){&state, on_alert, NULL}, err);
    if (pipeline == NULL) {
        return -1;
    }
    pipeline_leave_out(pipeline, options->without);
    state.rooms = pipeline_entrance(pipeline);
    progress_begin(&state.progress, "events",
                   options->quiet || options->out != NULL);
    rc = read_events(&state, config, err);
    progress_hide(&state.progress);
    if (rc == 0) {
        rc = pipeline_failed(pipeline, err);
    }
    if (rc == 0 && options->out != NULL) {
        rc = pipeline_write_model(pipeline, options->out, err);
    }
    if (rc == 0 && !options->quiet && options->out == NULL) {
        print_totals(&state);
    }
    pipeline_destroy(pipeline);
    return rc;
}
