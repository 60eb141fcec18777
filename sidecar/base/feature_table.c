/* The rows of FEATURES as data, and the way back from a name. */
#include "feature_table.h"

#include <string.h>

const struct feature_row feature_table[FEATURE_COUNT] = {
#define X(NAME, name, unit, kind, harm, words, help)                           \
    {name, unit, words, help, KIND_##kind, HARM_##harm},
    FEATURES(X)
#undef X
};

enum feature feature_by_name(const char *name)
{
    unsigned i;

    for (i = 0; i < FEATURE_COUNT; i++) {
        if (strcmp(feature_table[i].name, name) == 0) {
            return (enum feature)i;
        }
    }
    return FEATURE_COUNT;
}
