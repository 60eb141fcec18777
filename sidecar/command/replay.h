/* `tocsin backtest` and `tocsin train` with --replay FILE or --redis: events
 * through all rooms. */
#ifndef TOCSIN_COMMAND_REPLAY_H
#define TOCSIN_COMMAND_REPLAY_H

#include "../config/config.h"

struct replay_options {
    const char *recording; /* NULL: what Redis holds now */
    const char *model;     /* NULL: the one that the sidecar would load */
    unsigned without;      /* parts to leave out (enum detect_part) */
    const char *out;       /* a file: train, and write the model to it; NULL */
    bool json;
    bool quiet; /* alerts alone: neither progress nor totals */
};

/*
 * Prints each alert as it fires and ends, as text or as JSON, then totals. The
 * model is fixed: nothing is trained, so the same recording tells the same.
 * With `out` rounds of training are logged instead, each made within the tick
 * that it begins in; the same recording makes the same model.
 */
int replay(const struct config *config, const struct replay_options *options,
           struct err *err);

#endif
