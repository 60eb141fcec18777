/* Where the model's evidence stands: its columns are found by name. */
#ifndef TOCSIN_EVIDENCE_H
#define TOCSIN_EVIDENCE_H

#include "../base/err.h"
#include "../model/scorer.h"

/*
 *     X(member, name, help)
 */
#define EVIDENCE(X)                                                            \
    X(sticks_out, "logit_a", "log odds that this row sticks out")              \
    X(begins, "logit_b", "log odds that a rare change begins here")            \
    X(z150, "z150", "squashed |z| of memory 150, largest of the columns")      \
    X(novelty, "novelty", "distance beyond all that was seen, in ranges")      \
    X(drift, "drift", "signed distance from where it usually is at this time") \
    X(roughness, "roughness", "logarithm of how much steps have grown")

#define EVIDENCE_MEMBER(member, name, help) unsigned member;
struct evidence_columns {
    EVIDENCE(EVIDENCE_MEMBER)
    unsigned count; /* E */
};
#undef EVIDENCE_MEMBER

#define EVIDENCE_MEMBER(member, name, help) double member;
struct evidence {
    EVIDENCE(EVIDENCE_MEMBER)
};
#undef EVIDENCE_MEMBER

/* 0, or -1 if the model does not give all that is needed. */
int evidence_find(const struct model_shape *shape,
                  struct evidence_columns *columns, struct err *err);

/* Of one row; NaN where nothing was observed. */
struct evidence evidence_of(const struct evidence_columns *columns,
                            const float *row);

#endif
