/*
 * A chain of equal blocks. Series differ widely in how much they count in a
 * tick, and which of them count at all changes from tick to tick: so a tick's
 * memory follows its traffic, not the number of series, and nothing is freed
 * piece by piece. Blocks beyond those that the last use needed are returned at
 * arena_clear(), so a burst does not stay resident.
 */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) unsigned char data[ARENA_BLOCK];
};

void arena_init(struct arena *arena)
{
    memset(arena, 0, sizeof(*arena));
}

static void free_from(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_release(struct arena *arena)
{
    free_from(arena->first);
    arena_init(arena);
}

void arena_clear(struct arena *arena)
{
    if (arena->current != NULL) {
        free_from(arena->current->next);
        arena->current->next = NULL;
    }
    arena->current = arena->first;
    arena->used = 0;
}

static int next_block(struct arena *arena)
{
    struct arena_block *block =
        arena->current != NULL ? arena->current->next : arena->first;

    if (block == NULL) {
        block = malloc(sizeof(*block));
        if (block == NULL) {
            return -1;
        }
        block->next = NULL;
        if (arena->current != NULL) {
            arena->current->next = block;
        } else {
            arena->first = block;
        }
    }
    arena->current = block;
    arena->used = 0;
    return 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    void *data;

    if (size > ARENA_BLOCK) {
        return NULL;
    }
    size = (size + align - 1) / align * align;
    if ((arena->current == NULL || size > ARENA_BLOCK - arena->used) &&
        next_block(arena) != 0) {
        return NULL;
    }
    data = arena->current->data + arena->used;
    arena->used += size;
    return memset(data, 0, size);
}
