/*
 * Is this row a rare change that somebody should be told of? Turns head B's
 * log odds, the novelty, drift and roughness of one series into the incident
 * score, and spends a budget of alerts on it.
 */
#ifndef TOCSIN_INCIDENT_H
#define TOCSIN_INCIDENT_H

#include <stdint.h>

#include "../base/buf.h"

#define INCIDENT_BLOCKS 80 /* block maxima remembered */
#define INCIDENT_ROLL 10   /* rows over which odds are averaged */

/* Gumbel, Les valeurs extremes des distributions statistiques, 1935: fitted
 * by moments to the maxima of blocks of 50 rows. */
struct gumbel {
    float maxima[INCIDENT_BLOCKS];
    uint32_t blocks; /* seen so far */
    float highest;   /* of the block that is being filled */
    float location, scale;
};

struct incident {
    struct gumbel odds, rolled, novelty, drifted, roughened;
    float roll[INCIDENT_ROLL];
    float drift;        /* mean distance of the last rows, signed... */
    float roughness;    /* ...and mean roughness */
    float spent;        /* what the alerts so far have raised the bar by */
    uint32_t row, last; /* rows seen; the row of the last alert */
};

/* What can be left out, to see what it is worth. */
enum incident_part {
    INCIDENT_HEAD = 1,
    INCIDENT_NOVELTY = 2,
    INCIDENT_DRIFT = 4,
    INCIDENT_ROUGHNESS = 8,
    INCIDENT_BUDGET = 16
};

struct incident_row {
    double logit_b; /* NaN: no row */
    double novelty;
    double distance;  /* from where it should be, signed */
    double roughness; /* logarithm of how much steps have grown */
    unsigned without; /* of enum incident_part */
};

struct incident_score {
    double surprise; /* before the budget */
    double told;     /* after it: 0 on the rows between alerts */
};

void incident_init(struct incident *incident);
struct incident_score incident_step(struct incident *incident,
                                    const struct incident_row *row);

void incident_save(const struct incident *incident, struct buf *to);
void incident_restore(struct incident *incident, struct cursor *from);

#endif
