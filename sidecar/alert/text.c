/*
 * What people read at night: short sentences, numbers with units that fit
 * their size, and nothing that is not known. All text from outside (names of
 * upstreams, routes, peers) arrives percent-encoded in labels and is decoded
 * here; whoever shows it escapes it for his medium. Control characters become
 * spaces, so that no name can break a line or a mail's header.
 */
#include "text.h"

#include <math.h>
#include <string.h>

#include "../detect/score.h"
#include "shared/event_codec.h"
#include "shared/names.h"

const char *text_alertname(enum feature feature, enum scope scope)
{
    switch (feature) {
    case FEATURE_RATE:
        return "Silence";
    case FEATURE_ERRORS:
        return "ErrorsHigh";
    case FEATURE_CLIENT_ERRORS:
        return "ClientErrorsHigh";
    case FEATURE_LOCAL_ERRORS:
        return scope == SCOPE_PEER ? "PeerUnreachable" : "UpstreamUnreachable";
    case FEATURE_LATENCY_P50:
    case FEATURE_LATENCY_P95:
    case FEATURE_HEADER:
        return "LatencyHigh";
    case FEATURE_INFLIGHT:
        return "InflightHigh";
    case FEATURE_OLDEST:
        return "RequestsStuck";
    case FEATURE_CONNECT:
        return "ConnectSlow";
    case FEATURE_RETRIES:
        return "RetriesHigh";
    case FEATURE_CACHE_HITS:
        return "CacheHitsLow";
    case FEATURE_BYTES:
    case FEATURE_COUNT:
        break;
    }
    return "Anomaly";
}

/* Three digits that matter, without an exponent where people can read it. */
static void put_number(struct buf *to, double value)
{
    double size = fabs(value);
    int places = size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : 2;

    if (size >= 1e7 || (size > 0 && size < 1e-3)) {
        buf_printf(to, "%.3g", value);
        return;
    }
    if (size > 0 && size < 1) {
        places = size < 0.1 ? 4 : 3;
    }
    buf_printf(to, "%.*f", places, value);
    if (places > 0) { /* 1.50 -> 1.5, 2.0 -> 2 */
        while (to->len > 0 && to->data[to->len - 1] == '0') {
            to->data[--to->len] = '\0';
        }
        if (to->len > 0 && to->data[to->len - 1] == '.') {
            to->data[--to->len] = '\0';
        }
    }
}

static void put_bytes(struct buf *to, double value)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB"};
    unsigned i = 0;

    while (fabs(value) >= 1000 && i < 4) {
        value /= 1000;
        i++;
    }
    put_number(to, value);
    buf_puts(to, units[i]);
}

static void put_value(struct buf *to, double value, const char *unit,
                      bool share)
{
    if (!isfinite(value)) {
        return;
    }
    if (strcmp(unit, "s") == 0) {
        bool small = fabs(value) < 1;

        put_number(to, small ? value * 1e3 : value);
        buf_puts(to, small ? " ms" : " s");
    } else if (strcmp(unit, "By") == 0) {
        put_bytes(to, value);
    } else if (share) {
        put_number(to, value * 100);
        buf_puts(to, " %");
    } else {
        put_number(to, value);
        if (strcmp(unit, "1/s") == 0) {
            buf_puts(to, "/s");
        }
    }
}

void text_value(struct buf *to, double value, const char *unit)
{
    put_value(to, value, unit, strcmp(unit, "1") == 0);
}

void text_duration(struct buf *to, uint64_t us)
{
    uint64_t s = us / 1000000;

    if (s < 60) {
        buf_printf(to, "%u s", (unsigned)s);
    } else if (s < 3600) {
        buf_printf(to, "%u min", (unsigned)(s / 60));
        if (s % 60 != 0 && s < 600) {
            buf_printf(to, " %u s", (unsigned)(s % 60));
        }
    } else {
        buf_printf(to, "%u h %u min", (unsigned)(s / 3600),
                   (unsigned)(s % 3600 / 60));
    }
}

/* -------------------------------------------------------------- subjects */

static void put_decoded(struct buf *to, struct tocsin_span value)
{
    char plain[TOCSIN_LABELS_MAX];
    size_t len, i;

    if (value.len > sizeof(plain)) {
        value.len = sizeof(plain);
    }
    len = tocsin_pct_decode(plain, value);
    for (i = 0; i < len; i++) {
        if ((unsigned char)plain[i] < 0x20 || plain[i] == 0x7f) {
            plain[i] = ' ';
        }
    }
    buf_put(to, plain, len);
}

