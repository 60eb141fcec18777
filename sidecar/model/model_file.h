/* Reading a model file as what it is: code from outside. */
#ifndef TOCSIN_MODEL_FILE_H
#define TOCSIN_MODEL_FILE_H

#include "../base/buf.h"
#include "../base/err.h"

#define MODEL_FILE_MAX (32u << 20)

/*
 * Appends the bytes of a regular file that belongs to us or to root and that
 * neither its group nor others can write; *to was born with MODEL_FILE_MAX.
 * The bytes are those of the file that was checked, whatever is renamed
 * meanwhile. ERR_REFUSED if it is somebody else's to write, ERR_MODEL if it is
 * no archive or not what was written once.
 */
int model_file_read(const char *path, struct buf *to, struct err *err);

#endif
