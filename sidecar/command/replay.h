/* `tocsin backtest --replay FILE`: a recording through all rooms. */
#ifndef TOCSIN_COMMAND_REPLAY_H
#define TOCSIN_COMMAND_REPLAY_H

#include "../config/config.h"

/* Prints each alert as it fires and ends, as text or as JSON, then totals.
 * The model is fixed: nothing is trained, so the same recording tells the
 * same. `without`: parts that are left out (enum detect_part). */
int replay(const char *path, const struct config *config, unsigned without,
           bool json, struct err *err);

#endif
