/*
 * The evidence of a model is a row of numbers with names. A later model may
 * give more of them, or in another order; so they are looked up once, by
 * name, when a model begins to serve, and a model that lacks one is refused
 * rather than misread.
 */
#include "evidence.h"

#include <string.h>

static int find(const struct model_shape *shape, const char *name,
                unsigned *column, struct err *err)
{
    unsigned i;

    for (i = 0; i < shape->evidence_rows; i++) {
        if (strcmp(shape->evidence[i], name) == 0) {
            *column = i;
            return 0;
        }
    }
    return err_set(err, ERR_MODEL, "model %s gives no evidence called \"%s\"",
                   shape->version, name);
}

int evidence_find(const struct model_shape *shape,
                  struct evidence_columns *columns, struct err *err)
{
#define X(member, name, help)                                                  \
    if (find(shape, name, &columns->member, err) != 0) {                       \
        return -1;                                                             \
    }
    EVIDENCE(X)
#undef X
    columns->count = shape->evidence_count;
    return 0;
}

struct evidence evidence_of(const struct evidence_columns *columns,
                            const float *row)
{
    struct evidence evidence = {
#define X(member, name, help) .member = (double)row[columns->member],
        EVIDENCE(X)
#undef X
    };

    return evidence;
}
