/*
 * The frame of a checkpoint. Whoever can write to state.dir can make us start
 * cold, but not read past the end of a buffer: every length is checked against
 * what is left, and the rooms get cursors that are bounded by their section.
 * The hash guards against accidents (a torn write, a bad disk), not against
 * an attacker, who could compute it too.
 */
#include "checkpoint.h"

#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

#include "file.h"

static const char checkpoint_magic[8] = "TOCSINCK";

#define CHECKPOINT_COUNT_AT (sizeof(checkpoint_magic) + 4)
#define CHECKPOINT_HEAD (CHECKPOINT_COUNT_AT + 4)
#define CHECKPOINT_TAIL 8

static void checkpoint_poke(struct buf *to, size_t at, uint64_t value,
                            unsigned size)
{
    unsigned i;

    for (i = 0; i < size; i++) {
        to->data[at + i] = (char)(unsigned char)(value >> (8 * i));
    }
}

static uint32_t checkpoint_count(const char *data)
{
    struct cursor cursor = {data + CHECKPOINT_COUNT_AT, 4, false};

    return cursor_u32(&cursor);
}

void checkpoint_start(struct buf *to)
{
    buf_clear(to);
    buf_put(to, checkpoint_magic, sizeof(checkpoint_magic));
    buf_put_u32(to, CHECKPOINT_VERSION);
    buf_put_u32(to, 0);
}

size_t checkpoint_begin(struct buf *to, const char *name)
{
    char padded[CHECKPOINT_NAME_SIZE] = {0};

    memcpy(padded, name, strnlen(name, sizeof(padded) - 1));
    buf_put(to, padded, sizeof(padded));
    buf_put_u64(to, 0);
    return to->len;
}

void checkpoint_end(struct buf *to, size_t begun)
{
    if (!to->failed) {
        checkpoint_poke(to, begun - 8, to->len - begun, 8);
        checkpoint_poke(to, CHECKPOINT_COUNT_AT, checkpoint_count(to->data) + 1,
                        4);
    }
}

int checkpoint_finish(struct buf *to, struct err *err)
{
    if (!to->failed) {
        buf_put_u64(to, XXH64(to->data, to->len, 0));
    }
    if (to->failed) {
        return err_set(err, ERR_LIMIT,
                       "checkpoint: larger than %zu bytes, or out of memory",
                       to->cap);
    }
    return 0;
}

/* Cuts one section off; false when it reaches beyond the end. */
static bool checkpoint_next(struct cursor *rest,
                            char name[CHECKPOINT_NAME_SIZE],
                            struct cursor *section)
{
    const char *bytes = cursor_bytes(rest, CHECKPOINT_NAME_SIZE);
    uint64_t len = cursor_u64(rest);

    if (rest->failed || len > rest->len) {
        return false;
    }
    memcpy(name, bytes, CHECKPOINT_NAME_SIZE);
    section->data = cursor_bytes(rest, len);
    section->len = len;
    section->failed = false;
    return name[CHECKPOINT_NAME_SIZE - 1] == '\0';
}

int checkpoint_check(const char *data, size_t len, struct err *err)
{
    struct cursor rest = {data, len, false};
    struct cursor tail, section;
    char name[CHECKPOINT_NAME_SIZE];
    uint32_t version, count, i;

    if (len < CHECKPOINT_HEAD + CHECKPOINT_TAIL ||
        memcmp(data, checkpoint_magic, sizeof(checkpoint_magic)) != 0) {
        return err_set(err, ERR_INPUT, "not a checkpoint, or cut short");
    }
    tail.data = data + len - CHECKPOINT_TAIL;
    tail.len = CHECKPOINT_TAIL;
    tail.failed = false;
    if (XXH64(data, len - CHECKPOINT_TAIL, 0) != cursor_u64(&tail)) {
        return err_set(err, ERR_INPUT,
                       "its hash does not match: cut short or "
                       "damaged");
    }
    cursor_bytes(&rest, sizeof(checkpoint_magic));
    version = cursor_u32(&rest);
    count = cursor_u32(&rest);
    if (version != CHECKPOINT_VERSION) {
        return err_set(err, ERR_INPUT, "format version %u, expected %u",
                       version, CHECKPOINT_VERSION);
    }
    rest.len -= CHECKPOINT_TAIL;
    for (i = 0; i < count && i < CHECKPOINT_SECTIONS_MAX; i++) {
        if (!checkpoint_next(&rest, name, &section)) {
            break;
        }
    }
    if (i != count || rest.len != 0) {
        return err_set(err, ERR_INPUT, "its sections do not fit its size");
    }
    return 0;
}

int checkpoint_find(const char *data, size_t len, const char *name,
                    struct cursor *section, struct err *err)
{
    struct cursor rest = {data + CHECKPOINT_HEAD,
                          len - CHECKPOINT_HEAD - CHECKPOINT_TAIL, false};
    uint32_t count = checkpoint_count(data);
    char found[CHECKPOINT_NAME_SIZE];
    uint32_t i;

    for (i = 0; i < count && checkpoint_next(&rest, found, section); i++) {
        if (strcmp(found, name) == 0) {
            return 0;
        }
    }
    return err_set(err, ERR_INPUT, "no section \"%s\"", name);
}

int checkpoint_write(const char *path, const struct buf *from, struct err *err)
{
    return file_replace(path, from->data, from->len, true, err);
}
