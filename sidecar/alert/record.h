/* One alert as the alert room keeps it. */
#ifndef TOCSIN_RECORD_H
#define TOCSIN_RECORD_H

#include "shared/names.h"
#include "standing.h"
#include "trace.h"

#define RECORD_SCOPES (SCOPE_COLUMN + 1)

/* UNTOLD: a tick old; nobody knows of it yet. */
enum record_state { RECORD_UNTOLD, RECORD_PENDING, RECORD_FIRING };
enum severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL };

struct record {
    enum record_state state;
    enum severity severity;
    uint32_t slot; /* of the series that is to blame */
    uint64_t hash; /* of its labels */
    enum scope scope;
    bool of_requests;
    char id[48], fingerprint[17];
    char labels[TOCSIN_LABELS_MAX + 1];
    uint64_t started, told; /* onset; when it was last told */
    enum feature feature;
    uint32_t column;
    float score; /* the highest so far */
    struct trace trace;
    uint32_t age, quiet, innocent; /* ticks: all, without members in alarm,
                                      with members but its own series well */
    uint32_t flaps;                /* how often it came back lately */
    uint32_t seen; /* a bit a tick: clients saw harm; the last is bit 0 */

    /* Of this tick; not saved. */
    uint32_t members, parts[RECORD_SCOPES];
    bool sudden, clients_see, users_known;
};

/* A record for the series that is to blame. */
void record_begin(struct record *record, const struct standings *standings,
                  uint32_t slot);

/* Fixes name, labels, fingerprint and id, before it is told; its series must
 * still be there. */
void record_name(struct record *record, const struct standings *standings,
                 uint64_t tick);

/* Is it told by failures? */
bool record_is_failing(const struct record *record);

/* Do retries hide it, as far as anybody can tell? */
bool record_is_hidden(const struct record *record);

const char *record_alertname(const struct record *record);
const char *record_state_name(enum record_state state);
const char *record_severity_name(enum severity severity);

void record_save(const struct record *record, struct buf *to);
int record_restore(struct record *record, struct cursor *from);

#endif
