/* Training windows, in two rings: to train on, and held back to compare on. */
#ifndef TOCSIN_WINDOWS_H
#define TOCSIN_WINDOWS_H

#include <stdbool.h>

#include "../base/buf.h"
#include "../base/err.h"
#include "model.h"

struct windows;

/* Room for `capacity` windows, a fifth of them held back. NULL: no memory. */
struct windows *windows_create(const struct model_shape *shape,
                               unsigned columns, unsigned ticks,
                               unsigned capacity);
void windows_destroy(struct windows *windows);

/* Copies a window without the ticks that are not calm (trainer.h); the oldest
 * goes when there is no room. False: less than half of it is left. */
bool windows_add(struct windows *windows, const float *x, const float *past,
                 const float *season, const unsigned char *calm);

/* All windows of `from`, in order; it is empty afterwards. */
void windows_move(struct windows *to, struct windows *from);

unsigned windows_count(const struct windows *windows); /* all of them */
unsigned windows_held(const struct windows *windows);  /* held back */

/* Copies `count` windows to train on, or held back, into a batch whose
 * memory is the windows' own until the next call. */
void windows_batch(struct windows *windows, bool held, const unsigned *which,
                   unsigned count, struct model_windows *batch);

void windows_clear(struct windows *windows); /* as when it was created */

/* For checkpoints, to the bit; may be called while windows_batch() is, in
 * another thread. What was saved of others is refused, and nothing changes. */
void windows_save(const struct windows *windows, struct buf *to);
int windows_restore(struct windows *windows, struct cursor *from,
                    struct err *err);

#endif
