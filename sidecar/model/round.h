/* One round: a challenger trained from the champion, and their comparison. */
#ifndef TOCSIN_ROUND_H
#define TOCSIN_ROUND_H

#include "trainer.h"
#include "windows.h"

struct round {
    const struct trainer_options *options;
    const struct model *champion;
    struct windows *windows;
    uint64_t position;
    void *ctx;
    /* Called after each piece of work; false ends the round as FAILED. */
    bool (*pace)(void *ctx);
};

/* Fills in the result; returns a copy of the challenger if it won, else NULL.
 */
struct model *round_run(const struct round *round,
                        struct trainer_result *result);

/* Does a model make sense of these windows: finite where something was
 * observed, low <= expected <= high. Used before one serves. */
bool round_sane(struct model *model, const struct model_windows *windows,
                char reason[256]);

#endif
