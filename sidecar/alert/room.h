/* What the files of the alert room share: its whole state. */
#ifndef TOCSIN_ALERT_ROOM_H
#define TOCSIN_ALERT_ROOM_H

#include "alert.h"
#include "group.h"
#include "record.h"

#define ALERTS_MAX 1000 /* at a time; more causes wait */
#define FLAPS_MAX 256

/* An alert that ended lately. */
struct flap {
    uint64_t key;   /* hash of its cause's labels */
    uint64_t ended; /* us; 0: free */
    uint32_t count;
};

struct alerts {
    struct alert_options options;
    struct alert_history history;
    struct alert_sink sink;
    struct standings standings;
    struct group *group;
    struct record *records[ALERTS_MAX]; /* NULL: free */
    struct flap flaps[FLAPS_MAX];
    uint64_t end, tick; /* of the last batch, us */
    char model[64];     /* version that judged it */

    /* Texts of what is being told, and of the board. */
    struct buf summary, description, evidence, parts;
    struct buf active, rollups, rows;
    uint32_t *worst; /* [BOARD_ROWS] */
};

/* assign.c: gives every orphan an alert that explains it, or none yet. */
void alerts_assign(struct alerts *alerts);

/* life.c: counts members, moves states on, tells what changed, ends. */
void alerts_live(struct alerts *alerts);

/* tell.c */
/* Back to normal; a part of a wider alert; what is left has a narrower cause.
 */
enum ending {
    ENDING_NONE, /* it goes on */
    ENDING_BACK,
    ENDING_PART,
    ENDING_NARROWED,
    ENDING_ACCEPTED, /* its harm has become normal */
    ENDING_GONE      /* its series left */
};
void alerts_tell(struct alerts *alerts, struct record *record,
                 enum ending ending);

/* board.c */
int board_init(struct alerts *alerts, struct err *err);
void board_release(struct alerts *alerts);

/* Is the series still the one that the record was begun with? */
const struct identity *alerts_cause(const struct alerts *alerts,
                                    const struct record *record);

#endif
