/*
 * Items of a beat: upstream=peer=count=oldest=cloud=region=zone, each part
 * percent-encoded. Parts that a newer producer adds behind are ignored.
 */
#include "beat.h"

static struct tocsin_span cut_part(struct tocsin_span *rest)
{
    const char *end =
        rest->len != 0 ? memchr(rest->data, '=', rest->len) : NULL;
    struct tocsin_span part = *rest;

    if (end == NULL) {
        *rest = tocsin_span_of(rest->data + rest->len, 0);
        return part;
    }
    part.len = (size_t)(end - rest->data);
    *rest = tocsin_span_of(end + 1, rest->len - part.len - 1);
    return part;
}

static bool number(struct tocsin_span text, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' ||
            *value > UINT64_MAX / 10 - 1) {
            return false;
        }
        *value = *value * 10 + (uint64_t)(text.data[i] - '0');
    }
    return text.len != 0;
}

static struct tocsin_span plain(struct beat_item *item,
                                struct tocsin_span encoded)
{
    struct tocsin_span text = {item->text + item->used, 0};

    if (encoded.len <= sizeof(item->text) - item->used) {
        text.len = tocsin_pct_decode(item->text + item->used, encoded);
        item->used += text.len;
    }
    return text;
}

bool beat_item_next(struct tocsin_span *rest, struct beat_item *item)
{
    struct tocsin_event *labels = &item->labels;
    struct tocsin_span upstream, parts;

    if (!tocsin_pairs_next(rest, &upstream, &parts)) {
        return false;
    }
    item->used = 0;
    tocsin_event_init(labels, TOCSIN_UPSTREAM);
    labels->upstream = plain(item, upstream);
    labels->peer = plain(item, cut_part(&parts));
    if (!number(cut_part(&parts), &item->count) ||
        !number(cut_part(&parts), &item->oldest)) {
        item->count = 0;
        return true;
    }
    labels->cloud = plain(item, cut_part(&parts));
    labels->region = plain(item, cut_part(&parts));
    labels->zone = plain(item, cut_part(&parts));
    return true;
}
