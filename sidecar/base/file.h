/* Whole files: read up to a cap, replaced atomically. */
#ifndef TOCSIN_FILE_H
#define TOCSIN_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "err.h"

/* Appends a regular file to *to; ERR_LIMIT if it does not fit its cap. The
 * code is ERR_SYSTEM, and errno ENOENT, where there is no such file. */
int file_read(const char *path, struct buf *to, struct err *err);

/* A secret: the first line of a file, without its end. Appends to *to; the
 * caller wipes it with file_forget(). */
int file_read_secret(const char *path, struct buf *to, struct err *err);
void file_forget(struct buf *secret);

/*
 * Replaces path by a new file of mode 0600 with these bytes: whoever opens
 * path sees the old or the new one, whole, even after a crash. With `keep`,
 * the old one stays as path + ".old"; if it cannot have two names, path is
 * missing for a moment, and ".old" is there.
 */
int file_replace(const char *path, const void *data, size_t len, bool keep,
                 struct err *err);

#endif
