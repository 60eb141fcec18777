/*
 * Writes checkpoints beside the loop: the bytes are made in the loop's thread,
 * at one position of the streams; the disk is waited for in another.
 */
#ifndef TOCSIN_COMMAND_SAVER_H
#define TOCSIN_COMMAND_SAVER_H

#include <stdbool.h>

#include "../base/buf.h"
#include "../base/err.h"

struct saver;

struct saver *saver_create(const char *path, struct err *err);

/* Waits for what is being written. */
void saver_destroy(struct saver *saver);

/* Where to put the next checkpoint; NULL while one is being written. */
struct buf *saver_begin(struct saver *saver);

/* The same when it is time for one, monotonic us: `every` after the first call
 * or after the last checkpoint was begun, whatever became of that. */
struct buf *saver_due(struct saver *saver, uint64_t now, uint64_t every);

/* Has it written. */
void saver_write(struct saver *saver);

/* Waits until nothing is being written; -1 and *err if the last write failed.
 * The same failure is logged when it happens. */
int saver_wait(struct saver *saver, struct err *err);

#endif
