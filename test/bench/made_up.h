/* Events as the module would write them, for benches that play it: half
 * requests, half attempts, of four producers; numbered without a gap. */
#ifndef TOCSIN_BENCH_MADE_UP_H
#define TOCSIN_BENCH_MADE_UP_H

#include <stdio.h>

#include "shared/event_codec.h"
#include "shared/names.h"
#include "shared/resp.h"

#define MADE_UP_PRODUCERS 4

static inline void fill_event(struct tocsin_event *ev, uint64_t i, char *src)
{
    tocsin_event_init(ev, i % 2 == 0 ? TOCSIN_REQUEST : TOCSIN_UPSTREAM);
    snprintf(src, 64, "web-%u.example.org/%u/7f3a",
             (unsigned)(i / 2 % MADE_UP_PRODUCERS),
             (unsigned)(i / 2 % MADE_UP_PRODUCERS));
    ev->v = 1;
    ev->src = tocsin_span_str(src);
    ev->seq = i / (2 * MADE_UP_PRODUCERS) + 1;
    ev->ts = 1767323045678901 + i * 10;
    ev->dur = 12345 + i % 1000;
    ev->server = TOCSIN_SPAN("shop.example.org");
    ev->route = TOCSIN_SPAN("/api/orders");
    ev->method = TOCSIN_SPAN("GET");
    ev->proto = TOCSIN_SPAN("1.1");
    ev->upstream = TOCSIN_SPAN("orders");
    ev->peer = TOCSIN_SPAN("10.20.30.40:8080");
    ev->status = 200;
    ev->in = 512;
    ev->out = 14321;
    ev->attempts = ev->attempt = 1;
    ev->connect = 210;
    ev->header = 11000;
    ev->cloud = TOCSIN_SPAN("aws");
    ev->region = TOCSIN_SPAN("eu-central-1");
    ev->zone = TOCSIN_SPAN("eu-central-1a");
    ev->labels = TOCSIN_SPAN("team=checkout,tier=gold");
}

static inline void put_xadd(struct tocsin_out *out,
                            const struct tocsin_event *ev)
{
    static const char *const keys[] = {"tocsin:request", "tocsin:upstream",
                                       "tocsin:beat"};

    tocsin_resp_put_array(out, 6 + 2 * tocsin_event_field_count(ev->stream));
    tocsin_resp_put(out, TOCSIN_SPAN("XADD"));
    tocsin_resp_put(out, tocsin_span_str(keys[ev->stream]));
    tocsin_resp_put(out, TOCSIN_SPAN("MAXLEN"));
    tocsin_resp_put(out, TOCSIN_SPAN("~"));
    tocsin_resp_put(out, TOCSIN_SPAN("1000000"));
    tocsin_resp_put(out, TOCSIN_SPAN("*"));
    tocsin_event_encode(out, ev);
}

#endif
