/*
 * A checkpoint that somebody forged: a byte says of what room the section is,
 * the rest is the section (of 0: the whole file); the other rooms' are good.
 * With the byte's highest bit the section is a good one too, and the rest says
 * what to overwrite in it: so no change of a format leaves the corpus behind.
 * What is taken can be lived with, for as many ticks as it takes to touch
 * everything, and what is saved then is restored to the same bytes.
 */
#include <math.h>

#include "fuzz.h"
#include "sidecar/alert/alert.h"
#include "sidecar/alert/hush.h"
#include "sidecar/alert/mailbag.h"
#include "sidecar/base/checkpoint.h"
#include "sidecar/command/orders.h"
#include "sidecar/command/outbox.h"
#include "sidecar/detect/detect.h"
#include "sidecar/features/features.h"
#include "sidecar/intake/intake.h"
#include "sidecar/series/series.h"

#define HOUR UINT64_C(3600000000)
#define START_MS UINT64_C(1700000000000)
#define SLOTS 8
#define EVIDENCE 6
#define ROOM ((size_t)16 << 20)

enum sections {
    FRAME,
    SERIES,
    HISTORY,
    DETECT,
    ALERTS,
    INTAKE,
    HUSH,
    MAILBAG,
    OUTBOX,
    ORDERS,
    SECTIONS
};

/* The rooms behind intake, with evidence made up in place of a model's. */
struct rooms {
    struct series *series;
    struct features *features;
    struct detect *detect;
    struct alerts *alerts;
};

static const struct model_shape shape = {
    .version = "fuzz",
    .evidence = {"logit_a", "logit_b", "z150", "novelty", "drift", "roughness"},
    .evidence_count = EVIDENCE,
    .evidence_rows = EVIDENCE,
};

static void on_tick(void *ctx, const struct series_tick *tick)
{
    features_tick(((struct rooms *)ctx)->features, tick);
}

static void on_leave(void *ctx, const struct identity *who)
{
    struct rooms *rooms = ctx;

    alerts_leave(rooms->alerts, who);
    detect_leave(rooms->detect, who);
    features_leave(rooms->features, who);
}

static void on_batch(void *ctx, const struct feature_batch *batch)
{
    float evidence[SLOTS * EVIDENCE] = {0};
    uint32_t age[SLOTS] = {0};
    struct scored_batch scored = {
        .batch = batch,
        .shape = &shape,
        .evidence_count = EVIDENCE,
        .evidence = evidence,
        .age = age,
    };

    for (uint32_t i = 0; i < batch->count; i++) {
        float x = batch->x[i * batch->column_count];

        evidence[i * EVIDENCE] = isnan(x) ? NAN : x;
        evidence[i * EVIDENCE + 1] = i % 2 != 0 ? 12 : -5;
        evidence[i * EVIDENCE + 2] = x * 100;
    }
    detect_batch(((struct rooms *)ctx)->detect, &scored);
}

static void on_verdicts(void *ctx, const struct verdict_batch *batch)
{
    alerts_batch(((struct rooms *)ctx)->alerts, batch);
}

static unsigned on_recent(void *ctx, uint32_t slot, unsigned column,
                          unsigned count, float *values)
{
    return features_recent(((struct rooms *)ctx)->features, slot, column, count,
                           values);
}

static void on_changed(void *ctx, const struct tocsin_alert *alert)
{
    static char text[65536];
    struct tocsin_out out = {text, sizeof(text), 0};

    (void)ctx;
    tocsin_alert_encode(&out, alert);
}

static void open_rooms(struct rooms *rooms)
{
    struct series_options series = {
        .sets = {{"server", "route"}, {"upstream", "peer"}, {"cloud"}},
        .set_sizes = {2, 2, 1},
        .set_count = 3,
        .tick = HOUR,
        .idle = 2 * HOUR,
        .max = SLOTS,
    };
    struct features_options features = {
        .columns = {FEATURE_RATE, FEATURE_ERRORS, FEATURE_LATENCY_P95},
        .column_count = 3,
        .season_columns = {0},
        .season_column_count = 1,
        .lags = {1},
        .lag_count = 1,
        .seasons = {24 * HOUR},
        .season_count = 1,
        .tick = HOUR,
        .max = SLOTS,
        .window = 8,
    };
    struct detect_options detect = {
        .false_alarms_per_day = 1,
        .min_requests_per_minute = 1,
        .clear = 2,
        .tick = HOUR,
        .max = SLOTS,
    };
    struct alert_options alert = {.tick = HOUR, .max = SLOTS};

    rooms->series = series_create(
        &series, (struct series_sink){rooms, on_tick, on_leave}, NULL);
    rooms->features = features_create(
        &features, (struct features_sink){rooms, on_batch}, NULL);
    rooms->detect = detect_create(
        &detect, &shape, (struct detect_sink){rooms, on_verdicts}, NULL);
    rooms->alerts =
        alerts_create(&alert, (struct alert_history){rooms, on_recent},
                      (struct alert_sink){rooms, on_changed}, NULL);
    MUST(rooms->series != NULL && rooms->features != NULL);
    MUST(rooms->detect != NULL && rooms->alerts != NULL);
}

