/*
 * The snapshot for the page: every alert's id, roll-ups of clouds, regions and
 * the whole, and the worst series with their sparks. Made once a second, so it
 * has to be cheap: one pass with a heap picks the worst of all series, and only
 * those are written; numbers of sparks are formatted by hand.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "room.h"

#define BOARD_ROWS 1000
#define SPARK_POINTS 60
#define ROW_MAX (TOCSIN_LABELS_MAX * 3 + 2048)

int board_init(struct alerts *alerts, struct err *err)
{
    alerts->worst = calloc(BOARD_ROWS, sizeof(*alerts->worst));
    buf_init(&alerts->active, TOCSIN_BOARD_MAX);
    buf_init(&alerts->rollups, TOCSIN_BOARD_MAX);
    buf_init(&alerts->rows, TOCSIN_BOARD_MAX);
    return alerts->worst == NULL ? err_set(err, ERR_SYSTEM, "no memory") : 0;
}

void board_release(struct alerts *alerts)
{
    free(alerts->worst);
    buf_release(&alerts->active);
    buf_release(&alerts->rollups);
    buf_release(&alerts->rows);
}

/* ------------------------------------------------------------ the worst */

static bool is_worse(const struct standing *a, const struct standing *b)
{
    if (a->alarm != b->alarm) {
        return a->alarm;
    }
    if (a->score < b->score || a->score > b->score) {
        return a->score > b->score;
    }
    return a->identity->slot < b->identity->slot;
}

/* A heap with the least bad of the chosen on top. */
static void sift(const struct standings *standings, uint32_t *heap,
                 uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t least = at, child = 2 * at + 1, i, swap;

        for (i = child; i < count && i < child + 2; i++) {
            if (is_worse(&standings->rows[heap[least]],
                         &standings->rows[heap[i]])) {
                least = i;
            }
        }
        if (least == at) {
            return;
        }
        swap = heap[at];
        heap[at] = heap[least];
        heap[least] = swap;
        at = least;
    }
}

static void heapify(const struct standings *standings, uint32_t *heap,
                    uint32_t count)
{
    uint32_t i = count / 2;

    while (i-- > 0) {
        sift(standings, heap, count, i);
    }
}

/* Fills alerts->worst, the worst first; returns how many. */
static uint32_t choose_worst(struct alerts *alerts)
{
    const struct standings *standings = &alerts->standings;
    uint32_t *heap = alerts->worst, count = 0, slot, left;

    for (slot = 0; slot < standings->max; slot++) {
        const struct standing *row = &standings->rows[slot];

        if (row->identity == NULL) {
            continue;
        }
        if (count < BOARD_ROWS) {
            heap[count++] = slot;
            if (count == BOARD_ROWS) {
                heapify(standings, heap, count);
            }
        } else if (is_worse(row, &standings->rows[heap[0]])) {
            heap[0] = slot;
            sift(standings, heap, count, 0);
        }
    }
    heapify(standings, heap, count);
    for (left = count; left > 1; left--) {
        uint32_t least = heap[0];

        heap[0] = heap[left - 1];
        heap[left - 1] = least;
        sift(standings, heap, left - 1, 0);
    }
    return count;
}

/* ------------------------------------------------------------------ rows */

