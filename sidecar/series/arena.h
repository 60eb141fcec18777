/*
 * Memory that is given back all at once: what a tick counts lives from its
 * first event to its close.
 */
#ifndef TOCSIN_ARENA_H
#define TOCSIN_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *first, *current;
    size_t used; /* of current */
};

void arena_init(struct arena *arena);
void arena_release(struct arena *arena);

/* Takes all back; keeps the blocks that the last use needed. */
void arena_clear(struct arena *arena);

/* Zeroed and aligned for any type; NULL if memory ran out or size is larger
 * than a block. */
void *arena_alloc(struct arena *arena, size_t size);

#endif
