/*
 * What is known of a column from its past alone, one tick at a time: the same
 * as Statistics of causal.py, which is the reference and the documentation of
 * every channel. A module that names its statistics "causal-1" steps by them:
 * torch spends microseconds on each of their 400 small operations, this spends
 * none. Unlike torch's kernels, no row's bits depend on its neighbours.
 */
#ifndef TOCSIN_CAUSAL_H
#define TOCSIN_CAUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAUSAL_NAME "causal-1"

enum {
    CAUSAL_COLUMN = 23,    /* floats of state of a column */
    CAUSAL_SEASON = 8,     /* further ones of a column with seasons */
    CAUSAL_SEASONS = 6,    /* a day, a week ahead of now; days 1, 7, 2, 3 */
    CAUSAL_INPUTS = 28,    /* of the network */
    CAUSAL_FACTS = 14,     /* of the band */
    CAUSAL_CANDIDATES = 5, /* for the expected value */
    CAUSAL_WIDTH = CAUSAL_INPUTS + CAUSAL_FACTS + CAUSAL_CANDIDATES + 3
};

/* Row-major [B][...]; results are channels first, [C][F][B]. */
struct causal_step {
    size_t batch;            /* B */
    unsigned columns;        /* F */
    unsigned season_columns; /* Q: the first of them that have seasons */
    const float *floor;      /* [F]: the least spread of a column */
    const float *x;          /* [B][F], NaN: not observed */
    const float *season;     /* [B][CAUSAL_SEASONS][Q] */
    float *state;            /* [slots][S], in and out */
    const uint32_t *slots;   /* [B]: where each row's is; NULL: at 0, 1, 2... */
    float *inputs;           /* [CAUSAL_INPUTS][F][B] */
    float *novelty;          /* [F][B]: distance beyond all seen before */
    /* Of the band; all NULL: not wanted. */
    float *facts;      /* [CAUSAL_FACTS][F][B] */
    float *candidates; /* [CAUSAL_CANDIDATES][F][B], NaN: not there */
    float *scale;      /* [F][B]: the unit of facts and of the band */
    float *lowest;     /* [F][B]: the least seen before */
};

/* S of a state. */
size_t causal_state(unsigned columns, unsigned season_columns);

/* Lays the results out in memory of CAUSAL_WIDTH * F * B floats. */
void causal_results(struct causal_step *step, float *memory, bool band);

void causal_step(const struct causal_step *step);

#endif