static void close_rooms(struct rooms *rooms)
{
    series_destroy(rooms->series);
    alerts_destroy(rooms->alerts);
    detect_destroy(rooms->detect);
    features_destroy(rooms->features);
}

/* An hour of two routes and two peers, one of them failing. */
static void live_an_hour(struct rooms *rooms, unsigned hour)
{
    uint64_t ms = START_MS + hour * (HOUR / 1000);
    struct tocsin_event ev;
    unsigned i;

    for (i = 0; i < 8; i++) {
        bool request = i % 2 == 0;

        tocsin_event_init(&ev, request ? TOCSIN_REQUEST : TOCSIN_UPSTREAM);
        ev.src = TOCSIN_SPAN("host/0/1-1");
        ev.seq = hour * 8 + i + 1;
        ev.ts = ms * 1000 + i;
        ev.server = TOCSIN_SPAN("shop");
        ev.route = i % 4 == 0 ? TOCSIN_SPAN("/") : TOCSIN_SPAN("/pay");
        ev.upstream = TOCSIN_SPAN("u");
        ev.peer =
            i % 4 == 1 ? TOCSIN_SPAN("10.0.0.1") : TOCSIN_SPAN("10.0.0.2");
        ev.cloud = TOCSIN_SPAN("aws");
        ev.status = i % 4 == 1 ? 200 : 503;
        ev.dur = 1000 * (i + 1);
        series_event(rooms->series, &ev, ms);
    }
    tocsin_event_init(&ev, TOCSIN_BEAT);
    ev.src = TOCSIN_SPAN("host/0/1-1");
    ev.ts = ms * 1000;
    ev.inflight = TOCSIN_SPAN("u=10.0.0.1=2=5000=aws==");
    series_event(rooms->series, &ev, ms);
    series_time(rooms->series, ms + HOUR / 1000);
}

static void live(struct rooms *rooms, unsigned from, unsigned hours)
{
    struct tocsin_board board;

    while (hours-- > 0) {
        live_an_hour(rooms, from++);
    }
    tocsin_board_init(&board);
    alerts_board(rooms->alerts, &board);
}

static void save_room(const struct rooms *rooms, unsigned section,
                      struct buf *to)
{
    buf_clear(to);
    switch (section) {
    case SERIES:
        series_save(rooms->series, to);
        break;
    case HISTORY:
        features_save(rooms->features, to);
        break;
    case DETECT:
        detect_save(rooms->detect, to);
        break;
    default:
        alerts_save(rooms->alerts, to);
        break;
    }
}

static int restore_room(struct rooms *rooms, unsigned section,
                        struct cursor from)
{
    struct err err = {0};
    int rc;

    switch (section) {
    case SERIES:
        rc = series_restore(rooms->series, &from, &err);
        break;
    case HISTORY:
        rc = features_restore(rooms->features, &from, &err);
        break;
    case DETECT:
        rc = detect_restore(rooms->detect, &from, &err);
        break;
    default:
        rc = alerts_restore(rooms->alerts, &from, &err);
        break;
    }
    MUST(rc == 0 || err.message[0] != '\0');
    return rc;
}

struct state {
    struct buf section[SECTIONS]; /* of SERIES to ALERTS */
};

static void save_all(const struct rooms *rooms, struct state *to)
{
    for (unsigned i = SERIES; i <= ALERTS; i++) {
        buf_init(&to->section[i], ROOM);
        save_room(rooms, i, &to->section[i]);
    }
}

static void release(struct state *state)
{
    for (unsigned i = SERIES; i <= ALERTS; i++) {
        buf_release(&state->section[i]);
    }
}

