/*
 * Which model serves: the one that was trained last, or the newest before it
 * that can be loaded, else that of model.path; a challenger that won, from the
 * next tick on; after a roll-back the one that served before.
 */
#ifndef TOCSIN_COMMAND_SERVING_H
#define TOCSIN_COMMAND_SERVING_H

#include "../base/buf.h"
#include "../model/scorer.h"
#include "learner.h"

struct serving {
    const char *dir;      /* state.dir; NULL: nothing is trained here */
    const char *path;     /* model.path */
    uint64_t since;       /* us: when the one that serves began to */
    struct model *winner; /* of a round, not swapped in yet; or NULL */
    char leaving[64];     /* the version to roll back from; or empty */
    bool discard;         /* what comes of the round that runs */
    uint64_t rounds_seen; /* of the learner */
    struct buf rounds;    /* rows of the board */
};

void serving_init(struct serving *serving, const char *dir, const char *path);
void serving_release(struct serving *serving);

/* The model to begin with; says which. NULL and *err. */
struct model *serving_load(const struct serving *serving, struct err *err);

/* From the version `from` back to the one before it, at the end of the next
 * tick; a round that runs then is in vain. -1 and *err if another one serves,
 * or none did before.
 */
int serving_leave(struct serving *serving, struct scorer *scorer,
                  struct tocsin_span from, struct err *err);

/*
 * Which version serves, for a checkpoint; a winner that waits is none yet. When
 * it is restored, that version serves if it is still there, even if another was
 * made current later: the stream will come to that again. learner may be NULL.
 * -1 and *err: it says nothing, and what serves serves on.
 */
void serving_save(const struct serving *serving, struct scorer *scorer,
                  struct buf *to);
int serving_restore(struct serving *serving, struct scorer *scorer,
                    struct learner *learner, struct cursor *from,
                    struct err *err);

/* At the end of every tick, behind all rooms; learner may be NULL. A model
 * that cannot be swapped in is not served after a restart either. */
void serving_tick(struct serving *serving, struct scorer *scorer,
                  struct learner *learner, uint64_t end);

#endif
