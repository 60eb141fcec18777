/*
 * A recording through the rooms of the sidecar, as fast as they go. Ticks
 * close by the recording's own time, so it tells what living it would have
 * told: when an alert fired, and of what.
 */
#include "replay.h"

#include <stdio.h>

#include "alert_print.h"
#include "pipeline.h"
#include "recording.h"
#include "shared/alert_codec.h"

/* As many as the alert room has at a time, and some that just ended. */
#define FIRING_MAX 1024
#define ID_MAX 64

struct replay {
    bool json;
    unsigned fired, ended;
    char firing[FIRING_MAX][ID_MAX];
};

static void print_alert(const struct replay *replay,
                        const struct tocsin_alert *alert)
{
    struct tocsin_span json;

    if (!replay->json) {
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

static void print_totals(const struct replay *replay,
                         const struct recording_stats *stats)
{
    double seconds = (double)(stats->last_ms - stats->first_ms) / 1000;

    fprintf(stderr,
            "%llu events in %.0f s: %u alerts fired, %u of them ended\n",
            (unsigned long long)stats->events, seconds, replay->fired,
            replay->ended);
}

int replay(const char *path, const struct config *config, unsigned without,
           bool json, struct err *err)
{
    static struct replay state;
    struct config fixed = *config;
    struct recording_stats stats;
    struct pipeline *pipeline;
    int rc;

    state = (struct replay){.json = json};
    fixed.model_train = false;
    pipeline =
        pipeline_create(&fixed, (struct pipeline_sink){&state, on_alert}, err);
    if (pipeline == NULL) {
        return -1;
    }
    pipeline_leave_out(pipeline, without);
    rc = recording_read(path, pipeline_entrance(pipeline), &stats, err);
    if (rc == 0) {
        rc = pipeline_failed(pipeline, err);
    }
    if (rc == 0) {
        print_totals(&state, &stats);
    }
    pipeline_destroy(pipeline);
    return rc;
}
