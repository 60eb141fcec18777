/*
 * Who is told, made of options: checked, the texts copied. Internal to the
 * notifiers.
 */
#ifndef TOCSIN_RECEIVERS_H
#define TOCSIN_RECEIVERS_H

#include "delivery.h"
#include "mailbag.h"
#include "notify.h"

struct receivers {
    struct receiver all[MAILBAG_RECEIVERS_MAX];
    enum receiver_kind kinds[MAILBAG_RECEIVERS_MAX];
    uint32_t count;
    char *texts[4 * MAILBAG_RECEIVERS_MAX]; /* that the above point to */
    size_t text_count;
    bool out_of_memory; /* a text is missing */
};

/* Of zeroed memory; release it whatever this returns. -1 and *err if an option
 * is wrong. */
int receivers_init(struct receivers *receivers,
                   const struct notify_options *options, struct err *err);
void receivers_release(struct receivers *receivers);

/* Tells a receiver from all others, also of another run. */
uint64_t receivers_key(const struct receivers *receivers, uint32_t index);

#endif
