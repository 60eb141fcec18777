/* Is what a model file holds what was written into it? */
#ifndef TOCSIN_MODEL_ZIP_H
#define TOCSIN_MODEL_ZIP_H

#include <stddef.h>

#include "../base/err.h"

/* Checks the sums of all members of a zip archive in memory, each of at most
 * `most` bytes when unpacked. ERR_MODEL, and the member's name, if one does not
 * fit, or if this is no archive of one part that ends where its bytes end. */
int model_zip_check(const char *data, size_t len, size_t most, struct err *err);

#endif
