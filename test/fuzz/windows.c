/*
 * Training windows of a checkpoint that somebody forged: the first byte says
 * whether the rest is all of them, or what to overwrite in good ones. What is
 * taken can be drawn from and added to, and is saved as it was.
 */
#include "sidecar/model/windows.h"
#include "fuzz.h"

#define ROOM ((size_t)1 << 20)
#define CAPACITY 10u

static struct windows *make_windows(unsigned count)
{
    const struct model_shape shape = {
        .lag_count = 1, .season_count = 1, .season_feature_count = 1};
    struct windows *windows = windows_create(&shape, 2, 3, CAPACITY);
    const float x[6] = {0}, past[6] = {0}, season[3] = {0};

    MUST(windows != NULL);
    while (count-- > 0) {
        MUST(windows_add(windows, x, past, season, NULL));
    }
    return windows;
}

static void use(struct windows *windows, const struct buf *taken)
{
    static const unsigned which[] = {0, 7};
    struct windows *more = make_windows(7);
    struct model_windows batch;
    struct buf saved;

    buf_init(&saved, ROOM);
    windows_save(windows, &saved);
    MUST(saved.len <= taken->len);
    MUST(memcmp(saved.data, taken->data, saved.len) == 0);
    windows_batch(windows, false, which, 2, &batch);
    windows_batch(windows, true, which, 2, &batch);
    windows_move(windows, more);
    MUST(windows_count(windows) <= CAPACITY);
    buf_release(&saved);
    windows_destroy(more);
}

/* Each two bytes of offset, one to write there. */
static void patch(struct buf *to, struct tocsin_span patches)
{
    while (patches.len >= 3) {
        size_t at = (size_t)fuzz_byte(&patches) << 8;

        at = (at | fuzz_byte(&patches)) % to->len;
        to->data[at] = (char)fuzz_byte(&patches);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span rest = fuzz_span(data, size);
    bool good = fuzz_byte(&rest) % 2 != 0;
    struct windows *windows = make_windows(good ? 8 : 0);
    struct err err = {0};
    struct cursor from;
    struct buf file;

    buf_init(&file, ROOM);
    if (good) {
        windows_save(windows, &file);
        patch(&file, rest);
    } else {
        buf_put(&file, rest.data, rest.len);
    }
    from = (struct cursor){file.data, file.len, false};
    if (windows_restore(windows, &from, &err) == 0) {
        use(windows, &file);
    } else {
        MUST(err.message[0] != '\0');
    }
    buf_release(&file);
    windows_destroy(windows);
    return 0;
}
