/*
 * Which of the alerts that stand nobody shall be told of. Holds the silences
 * and the names of the alerts, and says whenever one of them falls silent or
 * may be told again.
 */
#ifndef TOCSIN_HUSH_H
#define TOCSIN_HUSH_H

#include "silence.h"

#define HUSH_MAX 1000 /* alerts */

struct hush_sink {
    void *ctx;
    void (*changed)(void *ctx, struct tocsin_span alert, bool silenced);
};

struct hush;

struct hush *hush_create(struct hush_sink sink, struct err *err);
void hush_destroy(struct hush *hush);

/* News of an alert: is it silenced? */
bool hush_alert(struct hush *hush, const struct tocsin_alert *alert,
                uint64_t now);

/* As silences_command(); what changes by it is told. */
int hush_command(struct hush *hush, const struct tocsin_command *command,
                 uint64_t now, struct err *err);

/* Time goes on: silences begin and end. */
void hush_tick(struct hush *hush, uint64_t now);

/* Fills `silences` and `silenced`; the texts live until the next call. */
void hush_board(struct hush *hush, struct tocsin_board *board);

void hush_save(const struct hush *hush, struct buf *to);
int hush_restore(struct hush *hush, struct cursor *from, struct err *err);

#endif