/* Four significant digits, as "%.4g" where that has no exponent. */
static size_t short_number(char *to, size_t size, double value)
{
    static const double scales[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    char digits[16];
    unsigned places = 3, len = 0, n = 0;
    uint64_t whole;

    if (!isfinite(value)) {
        return 0;
    }
    if (value < 1e-5 || value >= 1e9) {
        int wrote = snprintf(to, size, "%.4g", value);

        return wrote > 0 ? (size_t)wrote : 0;
    }
    while (places < 8 && value * scales[places] < 1e3) {
        places++;
    }
    while (places > 0 && value * scales[places] >= 1e4) {
        places--;
    }
    whole = (uint64_t)(value * scales[places] + 0.5);
    while (places > 0 && whole % 10 == 0) {
        whole /= 10;
        places--;
    }
    do {
        digits[n++] = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole > 0 || n <= places);
    while (n > 0) {
        to[len++] = digits[--n];
        if (n == places && n > 0) {
            to[len++] = '.';
        }
    }
    return len;
}

static struct tocsin_span spark_of(const struct alerts *alerts,
                                   const struct standing *row, char *room,
                                   size_t size)
{
    bool latency = !isnan(row->latency_p95);
    uint32_t column = alerts->standings.spark[latency ? 0 : 1];
    float values[SPARK_POINTS];
    unsigned count, i;
    size_t len = 0;

    if (column == STANDING_NONE) {
        return tocsin_span_of("", 0);
    }
    count = alerts->history.recent(alerts->history.ctx, row->identity->slot,
                                   column, SPARK_POINTS, values);
    for (i = 0; i < count && len + 16 < size; i++) {
        if (i > 0) {
            room[len++] = ',';
        }
        len += short_number(room + len, size - len, (double)values[i]);
    }
    return tocsin_span_of(room, len);
}

static void put_row(struct buf *to, const struct tocsin_board_row *row)
{
    char room[ROW_MAX];
    struct tocsin_out out = {room, sizeof(room), 0};

    tocsin_board_row_encode(&out, row);
    if (tocsin_out_fits(&out) && to->len + out.need <= TOCSIN_BOARD_MAX) {
        buf_put(to, room, out.need);
    }
}

static void put_standing(const struct alerts *alerts, struct buf *to,
                         const struct standing *standing)
{
    char spark[TOCSIN_LABELS_MAX];
    struct tocsin_board_row row = {
        .labels = tocsin_span_str(standing->identity->labels),
        .score = (double)standing->score,
        .feature = tocsin_span_str(standing->feature < FEATURE_COUNT
                                       ? feature_table[standing->feature].name
                                       : ""),
        .observed = (double)standing->observed_value,
        .expected = (double)standing->expected,
        .low = (double)standing->low,
        .high = (double)standing->high,
        .rate = (double)standing->rate,
        .errors = (double)standing->errors,
        .latency_p50 = (double)standing->latency_p50,
        .latency_p95 = (double)standing->latency_p95,
        .inflight = (double)standing->inflight,
        .spark = spark_of(alerts, standing, spark, sizeof(spark)),
    };

    put_row(to, &row);
}

/* --------------------------------------------------------------- roll-ups */

static void put_rollups(struct alerts *alerts, enum scope scope)
{
    uint32_t slot;

    for (slot = 0; slot < alerts->standings.max; slot++) {
        const struct standing *standing = &alerts->standings.rows[slot];

        if (standing->identity != NULL && standing->identity->scope == scope) {
            put_standing(alerts, &alerts->rollups, standing);
        }
    }
}

static void put_active(struct alerts *alerts)
{
    uint32_t i;

    for (i = 0; i < ALERTS_MAX; i++) {
        const struct record *record = alerts->records[i];

        if (record == NULL || record->state == RECORD_UNTOLD) {
            continue;
        }
        if (alerts->active.len > 0) {
            buf_putc(&alerts->active, ',');
        }
        buf_puts(&alerts->active, record->id);
    }
}

static struct tocsin_span text_of(const struct buf *buf)
{
    return buf->data == NULL ? tocsin_span_of("", 0)
                             : tocsin_span_of(buf->data, buf->len);
}

void alerts_board(struct alerts *alerts, struct tocsin_board *board)
{
    uint32_t count, i;

    buf_clear(&alerts->active);
    buf_clear(&alerts->rollups);
    buf_clear(&alerts->rows);
    put_active(alerts);
    put_rollups(alerts, SCOPE_TOTAL);
    put_rollups(alerts, SCOPE_CLOUD);
    put_rollups(alerts, SCOPE_REGION);
    count = choose_worst(alerts);
    for (i = 0; i < count; i++) {
        put_standing(alerts, &alerts->rows,
                     &alerts->standings.rows[alerts->worst[i]]);
    }
    board->active = text_of(&alerts->active);
    board->rollups = text_of(&alerts->rollups);
    board->rows = text_of(&alerts->rows);
}
