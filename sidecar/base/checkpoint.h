/*
 * The frame of a checkpoint: sections by name, a format version, and a hash
 * over all, so that a file which was cut short, flipped or written by another
 * version is told from a good one before any room reads from it.
 *
 *     "TOCSINCK"  u32 version  u32 sections
 *     sections times: char name[16]  u64 length  bytes
 *     u64 XXH64 of everything before
 */
#ifndef TOCSIN_CHECKPOINT_H
#define TOCSIN_CHECKPOINT_H

#include "buf.h"
#include "err.h"

#define CHECKPOINT_VERSION 1
#define CHECKPOINT_NAME_SIZE 16
#define CHECKPOINT_SECTIONS_MAX 32
#define CHECKPOINT_SIZE_MAX ((size_t)2 << 30)

/* Writing: start, then for each section begin, puts into *to, end; finish.
 * A section's name is at most CHECKPOINT_NAME_SIZE - 1 bytes. */
void checkpoint_start(struct buf *to);
size_t checkpoint_begin(struct buf *to, const char *name);
void checkpoint_end(struct buf *to, size_t begun);
/* -1 if something did not fit into the buffer. */
int checkpoint_finish(struct buf *to, struct err *err);

/* Reading: check a whole file's bytes once, then find sections in them. */
int checkpoint_check(const char *data, size_t len, struct err *err);
int checkpoint_find(const char *data, size_t len, const char *name,
                    struct cursor *section, struct err *err);

/* Replaces path by what was finished, and keeps the one before as ".old". */
int checkpoint_write(const char *path, const struct buf *from, struct err *err);

#endif
