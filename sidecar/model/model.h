/*
 * The C face of libtorch: one TorchScript module that keeps Tocsin's contract.
 * No exception leaves it. model_torch.cpp, model_step.cpp and model_learn.cpp
 * implement it; model_stub.c does for builds without libtorch (MODEL=stub),
 * where every load is refused.
 *
 * The contract of the module (see export.py, which is its reference):
 *   attributes  version: str, features: List[str], season_features: List[str]
 *               (two at most), lags: List[int] (ticks, <= 512), seasons:
 *               List[int] (seconds), evidence: List[str], state: int
 *   initial(B: int) -> s[B,S]
 *   step(x[B,F], past[B,K,F], season[B,P,Q], s[B,S])
 *       -> (expected[B,F], low[B,F], high[B,F], evidence[B,E], s'[B,S])
 *   loss(x[B,T,F], past[B,T,K,F], season[B,T,P,Q]) -> scalar
 * NaN is unobserved. Everything is float32. expected, low and high are for the
 * x of the same step, known before it. F may differ from len(features): then
 * all columns are of no known kind (as the columns of a file), season holds
 * the first two of them at most, and S and E differ too. Names in `evidence`
 * that begin with "e:" come last, one for a column, in the order of columns;
 * those before it are one for a row: E = evidence_rows + F.
 * A module may name statistics that the host computes itself (causal.h):
 *   attribute   statistics: str = "causal-1"
 *   floor(F: int) -> [F,1]    the least spread of each column
 *   judge(x[B,F], inputs, novelty) -> evidence[B,E]
 *   band(facts, candidates, scale, lowest) -> (expected[B,F], low, high)
 * Then these two serve instead of step, which must tell the same. Likewise
 *   disturb(x[B,T,F]) -> [x'[B,T,F], labels...]
 *   learn(disturbed, inputs, facts, candidates, scale) -> scalar
 * serve instead of loss, where the module has them.
 *
 * A handle may be used by one thread at a time; copies are independent.
 */
#ifndef TOCSIN_MODEL_H
#define TOCSIN_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "../base/err.h"

#define MODEL_NAMES_MAX 64

struct model_shape {
    char version[64];
    const char *features[MODEL_NAMES_MAX];
    const char *season_features[2];
    const char *evidence[MODEL_NAMES_MAX];
    uint32_t lags[MODEL_NAMES_MAX];
    uint64_t seasons[MODEL_NAMES_MAX]; /* seconds */
    unsigned feature_count, season_feature_count, evidence_count;
    unsigned evidence_rows; /* leading names that are of the whole row */
    unsigned lag_count, season_count;
    unsigned state; /* S for F = feature_count */
};

struct model;

/* Reads a file that its owner (us or root) alone can write; checks the whole
 * contract by one step on NaN. NULL and *err otherwise. */
struct model *model_load(const char *path, struct err *err);
struct model *model_copy(const struct model *model, struct err *err);
void model_free(struct model *model);

/* Valid as long as the model. */
const struct model_shape *model_describe(const struct model *model);

/* S and E for a number of columns, found by one step on NaN. */
int model_sizes(struct model *model, unsigned columns, unsigned *state,
                unsigned *evidence, struct err *err);

/* s [B][S] */
int model_initial(struct model *model, unsigned columns, size_t batch,
                  float *state, struct err *err);

struct model_step {
    size_t batch;                   /* B */
    unsigned columns;               /* F */
    unsigned state_size;            /* S */
    const float *x, *past, *season; /* in */
    float *state;                   /* in and out */
    const uint32_t *slots; /* [B]: where in state a row's is; NULL: in order */
    float *expected, *low, *high; /* out: [B][F] each; NULL: not wanted */
    float *evidence;              /* out: [B][E] */
};

int model_step(struct model *model, const struct model_step *step,
               struct err *err);

struct model_windows {
    size_t batch, ticks;
    unsigned columns;
    const float *x, *past, *season; /* [B][T]... */
};

/* Mean loss of the windows, without training; the same seed, the same bits. */
int model_loss(struct model *model, const struct model_windows *windows,
               uint64_t seed, double *loss, struct err *err);

/* One step of AdamW on the module's own parameters. The optimizer's state
 * lives in the handle. */
int model_train(struct model *model, const struct model_windows *windows,
                double learning_rate, uint64_t seed, double *loss,
                struct err *err);

/* Gives it another version: what its description and its file say. */
int model_rename(struct model *model, const char *version, struct err *err);

/* The same, and writes path atomically (0600, fsync, rename). */
int model_save(struct model *model, const char *path, const char *version,
               struct err *err);

/* Threads of libtorch within one call, for the whole process. */
void model_threads(int threads);

#endif