/* One section may be another than that: first, as it is mostly refused. */
static int restore_all(struct rooms *rooms, const struct state *from,
                       unsigned forged, struct cursor section)
{
    if (forged != FRAME && restore_room(rooms, forged, section) != 0) {
        return -1;
    }
    for (unsigned i = SERIES; i <= ALERTS; i++) {
        const struct buf *good = &from->section[i];
        struct cursor cursor = {good->data, good->len, false};

        if (i != forged && restore_room(rooms, i, cursor) != 0) {
            return -1;
        }
    }
    return 0;
}

static const struct state *good_state(void)
{
    static struct state state;
    struct rooms rooms;

    if (state.section[SERIES].data == NULL) {
        open_rooms(&rooms);
        live(&rooms, 0, 6);
        save_all(&rooms, &state);
        close_rooms(&rooms);
    }
    return &state;
}

static void check_again(const struct state *saved)
{
    struct state again;
    struct rooms rooms;

    open_rooms(&rooms);
    MUST(restore_all(&rooms, saved, FRAME, (struct cursor){0}) == 0);
    save_all(&rooms, &again);
    for (unsigned i = SERIES; i <= ALERTS; i++) {
        MUST(saved->section[i].len == again.section[i].len);
        MUST(memcmp(saved->section[i].data, again.section[i].data,
                    saved->section[i].len) == 0);
    }
    release(&again);
    close_rooms(&rooms);
}

static void check_rooms(unsigned forged, struct cursor section)
{
    struct rooms rooms;
    struct state saved;

    open_rooms(&rooms);
    if (restore_all(&rooms, good_state(), forged, section) == 0) {
        save_all(&rooms, &saved);
        check_again(&saved);
        release(&saved);
        live(&rooms, 6, 4); /* until what was restored is idle and left */
    }
    close_rooms(&rooms);
}

/* Two bytes of offset, one to write there. */
static void check_patched(unsigned section, struct tocsin_span patches)
{
    const struct buf *good = &good_state()->section[section];
    struct buf patched;

    buf_init(&patched, ROOM);
    buf_put(&patched, good->data, good->len);
    MUST(patched.data != NULL && patched.len == good->len);
    while (patches.len >= 3) {
        size_t at = (size_t)fuzz_byte(&patches) << 8;

        at = (at | fuzz_byte(&patches)) % patched.len;
        patched.data[at] = (char)fuzz_byte(&patches);
    }
    check_rooms(section, (struct cursor){patched.data, patched.len, false});
    buf_release(&patched);
}

static void on_event(void *ctx, const struct tocsin_event *ev, uint64_t id_ms)
{
    (void)ctx;
    (void)ev;
    (void)id_ms;
}

static void on_time(void *ctx, uint64_t id_ms)
{
    (void)ctx;
    (void)id_ms;
}

static void check_intake(struct cursor from)
{
    struct intake_options options = {
        .redis = {.url = "redis://127.0.0.1:1/0",
                  .username = "",
                  .password_file = "",
                  .timeout_ms = 100},
        .prefix = "tocsin",
        .shards = 1,
    };
    struct intake *intake = intake_create(
        &options, (struct intake_sink){NULL, on_event, on_time}, NULL);
    struct err err = {0};

    MUST(intake != NULL);
    MUST(intake_restore(intake, &from, &err) == 0 || err.message[0] != '\0');
    intake_destroy(intake);
}

static void on_hush(void *ctx, struct tocsin_span alert, bool silenced)
{
    (void)ctx;
    (void)alert;
    (void)silenced;
}

static void make_alert(struct tocsin_alert *alert, const char *state)
{
    tocsin_alert_init(alert);
    alert->id = TOCSIN_SPAN("a-1");
    alert->state = tocsin_span_str(state);
    alert->alertname = TOCSIN_SPAN("ErrorsHigh");
    alert->labels = TOCSIN_SPAN("server=shop,route=/pay");
    alert->started = alert->updated = START_MS * 1000;
}

static void check_hush(struct cursor from)
{
    struct hush *hush =
        hush_create((struct hush_sink){.changed = on_hush}, NULL);
    struct tocsin_alert alert;
    struct tocsin_board board;
    struct err err = {0};

    MUST(hush != NULL);
    if (hush_restore(hush, &from, &err) == 0) {
        make_alert(&alert, "firing");
        hush_alert(hush, &alert, START_MS * 1000);
        hush_tick(hush, START_MS * 1000 + HOUR);
        tocsin_board_init(&board);
        hush_board(hush, &board);
        hush_tick(hush, START_MS * 1000 + 100 * HOUR);
    } else {
        MUST(err.message[0] != '\0');
    }
    hush_destroy(hush);
}

