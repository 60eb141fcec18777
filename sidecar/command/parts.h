/* What --without leaves out, to see what each part of the scores is worth. */
#ifndef TOCSIN_COMMAND_PARTS_H
#define TOCSIN_COMMAND_PARTS_H

#include <stdbool.h>

#define PARTS_HELP                                                             \
    "leave out head_a, z150, head_b, novelty, drift,"                          \
    "\n                       roughness, budget or seasons"

struct parts {
    unsigned detect; /* of enum detect_part */
    bool seasons;    /* earlier days are not known */
};

/* Names with commas between them; says what is wrong, and returns -1. */
int parts_read(struct parts *parts, const char *list);

#endif
