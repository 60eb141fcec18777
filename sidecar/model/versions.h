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
#define VERSIONS_NAME 64 /* bytes of a version's name and its end */
#define VERSIONS_ROUNDS 8

/* Makes the directory if need be. */
int versions_prepare(const char *dir, struct err *err);

/* Stores a challenger that won and makes it the current one. */
int versions_store(const char *dir, struct model *model, const char *version,
                   struct err *err);

/* Appends a round to the history, unless it is one of the newest in it. */
int versions_record(const char *dir, const struct trainer_result *result,
                    struct err *err);

/* The version to load at the next start; 1 if there is none: the default
 * model. -1 with *err. */
int versions_current(const char *dir, char version[VERSIONS_NAME],
                     struct err *err);

/* Where the file of a version is, or would be. */
int versions_path(const char *dir, const char *version, char path[PATH_MAX],
                  struct err *err);

/* There is a file of it. */
bool versions_kept(const char *dir, const char *version);

/* The name of the version before `from`: its parent in the history. */
int versions_before(const char *dir, const char *from,
                    char version[VERSIONS_NAME], struct err *err);

/* Makes a version current, or the default model where it is not kept. */
int versions_use(const char *dir, const char *version, struct err *err);

/* Records what happened to a version other than by a round. */
int versions_note(const char *dir, const char *verdict, const char *version,
                  const char *parent, uint64_t position, struct err *err);

/* Appends rows (TOCSIN_ROUND_ROW) of the newest VERSIONS_ROUNDS rounds and
 * notes of the history, oldest first. */
int versions_rounds(const char *dir, struct buf *rows, struct err *err);

#endif