static void check_mailbag(struct cursor from)
{
    struct mailbag mailbag = {0};
    struct tocsin_alert alert;
    struct err err = {0};

    MUST(mailbag_init(&mailbag, 16, NULL) == 0);
    mailbag.receivers = 2;
    mailbag.keys[0] = 1;
    mailbag.keys[1] = 2;
    mailbag.resend = 60000000;
    if (mailbag_restore(&mailbag, &from, 1000000, &err) == 0) {
        make_alert(&alert, "resolved");
        mailbag_put(&mailbag, &alert, false, 2000000);
        mailbag_mute(&mailbag, alert.id, true);
        for (uint32_t i = 0; i < mailbag.max; i++) {
            if (mailbag.items[i] != NULL) {
                mailbag_due(&mailbag, mailbag.items[i], 0);
                mailbag_due(&mailbag, mailbag.items[i], 1);
                on_changed(NULL, &mailbag.items[i]->alert);
            }
        }
        mailbag_sweep(&mailbag, UINT64_C(1) << 50);
    } else {
        MUST(err.message[0] != '\0');
    }
    mailbag_release(&mailbag);
}

static void check_outbox(struct cursor from)
{
    struct outbox_options options = {
        .redis = {.url = "redis://127.0.0.1:1/0",
                  .username = "",
                  .password_file = "",
                  .timeout_ms = 100},
        .prefix = "tocsin",
        .max = 16,
    };
    struct outbox *outbox = outbox_create(&options, NULL);
    struct err err = {0};
    struct buf saved;

    MUST(outbox != NULL);
    buf_init(&saved, ROOM);
    if (outbox_restore(outbox, &from, &err) == 0) {
        MUST(outbox_stats(outbox)->waiting <= options.max);
        outbox_save(outbox, &saved);
    } else {
        MUST(err.message[0] != '\0');
    }
    buf_release(&saved);
    outbox_destroy(outbox);
}

static void on_command(void *ctx, const struct tocsin_command *command)
{
    (void)ctx;
    (void)command;
}

static void check_orders(struct cursor from)
{
    struct orders_options options = {
        .redis = {.url = "redis://127.0.0.1:1/0",
                  .username = "",
                  .password_file = "",
                  .timeout_ms = 100},
        .prefix = "tocsin",
    };
    struct orders *orders = orders_create(
        &options, (struct orders_sink){.command = on_command}, NULL);
    struct err err = {0};

    MUST(orders != NULL);
    MUST(orders_restore(orders, &from, &err) == 0 || err.message[0] != '\0');
    orders_destroy(orders);
}

/* With its hash made right: a flipped byte would stop at it. */
static void check_frame(struct cursor from)
{
    static const char *const names[] = {"run", "series", "x", ""};
    struct cursor section = {0};
    struct err err = {0};
    struct buf file;

    buf_init(&file, ROOM);
    buf_put(&file, from.data, from.len);
    if (checkpoint_finish(&file, &err) == 0 && file.data != NULL &&
        checkpoint_check(file.data, file.len, &err) == 0) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (checkpoint_find(file.data, file.len, names[i], &section,
                                &err) == 0) {
                MUST(section.data >= file.data);
                MUST(section.data + section.len <= file.data + file.len);
            }
        }
    }
    buf_release(&file);
    MUST(checkpoint_check(from.data, from.len, &err) == 0 ||
         err.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tocsin_span rest = fuzz_span(data, size);
    unsigned kind = fuzz_byte(&rest);
    unsigned section = (kind & 0x7fu) % SECTIONS;
    struct cursor from = {rest.data, rest.len, false};

    if ((kind & 0x80u) != 0 && section >= SERIES && section <= ALERTS) {
        check_patched(section, rest);
        return 0;
    }

    switch (section) {
    case FRAME:
        check_frame(from);
        break;
    case INTAKE:
        check_intake(from);
        break;
    case HUSH:
        check_hush(from);
        break;
    case MAILBAG:
        check_mailbag(from);
        break;
    case OUTBOX:
        check_outbox(from);
        break;
    case ORDERS:
        check_orders(from);
        break;
    default:
        check_rooms(section, from);
        break;
    }
    return 0;
}
