/*
 * Blame: which series, of all those in alarm, is the cause of the others.
 */
#ifndef TOCSIN_GROUP_H
#define TOCSIN_GROUP_H

#include "standing.h"

struct group;

struct group *group_create(uint32_t max, struct err *err);
void group_destroy(struct group *group);

/* Looks at all series; before the two below, in a tick with orphans. */
void group_tally(struct group *group, const struct standings *standings);

/*
 * The slot that explains most of the orphans (series in alarm without an
 * alert), or STANDING_NONE if the picture is not clear yet. Ask again after
 * the orphans that it explains have got their alert.
 */
uint32_t group_cause(struct group *group, const struct standings *standings);

/* After group_tally(): does harm go on in one of the parts of the series of
 * slot `wide`, of those that belong to its alert, while too many others are
 * well for it to be to blame? */
bool group_is_split(const struct group *group,
                    const struct standings *standings, uint32_t wide);

/* Is the series of slot `wide` one that has that of `other` as its part? */
bool group_is_wider(const struct identity *wide, const struct identity *other);

bool group_linked(const struct identity *a, const struct identity *b);

#endif
