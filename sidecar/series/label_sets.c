/*
 * Label sets, compiled once from their names. series.c asks for the values of
 * an event and for the text of each set; the resolver remembers the answers,
 * so none of this is on the path of a common event.
 *
 * The text is canonical: built-in labels in a fixed order, tocsin_labels after
 * them by name, empty ones left out. So a series keeps its identity when
 * somebody reorders the configuration; and an attempt for which no peer was
 * live belongs, under [upstream, peer], to the same series as under
 * [upstream]: the resolver then counts it there once.
 */
#include "label_sets.h"

#include <stdlib.h>
#include <string.h>

#define BIT(label) (1u << (label))
#define BITS_CLOUD (BIT(LABEL_CLOUD) | BIT(LABEL_REGION) | BIT(LABEL_ZONE))
#define BITS_ATTEMPT (BIT(LABEL_UPSTREAM) | BIT(LABEL_PEER))
#define BITS_BEAT (BITS_ATTEMPT | BITS_CLOUD)

static const struct {
    const char *option; /* in series.by */
    const char *name;   /* in labels */
} builtin[LABEL_CUSTOM] = {
    [LABEL_SERVER] = {"server", "server"},
    [LABEL_ROUTE] = {"route", "route"},
    [LABEL_METHOD] = {"method", "method"},
    [LABEL_UPSTREAM] = {"upstream", "upstream"},
    [LABEL_PEER] = {"peer", "peer"},
    [LABEL_CLOUD] = {"cloud", "cloud_provider"},
    [LABEL_REGION] = {"region", "cloud_region"},
    [LABEL_ZONE] = {"zone", "cloud_availability_zone"},
};

static bool legal_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return len > 0 && name[len] == '\0' && len < TOCSIN_TEXT_MAX &&
           (name[0] < '0' || name[0] > '9');
}

/* Names that alerts give a meaning of their own. */
static bool reserved_name(const char *name)
{
    for (unsigned i = 0; i < LABEL_CUSTOM; i++) {
        if (strcmp(name, builtin[i].name) == 0) {
            return true;
        }
    }
    return strcmp(name, "alertname") == 0 || strcmp(name, "severity") == 0;
}

static int find_label(struct label_sets *sets, const char *name,
                      unsigned *label, struct err *err)
{
    for (unsigned i = 0; i < LABEL_CUSTOM; i++) {
        if (strcmp(name, builtin[i].option) == 0) {
            *label = i;
            return 0;
        }
    }
    for (unsigned i = LABEL_CUSTOM; i < sets->label_count; i++) {
        if (strcmp(name, sets->custom[i]) == 0) {
            *label = i;
            return 0;
        }
    }
    if (!legal_name(name) || reserved_name(name)) {
        return err_set(err, ERR_USAGE,
                       "\"%s\" cannot be a label of series: expected server, "
                       "route, method, upstream, peer, cloud, region, zone or "
                       "the name of a tocsin_label",
                       name);
    }
    if (sets->label_count == LABELS_MAX) {
        return err_set(err, ERR_LIMIT, "series by more than %d labels in all",
                       LABELS_MAX);
    }
    sets->custom[sets->label_count] = strdup(name);
    if (sets->custom[sets->label_count] == NULL) {
        return err_set(err, ERR_SYSTEM, "out of memory");
    }
    *label = sets->label_count++;
    return 0;
}

static const char *name_of(const struct label_sets *sets, unsigned label)
{
    return label < LABEL_CUSTOM ? builtin[label].name : sets->custom[label];
}

static bool comes_before(const struct label_sets *sets, unsigned a, unsigned b)
{
    if (a < LABEL_CUSTOM || b < LABEL_CUSTOM) {
        return a < b;
    }
    return strcmp(sets->custom[a], sets->custom[b]) < 0;
}

static void insert_label(const struct label_sets *sets, struct label_set *set,
                         unsigned label)
{
    unsigned at = set->count++;

    for (; at > 0 && comes_before(sets, label, set->labels[at - 1]); at--) {
        set->labels[at] = set->labels[at - 1];
    }
    set->labels[at] = (uint8_t)label;
    set->mask |= BIT(label);
}

/* Which stream a set counts. */
static int classify(struct label_set *set, struct err *err)
{
    if ((set->mask & BITS_ATTEMPT) != 0) {
        if ((set->mask & BIT(LABEL_METHOD)) != 0) {
            return err_set(err, ERR_USAGE,
                           "series by method and upstream or peer: attempts "
                           "at upstreams do not tell a method");
        }
        set->of_requests = false;
    } else {
        set->of_requests = set->mask == 0 || (set->mask & ~BITS_CLOUD) != 0;
    }
    set->of_beats = !set->of_requests && (set->mask & ~BITS_BEAT) == 0;
    return 0;
}

