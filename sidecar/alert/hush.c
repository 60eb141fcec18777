/*
 * Between the alert room and the notifiers. An alert goes to the stream and
 * to the board whatever happens here: silence is for people, not for the
 * record. The table of alerts is what tocsin run has told and not ended;
 * whatever has not been heard of for ten minutes (twenty reminders) is gone.
 */
#include "hush.h"

#include <stdlib.h>
#include <string.h>

#include "shared/names.h"

#define STALE (600ull * 1000000)
#define ID_MAX 127
#define NAME_MAX_LEN 127

struct standing_alert {
    char id[ID_MAX + 1], alertname[NAME_MAX_LEN + 1];
    char severity[NAME_MAX_LEN + 1], labels[TOCSIN_LABELS_MAX + 1];
    uint64_t heard; /* 0: the place is free */
    char silence[TOCSIN_SILENCE_ID + 1];
};

struct hush {
    struct hush_sink sink;
    struct silences silences;
    struct standing_alert *alerts; /* [HUSH_MAX] */
    uint64_t looked; /* when all alerts were last looked at; 0: look again */
    struct buf rows, silenced;
};

struct hush *hush_create(struct hush_sink sink, struct err *err)
{
    struct hush *hush = calloc(1, sizeof(*hush));

    if (hush != NULL) {
        hush->alerts = calloc(HUSH_MAX, sizeof(*hush->alerts));
    }
    if (hush == NULL || hush->alerts == NULL) {
        free(hush);
        err_set(err, ERR_SYSTEM, "no memory for silences");
        return NULL;
    }
    hush->sink = sink;
    silences_init(&hush->silences);
    buf_init(&hush->rows, TOCSIN_BOARD_MAX);
    buf_init(&hush->silenced, TOCSIN_BOARD_MAX);
    return hush;
}

void hush_destroy(struct hush *hush)
{
    if (hush == NULL) {
        return;
    }
    silences_release(&hush->silences);
    buf_release(&hush->rows);
    buf_release(&hush->silenced);
    free(hush->alerts);
    free(hush);
}

/* --------------------------------------------------------------- the table */

static struct tocsin_alert names_of(const struct standing_alert *place)
{
    struct tocsin_alert alert;

    tocsin_alert_init(&alert);
    alert.id = tocsin_span_str(place->id);
    alert.alertname = tocsin_span_str(place->alertname);
    alert.severity = tocsin_span_str(place->severity);
    alert.labels = tocsin_span_str(place->labels);
    return alert;
}

static bool keep(char *to, size_t max, struct tocsin_span text)
{
    if (text.len > max ||
        (text.len > 0 && memchr(text.data, '\0', text.len) != NULL)) {
        return false;
    }
    if (text.len > 0) {
        memcpy(to, text.data, text.len);
    }
    to[text.len] = '\0';
    return true;
}

static struct standing_alert *find(struct hush *hush, struct tocsin_span id)
{
    uint32_t i;

    for (i = 0; i < HUSH_MAX; i++) {
        if (hush->alerts[i].heard != 0 &&
            tocsin_span_eq(tocsin_span_str(hush->alerts[i].id), id)) {
            return &hush->alerts[i];
        }
    }
    return NULL;
}

/* Its place, or a free one; NULL where all are taken. */
static struct standing_alert *place_of(struct hush *hush, struct tocsin_span id)
{
    struct standing_alert *place = find(hush, id);
    uint32_t i;

    for (i = 0; place == NULL && i < HUSH_MAX; i++) {
        if (hush->alerts[i].heard == 0) {
            place = &hush->alerts[i];
            place->silence[0] = '\0';
        }
    }
    return place;
}

static void set_silence(struct standing_alert *place, const char *id)
{
    memset(place->silence, 0, sizeof(place->silence));
    if (id != NULL) {
        memcpy(place->silence, id, TOCSIN_SILENCE_ID);
    }
}

bool hush_alert(struct hush *hush, const struct tocsin_alert *alert,
                uint64_t now)
{
    const char *silence = silences_match(&hush->silences, alert, now);
    struct standing_alert *place;

    if (tocsin_span_eq(alert->state, TOCSIN_SPAN("resolved"))) {
        place = find(hush, alert->id);
        if (place != NULL) {
            place->heard = 0;
        }
        return silence != NULL;
    }
    place = place_of(hush, alert->id);
    if (place != NULL && keep(place->id, ID_MAX, alert->id) &&
        keep(place->alertname, NAME_MAX_LEN, alert->alertname) &&
        keep(place->severity, NAME_MAX_LEN, alert->severity) &&
        keep(place->labels, TOCSIN_LABELS_MAX, alert->labels)) {
        place->heard = now;
        set_silence(place, silence);
    }
    return silence != NULL;
}

