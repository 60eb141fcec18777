/*
 * The scores that people see. 0 to 100: 12.5 for every power of ten by which
 * a row is rarer than noise of that series - 25 is one in a hundred, 50 one in
 * ten thousand, 100 one in a hundred million.
 */
#ifndef TOCSIN_SCORE_H
#define TOCSIN_SCORE_H

#include <math.h>

#define SCORE_DECADE 12.5
#define SCORE_MAX 100

static inline float score_of_rate(double rate)
{
    double score = rate > 0 ? -SCORE_DECADE * log10(rate) : SCORE_MAX;

    return (float)fmin(fmax(score, 0), SCORE_MAX);
}

#endif
