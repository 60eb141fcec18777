/*
 * The rooms, wired: intake -> series -> features -> scorer -> detect -> alert.
 * This is the one place that knows them all.
 */
#ifndef TOCSIN_COMMAND_PIPELINE_H
#define TOCSIN_COMMAND_PIPELINE_H

#include "../config/config.h"
#include "../intake/intake.h"
#include "../series/series.h"
#include "learner.h"
#include "shared/alert_codec.h"

struct pipeline_sink {
    void *ctx;
    void (*alert)(void *ctx, const struct tocsin_alert *alert);
    /* After each second in which a stream that is behind waits for a round of
     * training (learner.h); false: it shall wait no longer. NULL: it shall. */
    bool (*wait)(void *ctx);
};

struct pipeline;

/* Loads the model (the one trained last, else model.path) and makes all rooms,
 * cold. The configuration is copied. Where state.dir is empty, models that were
 * trained are neither loaded nor kept; where model.train_share is 0, a round is
 * made within the tick that it begins in. */
struct pipeline *pipeline_create(const struct config *config,
                                 struct pipeline_sink sink, struct err *err);
void pipeline_destroy(struct pipeline *pipeline);

/* As intake_poll(); whatever it brings has gone through all rooms when it
 * returns. */
int pipeline_poll(struct pipeline *pipeline, int timeout_ms, struct err *err);

/* Writes the model that serves, if it was trained here; -1 and *err if not. */
int pipeline_write_model(struct pipeline *pipeline, const char *path,
                         struct err *err);

/* Judges without some parts (enum detect_part). */
void pipeline_leave_out(struct pipeline *pipeline, unsigned parts);

/* For events that come from elsewhere than intake: a recording. */
struct intake_sink pipeline_entrance(struct pipeline *pipeline);

/* The first error of a room behind intake, after which scores can no more be
 * trusted: 0 if there was none. */
int pipeline_failed(const struct pipeline *pipeline, struct err *err);

/* As serving_leave(). */
int pipeline_leave(struct pipeline *pipeline, struct tocsin_span version,
                   struct err *err);

const struct intake_stats *pipeline_intake(const struct pipeline *pipeline);
const struct series_stats *pipeline_series(const struct pipeline *pipeline);

/* All fields of a snapshot; its texts live until the next call of any. */
void pipeline_board(struct pipeline *pipeline, struct tocsin_board *board);

/* Sections of a checkpoint (base/checkpoint.h). A failed restore leaves the
 * rooms as they may be: destroy the pipeline then. */
void pipeline_save(const struct pipeline *pipeline, struct buf *to);
int pipeline_restore(struct pipeline *pipeline, const char *data, size_t len,
                     struct err *err);

#endif
