/*
 * The configured label sets: which labels make a series, which stream it
 * counts, and the text that names it.
 */
#ifndef TOCSIN_LABEL_SETS_H
#define TOCSIN_LABEL_SETS_H

#include "series.h"
#include "shared/names.h"

/* Distinct labels of all sets together, tocsin_labels included. */
#define LABELS_MAX 32

enum label {
    LABEL_SERVER,
    LABEL_ROUTE,
    LABEL_METHOD,
    LABEL_UPSTREAM,
    LABEL_PEER,
    LABEL_CLOUD,
    LABEL_REGION,
    LABEL_ZONE,
    LABEL_CUSTOM /* the first tocsin_label */
};

struct label_set {
    uint8_t labels[SERIES_SET_LABELS_MAX]; /* in the order of the text */
    unsigned count;
    uint32_t mask;
    bool of_requests;
    bool of_beats; /* a beat knows all its labels: upstream, peer, clouds */
};

struct label_sets {
    struct label_set sets[SERIES_SETS_MAX];
    unsigned count;
    char *custom[LABELS_MAX]; /* names; owned; NULL for the built-in ones */
    unsigned label_count;     /* LABEL_CUSTOM and the custom ones */
    uint32_t request_labels;  /* masks: what the sets of a stream look at */
    uint32_t attempt_labels;
};

/* The values of one event, plain. `decoded` holds those of tocsin_labels. */
struct label_values {
    struct tocsin_span of[LABELS_MAX];
    char decoded[TOCSIN_LABELS_MAX];
};

int label_sets_init(struct label_sets *sets,
                    const struct series_options *options, struct err *err);
void label_sets_release(struct label_sets *sets);

/* Only the labels in `mask` are filled in; the others are empty. */
void label_values_of(const struct label_sets *sets, uint32_t mask,
                     const struct tocsin_event *ev,
                     struct label_values *values);

/*
 * The text that names the series of a set: PAIRS of the labels that are not
 * empty. `scope` is the narrowest thing it names. False if all labels of the
 * set are empty.
 */
bool label_set_text(const struct label_sets *sets, const struct label_set *set,
                    const struct label_values *values, struct tocsin_out *text,
                    enum scope *scope);

#endif
