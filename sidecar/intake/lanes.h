/* All lanes of an intake, and what may be delivered of them by now. */
#ifndef TOCSIN_LANES_H
#define TOCSIN_LANES_H

#include "lane.h"

#define LANES_SHARDS_MAX 64
#define LANES_MAX (2 * LANES_SHARDS_MAX + 1)

struct lanes {
    unsigned count;
    struct lane lane[LANES_MAX]; /* in the order of delivery */
};

/* Names them after prefix and shards (1 to LANES_SHARDS_MAX). */
void lanes_init(struct lanes *lanes, const char *prefix, unsigned shards);
void lanes_release(struct lanes *lanes);

/* Marks the lanes to ask and returns how many. *wait tells that none is known
 * to have more, so that Redis may wait for news. A lane that holds `much`
 * already and is not what the others wait for is left out. */
unsigned lanes_choose(struct lanes *lanes, uint32_t much, bool *wait);

/* The lane of those asked that has this key, or NULL. */
struct lane *lanes_asked(struct lanes *lanes, struct tocsin_span key);

/* A whole reply has been taken, at most `limit` entries a lane: says how far
 * each is complete by now. Returns the newest millisecond that was seen. */
uint64_t lanes_settle(struct lanes *lanes, uint32_t limit);

/* All entries below that millisecond are here. */
uint64_t lanes_bound(const struct lanes *lanes);

/* The lane whose oldest entry comes first; NULL if none is below `bound`. */
struct lane *lanes_next(struct lanes *lanes, uint64_t bound);

bool lanes_hold_any(const struct lanes *lanes);
/* A cap is near, or the other way round: no lane is known to have more. */
bool lanes_hold_much(const struct lanes *lanes);
bool lanes_at_end(const struct lanes *lanes);

void lanes_save(const struct lanes *lanes, struct buf *to);
int lanes_restore(struct lanes *lanes, struct cursor *from, struct err *err);

#endif
