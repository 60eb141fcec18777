/* The table of effect.h as data. */
#include "effect.h"

const struct effect effect_table[FEATURE_COUNT] = {
#define X(NAME, style, add, times, floor, spread)                              \
    [FEATURE_##NAME] = {EFFECT_##style, add, times, floor, spread},
    EFFECTS(X)
#undef X
};