static int compile_set(struct label_sets *sets, const char *const *names,
                       unsigned count, struct err *err)
{
    struct label_set *set = &sets->sets[sets->count];
    unsigned label = 0;

    for (unsigned i = 0; i < count; i++) {
        if (find_label(sets, names[i], &label, err) != 0) {
            return -1;
        }
        if ((set->mask & BIT(label)) != 0) {
            return err_set(err, ERR_USAGE, "series by \"%s\" twice in one set",
                           names[i]);
        }
        insert_label(sets, set, label);
    }
    if (classify(set, err) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < sets->count; i++) {
        if (sets->sets[i].mask == set->mask) {
            return err_set(err, ERR_USAGE,
                           "series by the same labels twice (sets %u and %u)",
                           i + 1, sets->count + 1);
        }
    }
    if (set->of_requests) {
        sets->request_labels |= set->mask;
    } else {
        sets->attempt_labels |= set->mask;
    }
    sets->count++;
    return 0;
}

int label_sets_init(struct label_sets *sets,
                    const struct series_options *options, struct err *err)
{
    memset(sets, 0, sizeof(*sets));
    sets->label_count = LABEL_CUSTOM;
    if (options->set_count == 0 || options->set_count > SERIES_SETS_MAX) {
        return err_set(err, ERR_USAGE,
                       "series by %u label sets: expected 1 to %d",
                       options->set_count, SERIES_SETS_MAX);
    }
    for (unsigned i = 0; i < options->set_count; i++) {
        if (options->set_sizes[i] > SERIES_SET_LABELS_MAX) {
            return err_set(err, ERR_USAGE,
                           "a label set of %u labels: expected at most %d",
                           options->set_sizes[i], SERIES_SET_LABELS_MAX);
        }
        if (compile_set(sets, options->sets[i], options->set_sizes[i], err) !=
            0) {
            return -1;
        }
    }
    return 0;
}

void label_sets_release(struct label_sets *sets)
{
    for (unsigned i = 0; i < LABELS_MAX; i++) {
        free(sets->custom[i]);
    }
    memset(sets, 0, sizeof(*sets));
}

static void custom_values(const struct label_sets *sets, uint32_t mask,
                          struct tocsin_span pairs, struct label_values *values)
{
    struct tocsin_span name, value;
    size_t used = 0;

    while (tocsin_pairs_next(&pairs, &name, &value)) {
        for (unsigned i = LABEL_CUSTOM; i < sets->label_count; i++) {
            if ((mask & BIT(i)) == 0 || values->of[i].len != 0 ||
                value.len > sizeof(values->decoded) - used ||
                !tocsin_span_eq(name, tocsin_span_str(sets->custom[i]))) {
                continue;
            }
            values->of[i].data = values->decoded + used;
            values->of[i].len =
                tocsin_pct_decode(values->decoded + used, value);
            used += values->of[i].len;
            break;
        }
    }
}

void label_values_of(const struct label_sets *sets, uint32_t mask,
                     const struct tocsin_event *ev, struct label_values *values)
{
    const struct tocsin_span of[LABEL_CUSTOM] = {
        [LABEL_SERVER] = ev->server, [LABEL_ROUTE] = ev->route,
        [LABEL_METHOD] = ev->method, [LABEL_UPSTREAM] = ev->upstream,
        [LABEL_PEER] = ev->peer,     [LABEL_CLOUD] = ev->cloud,
        [LABEL_REGION] = ev->region, [LABEL_ZONE] = ev->zone,
    };

    for (unsigned i = 0; i < sets->label_count; i++) {
        values->of[i] = i < LABEL_CUSTOM && (mask & BIT(i)) != 0
                            ? of[i]
                            : tocsin_span_of("", 0);
    }
    if ((mask >> LABEL_CUSTOM) != 0) {
        custom_values(sets, mask, ev->labels, values);
    }
}

static enum scope scope_of(uint32_t present, bool of_requests)
{
    if (of_requests) {
        if ((present & ~(BITS_CLOUD | BIT(LABEL_SERVER))) != 0) {
            return SCOPE_ROUTE;
        }
        if ((present & BIT(LABEL_SERVER)) != 0) {
            return present == BIT(LABEL_SERVER) ? SCOPE_SERVER : SCOPE_ROUTE;
        }
    } else if ((present & BITS_ATTEMPT) != 0) {
        return (present & BIT(LABEL_PEER)) != 0 ? SCOPE_PEER : SCOPE_UPSTREAM;
    } else if ((present & ~BITS_CLOUD) != 0) {
        return SCOPE_ROUTE;
    }
    if ((present & BIT(LABEL_ZONE)) != 0) {
        return SCOPE_ZONE;
    }
    if ((present & BIT(LABEL_REGION)) != 0) {
        return SCOPE_REGION;
    }
    return present != 0 ? SCOPE_CLOUD : SCOPE_TOTAL;
}

bool label_set_text(const struct label_sets *sets, const struct label_set *set,
                    const struct label_values *values, struct tocsin_out *text,
                    enum scope *scope)
{
    uint32_t present = 0;

    for (unsigned i = 0; i < set->count; i++) {
        unsigned label = set->labels[i];

        if (values->of[label].len == 0) {
            continue;
        }
        if (present != 0) {
            tocsin_out_char(text, ',');
        }
        tocsin_out_span(text, tocsin_span_str(name_of(sets, label)));
        tocsin_out_char(text, '=');
        tocsin_pct_encode(text, values->of[label]);
        present |= BIT(label);
    }
    *scope = scope_of(present, set->of_requests);
    return present != 0 || set->count == 0;
}
