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

#define COUNT (sizeof(names) / sizeof(names[0]))

static void refuse(const char *name, size_t len)
{
    fprintf(stderr, "tocsin backtest: --without %.*s: expected ", (int)len,
            name);
    for (size_t k = 0; k < COUNT; k++) {
        fprintf(stderr, "%s%s",
                k == 0           ? ""
                : k + 1 == COUNT ? " or "
                                 : ", ",
                names[k].name);
    }
    fputc('\n', stderr);
}

int parts_read(struct parts *parts, const char *list)
{
    *parts = (struct parts){.detect = 0};
    while (*list != '\0') {
        size_t len = strcspn(list, ","), k = 0;

        while (k < COUNT && (strlen(names[k].name) != len ||
                             strncmp(names[k].name, list, len) != 0)) {
            k++;
        }
        if (k == COUNT) {
            refuse(list, len);
            return -1;
        }
        parts->detect |= names[k].part;
        parts->seasons = parts->seasons || names[k].part == 0;
        list += len + (list[len] == ',');
    }
    return 0;
}