static void look_again(struct hush *hush, struct standing_alert *place,
                       uint64_t now)
{
    struct tocsin_alert alert = names_of(place);
    const char *silence = silences_match(&hush->silences, &alert, now);
    bool before = place->silence[0] != '\0';

    set_silence(place, silence);
    if (before != (silence != NULL)) {
        hush->sink.changed(hush->sink.ctx, alert.id, silence != NULL);
    }
}

void hush_tick(struct hush *hush, uint64_t now)
{
    bool turned = hush->looked == 0 || now < hush->looked ||
                  silences_turned(&hush->silences, hush->looked, now);
    uint32_t i;

    hush->looked = now;
    silences_sweep(&hush->silences, now);
    for (i = 0; i < HUSH_MAX; i++) {
        struct standing_alert *place = &hush->alerts[i];

        if (place->heard == 0) {
            continue;
        }
        if (place->heard + STALE < now) {
            place->heard = 0;
        } else if (turned) {
            look_again(hush, place, now);
        }
    }
}

int hush_command(struct hush *hush, const struct tocsin_command *command,
                 uint64_t now, struct err *err)
{
    if (silences_command(&hush->silences, command, now, err) != 0) {
        return -1;
    }
    hush->looked = 0;
    hush_tick(hush, now);
    return 0;
}

/* --------------------------------------------------- board and checkpoint */

static struct tocsin_span text_of(const struct buf *buf)
{
    return buf->data == NULL ? tocsin_span_of("", 0)
                             : tocsin_span_of(buf->data, buf->len);
}

void hush_board(struct hush *hush, struct tocsin_board *board)
{
    uint32_t i;

    buf_clear(&hush->rows);
    buf_clear(&hush->silenced);
    silences_rows(&hush->silences, &hush->rows);
    for (i = 0; i < HUSH_MAX; i++) {
        const struct standing_alert *place = &hush->alerts[i];

        if (place->heard != 0 && place->silence[0] != '\0') {
            buf_printf(&hush->silenced, "%s%s=%s",
                       hush->silenced.len > 0 ? "," : "", place->id,
                       place->silence);
        }
    }
    board->silences = text_of(&hush->rows);
    board->silenced = text_of(&hush->silenced);
}

void hush_save(const struct hush *hush, struct buf *to)
{
    uint32_t i, count = 0;

    silences_save(&hush->silences, to);
    for (i = 0; i < HUSH_MAX; i++) {
        count += hush->alerts[i].heard != 0;
    }
    buf_put_u32(to, count);
    for (i = 0; i < HUSH_MAX; i++) {
        if (hush->alerts[i].heard != 0) {
            buf_put(to, &hush->alerts[i], sizeof(hush->alerts[i]));
        }
    }
}

/* Texts from a file end within their room. */
static bool is_whole(const struct standing_alert *place)
{
    return memchr(place->id, '\0', sizeof(place->id)) != NULL &&
           memchr(place->alertname, '\0', sizeof(place->alertname)) != NULL &&
           memchr(place->severity, '\0', sizeof(place->severity)) != NULL &&
           memchr(place->labels, '\0', sizeof(place->labels)) != NULL &&
           memchr(place->silence, '\0', sizeof(place->silence)) != NULL;
}

int hush_restore(struct hush *hush, struct cursor *from, struct err *err)
{
    uint32_t count, i;

    memset(hush->alerts, 0, HUSH_MAX * sizeof(*hush->alerts));
    hush->looked = 0;
    if (silences_restore(&hush->silences, from, err) != 0) {
        return -1;
    }
    count = cursor_u32(from);
    for (i = 0; i < count && i < HUSH_MAX; i++) {
        const char *data = cursor_bytes(from, sizeof(hush->alerts[i]));

        if (data == NULL) {
            break;
        }
        memcpy(&hush->alerts[i], data, sizeof(hush->alerts[i]));
        if (!is_whole(&hush->alerts[i])) {
            break;
        }
    }
    if (from->failed || i != count) {
        memset(hush->alerts, 0, HUSH_MAX * sizeof(*hush->alerts));
        silences_release(&hush->silences);
        return err_set(err, ERR_INPUT, "silenced alerts are off");
    }
    return 0;
}