void text_subject(struct buf *to, struct tocsin_span labels)
{
    struct tocsin_span name, value;
    bool first = true;

    if (labels.len == 0) {
        buf_puts(to, "everything");
        return;
    }
    while (tocsin_pairs_next(&labels, &name, &value)) {
        if (value.len == 0) {
            continue;
        }
        if (!first) {
            buf_putc(to, ' ');
        }
        put_decoded(to, value);
        first = false;
    }
}

/* --------------------------------------------------------------- sentences */

static bool is_share(const struct text_facts *facts)
{
    return facts->feature < FEATURE_COUNT &&
           feature_table[facts->feature].kind == KIND_SHARE;
}

static void put_fact(struct buf *to, const struct text_facts *facts,
                     double value)
{
    put_value(to, value, facts->unit, is_share(facts));
}

static const char *column_name(const struct text_facts *facts)
{
    return facts->feature < FEATURE_COUNT ? feature_table[facts->feature].words
                                          : facts->column;
}

static void put_expected(struct buf *to, const struct text_facts *facts)
{
    if (isfinite(facts->low) && isfinite(facts->high)) {
        struct buf low;

        buf_init(&low, 64);
        put_fact(&low, facts, facts->high);
        buf_puts(to, "expected ");
        if (facts->low <= 0) {
            buf_puts(to, "at most ");
        } else {
            put_fact(to, facts, facts->low);
            buf_puts(to, " to ");
        }
        buf_put(to, low.data, low.len);
        buf_release(&low);
    } else if (isfinite(facts->expected)) {
        buf_puts(to, "expected ");
        put_fact(to, facts, facts->expected);
    } else {
        buf_puts(to, "nothing like it was seen before");
    }
}

static void put_part(struct buf *to, const char **separator, unsigned count,
                     const char *one, const char *many)
{
    if (count > 0) {
        buf_printf(to, "%s%u %s", *separator, count, count == 1 ? one : many);
        *separator = ", ";
    }
}

static void put_parts(struct buf *to, const struct text_facts *facts)
{
    const char *separator = "";

    if (facts->upstream.len > 0) {
        buf_puts(to, "upstream ");
        put_decoded(to, facts->upstream);
        separator = ", ";
    } else {
        put_part(to, &separator, facts->upstreams, "upstream", "upstreams");
    }
    put_part(to, &separator, facts->peers, "peer", "peers");
    put_part(to, &separator, facts->routes, "route", "routes");
    put_part(to, &separator, facts->others, "other series", "other series");
}

static bool has_parts(const struct text_facts *facts)
{
    return facts->upstream.len > 0 || facts->upstreams > 0 ||
           facts->peers > 0 || facts->routes > 0 || facts->others > 0;
}

void text_summary(struct buf *to, const struct text_facts *facts)
{
    text_subject(to, facts->labels);
    buf_puts(to, ": ");
    if (facts->feature == FEATURE_RATE && facts->observed <= facts->low) {
        buf_puts(to, "silent, ");
    } else {
        buf_puts(to, column_name(facts));
        buf_putc(to, ' ');
        if (isfinite(facts->observed)) {
            put_fact(to, facts, facts->observed);
            buf_puts(to, ", ");
        }
    }
    put_expected(to, facts);
    if (has_parts(facts)) {
        buf_puts(to, " (");
        put_parts(to, facts);
        buf_putc(to, ')');
    }
}

static void put_reach(struct buf *to, const struct text_facts *facts)
{
    if (facts->clients_see) {
        buf_puts(to, " Clients see it.");
    } else if (facts->retried) {
        buf_puts(to, " Retries hide it from clients so far.");
    }
}

static void put_certainty(struct buf *to, double score)
{
    unsigned decades = (unsigned)(score / SCORE_DECADE);

    if (score >= SCORE_MAX) {
        buf_puts(to, " Noise alone does this less than once in a hundred "
                     "million ticks");
    } else {
        buf_printf(to, " Noise alone does this about once in 10^%u ticks",
                   decades);
    }
    buf_printf(to, " (score %.0f).", score);
}

void text_description(struct buf *to, const struct text_facts *facts)
{
    const struct feature_row *row =
        facts->feature < FEATURE_COUNT ? &feature_table[facts->feature] : NULL;

    text_summary(to, facts);
    buf_puts(to, ".");
    put_reach(to, facts);
    put_certainty(to, facts->score);
    buf_puts(to, facts->ended ? " It lasted "
                              : " When this was told it had "
                                "lasted ");
    text_duration(to, facts->now - facts->started);
    buf_putc(to, '.');
    if (row != NULL) {
        buf_printf(to, " Judged by %s: %s.", row->name, row->help);
    }
}
