/*
 * The models that served here, under the state directory:
 *
 *     models/<version>.pt    each challenger that won, newest VERSIONS_MAX
 *     models/history         one JSON object a line for each round; the oldest
 *                            half goes when it has grown to a megabyte
 *     models/current         the version to load at the next start
 */
#ifndef TOCSIN_VERSIONS_H
#define TOCSIN_VERSIONS_H

#include <limits.h>

#include "../base/buf.h"
#include "trainer.h"

#define VERSIONS_MAX 16
#define VERSIONS_ROUNDS 8

/* Makes the directory if need be. */
int versions_prepare(const char *dir, struct err *err);

/* Stores a challenger that won and makes it the current one. */
int versions_store(const char *dir, struct model *model, const char *version,
                   struct err *err);

/* Appends a round to the history. */
int versions_record(const char *dir, const struct trainer_result *result,
                    struct err *err);

/* Path of the current version's file; 1 if there is none: use the default
 * model. -1 with *err. */
int versions_current(const char *dir, char path[PATH_MAX], struct err *err);

/* The name of the version before `from`: its parent in the history. */
int versions_before(const char *dir, const char *from, char version[64],
                    struct err *err);

/* Makes that one current, or the default model where it is not kept. Fills in
 * its name, and records it at a position. */
int versions_rollback(const char *dir, const char *from, uint64_t position,
                      char version[64], struct err *err);

/* Appends rows (TOCSIN_ROUND_ROW) of the newest VERSIONS_ROUNDS rounds and
 * roll-backs of the history, oldest first. */
int versions_rounds(const char *dir, struct buf *rows, struct err *err);

#endif
