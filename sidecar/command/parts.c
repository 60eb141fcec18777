/* Names of the parts of the scores. Seasons are the features' part in them. */
#include "parts.h"

#include <stdio.h>
#include <string.h>

#include "../detect/detect.h"

static const struct {
    const char *name;
    unsigned part;
} names[] = {
    {"head_a", DETECT_HEAD_A}, {"z150", DETECT_Z150},
    {"head_b", DETECT_HEAD_B}, {"novelty", DETECT_NOVELTY},
    {"drift", DETECT_DRIFT},   {"roughness", DETECT_ROUGHNESS},
    {"budget", DETECT_BUDGET}, {"seasons", 0},
};

int parts_read(struct parts *parts, const char *list)
{
    *parts = (struct parts){.detect = 0};
    while (*list != '\0') {
        size_t len = strcspn(list, ","), k = 0, n;

        for (n = sizeof(names) / sizeof(names[0]); k < n; k++) {
            if (strlen(names[k].name) == len &&
                strncmp(names[k].name, list, len) == 0) {
                break;
            }
        }
        if (k == n) {
            fprintf(stderr,
                    "tocsin backtest: --without %.*s: expected head_a, z150, "
                    "head_b, novelty, drift, roughness, budget or seasons\n",
                    (int)len, list);
            return -1;
        }
        parts->detect |= names[k].part;
        parts->seasons = parts->seasons || names[k].part == 0;
        list += len + (list[len] == ',');
    }
    return 0;
}
