/*
 * Learning while running. Windows of the deployment's own series are copied
 * in; a round trains a challenger from the champion in a thread of its own,
 * compares both on windows held back, and posts the outcome, which the main
 * thread takes at a tick boundary.
 *
 * A round reads the windows that were there when it began: those that come
 * while it runs wait in an inbox. So the outcome depends on the windows, the
 * seed and the positions of rounds alone, never on timing; and when it is taken
 * is the caller's choice.
 *
 * Used by one thread, the main one; none of its calls waits for the round but
 * trainer_wait() and trainer_destroy().
 */
#ifndef TOCSIN_TRAINER_H
#define TOCSIN_TRAINER_H

#include <stdbool.h>

#include "../base/buf.h"
#include "model.h"

struct trainer_options {
    const char *dir;   /* where versions are kept (versions.h); NULL: nowhere */
    double share;      /* of one core while a round runs, in (0, 1] */
    unsigned columns;  /* F of the windows */
    unsigned ticks;    /* T of the windows */
    unsigned capacity; /* windows kept, newest first; a fifth held back */
    unsigned batch;    /* windows of one training step */
    unsigned steps;    /* training steps of one round */
    unsigned looks;    /* comparisons on each batch held back */
    double learning_rate; /* falls to a tenth within a round */
    double margin; /* how much lower, relatively, a challenger's loss must be */
    uint64_t seed;
    bool thread; /* false: trainer_round() does it all before it returns */
};

/* Fills in what suits the shipped model; columns is F. */
void trainer_defaults(struct trainer_options *options, unsigned columns);

enum trainer_verdict {
    TRAINER_FAILED, /* the round could not be made: see reason */
    TRAINER_WON,    /* better on the windows held back: swap */
    TRAINER_LOST,   /* not better */
    TRAINER_BROKEN  /* not a number, or its outputs make no sense */
};

struct trainer_result {
    enum trainer_verdict verdict;
    char version[64], parent[64];
    uint64_t position;      /* as given to trainer_round() */
    unsigned windows, held; /* trained on, compared on */
    double before, after;   /* mean loss on the windows held back */
    double spread;          /* standard error of before - after, paired */
    double cpu;             /* seconds */
    char reason[256];
};

struct trainer_stats {
    uint64_t taken;   /* windows */
    uint64_t refused; /* too few ticks observed and calm */
    uint64_t dropped; /* the inbox was full */
    uint64_t rounds, won;
    unsigned windows, held; /* kept now */
};

struct trainer;

/* Copies the champion; the model stays the caller's. */
struct trainer *trainer_create(const struct trainer_options *options,
                               const struct model *champion, struct err *err);
/* Ends a running round at its next step, and waits for that. */
void trainer_destroy(struct trainer *trainer);

/*
 * Copies a window x [T][F], past [T][K][F], season [T][P][Q]. calm [T] is 0
 * for the ticks in which its series was in alarm: they are left out, as if
 * nothing had been observed. NULL: all are calm.
 */
void trainer_window(struct trainer *trainer, const float *x, const float *past,
                    const float *season, const unsigned char *calm);

/* Starts a round; position is that in the stream (any number that grows).
 * False if one runs, one waits to be taken, or fewer windows are held back than
 * make two batches. */
bool trainer_round(struct trainer *trainer, uint64_t position);

/*
 * True once for each round that has ended, with its result. *winner is the
 * challenger, now the caller's (for scorer_swap()), and the champion of
 * coming rounds; NULL if it did not win.
 */
bool trainer_take(struct trainer *trainer, struct trainer_result *result,
                  struct model **winner);

/* No round runs, and none waits to be taken. */
bool trainer_idle(struct trainer *trainer);

/* Waits for the end of the round that runs, us at most, and lets it have all of
 * a core for that, and its own priority. True if none runs now. */
bool trainer_wait(struct trainer *trainer, uint64_t us);

/* After a roll-back: coming rounds start from this one. */
int trainer_champion(struct trainer *trainer, const struct model *champion,
                     struct err *err);

const struct trainer_stats *trainer_stats(const struct trainer *trainer);

/*
 * The windows, and which round was begun and not taken: that one is begun again
 * when they are restored, into a trainer of the same options and champion that
 * has done nothing yet. What does not fit is refused, and it has no windows.
 */
void trainer_save(const struct trainer *trainer, struct buf *to);
int trainer_restore(struct trainer *trainer, struct cursor *from,
                    struct err *err);

#endif
