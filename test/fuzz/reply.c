/*
 * XREAD's reply as the sidecar's intake takes it. The first byte says in how
 * large pieces it comes: what is delivered does not depend on it.
 */
#include "sidecar/intake/reply.h"
#include "fuzz.h"
#include "shared/event_codec.h"
#include "sidecar/base/buf.h"

#define ROOM ((size_t)4 << 20)

static int take_stream(void *ctx, struct tocsin_span key, struct err *err)
{
    struct buf *heard = ctx;

    buf_printf(heard, "stream %zu ", key.len);
    buf_put(heard, key.data, key.len);
    if (key.len > 8) {
        return err_set(err, ERR_INPUT, "not asked for");
    }
    return 0;
}

static int take_entry(void *ctx, struct stream_id id, struct tocsin_span fields,
                      uint32_t pairs, struct err *err)
{
    struct buf *heard = ctx;
    struct tocsin_event ev;
    const char *at = fields.data;

    (void)err;
    buf_printf(heard, "entry %llu-%llu %u ", (unsigned long long)id.ms,
               (unsigned long long)id.n, pairs);
    buf_put(heard, fields.data, fields.len);
    tocsin_event_init(&ev, TOCSIN_REQUEST);
    for (uint32_t i = 0; i < pairs; i++) {
        struct tocsin_span name = reply_field(&at);
        struct tocsin_span value = reply_field(&at);

        tocsin_event_field(&ev, i, name, value);
    }
    MUST(pairs == 0 || at == fields.data + fields.len);
    return 0;
}

/* As intake does: what was not used stands before what comes next. */
static int feed(struct tocsin_span text, size_t piece, struct buf *heard)
{
    struct reply_sink sink = {heard, take_stream, take_entry};
    struct reply reply;
    struct err err = {0};
    struct buf waiting;
    size_t used;
    int rc = 0;

    buf_init(&waiting, ROOM);
    buf_clear(heard);
    reply_start(&reply, sink);
    while (rc == 0 && text.len != 0) {
        size_t len = text.len < piece ? text.len : piece;
        char *exact;

        buf_put(&waiting, text.data, len);
        text = tocsin_span_of(text.data + len, text.len - len);
        exact = fuzz_copy(tocsin_span_of(waiting.data, waiting.len));
        rc = reply_take(&reply, exact, waiting.len, &used, &err);
        MUST(used <= waiting.len);
        free(exact);
        memmove(waiting.data, waiting.data + used, waiting.len - used);
        waiting.len -= used;
    }
    MUST(rc >= 0 || err.message[0] != '\0');
    buf_release(&waiting);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span rest = fuzz_span(data, size);
    size_t piece = fuzz_byte(&rest) + 1;
    struct buf whole, pieces;
    int one, two;

    if (piece <= rest.len / 64) { /* long ones in a few pieces, for speed */
        piece += rest.len / 64;
    }
    if (rest.len >= REPLY_ENTRY_MAX) { /* skipped if it comes in pieces */
        return 0;
    }
    buf_init(&whole, ROOM);
    buf_init(&pieces, ROOM);
    one = feed(rest, rest.len + 1, &whole);
    two = feed(rest, piece, &pieces);
    MUST(one == two && whole.len == pieces.len);
    MUST(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
