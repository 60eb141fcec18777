/*
 * Silences: alerts that nobody shall be told of, from a time to a time. At
 * most SILENCES_MAX; one that has expired is kept for a day to be looked at.
 * Times are us since the epoch.
 */
#ifndef TOCSIN_SILENCE_H
#define TOCSIN_SILENCE_H

#include "../base/buf.h"
#include "../base/err.h"
#include "shared/alert_codec.h"
#include "shared/silence_json.h"

#define SILENCES_MAX TOCSIN_SILENCES

struct silence;

struct silences {
    struct silence *all[SILENCES_MAX]; /* NULL: free */
    uint32_t count;
};

void silences_init(struct silences *silences);
void silences_release(struct silences *silences);

/* Does what somebody asked for. -1 and *err: it makes no sense, or there are
 * too many; all is then as before. The same command again changes nothing. */
int silences_command(struct silences *silences,
                     const struct tocsin_command *command, uint64_t now,
                     struct err *err);

/* What a command would have to pass, and texts of patterns. */
int silence_check(const struct tocsin_command *command, struct err *err);

/* Id of an active silence that matches: that which lasts longest. NULL if
 * there is none. It lives until the next command. */
const char *silences_match(const struct silences *silences,
                           const struct tocsin_alert *alert, uint64_t now);

/* Has any of them begun or ended after `since`, until `now`? */
bool silences_turned(const struct silences *silences, uint64_t since,
                     uint64_t now);

/* Forgets what expired a day ago. */
void silences_sweep(struct silences *silences, uint64_t now);

/* Appends all as rows of the board. */
void silences_rows(const struct silences *silences, struct buf *to);

void silences_save(const struct silences *silences, struct buf *to);
int silences_restore(struct silences *silences, struct cursor *from,
                     struct err *err);

#endif
