/*
 * Models change between two ticks, never within one: every row of a tick is
 * judged by the same model. A roll-back waits for nothing: what a round that
 * runs then makes of the model that was left is discarded when it ends.
 */
#include "serving.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../model/versions.h"

#define ROOM "model"
#define ROUNDS_MAX (64u << 10)

static void recall_rounds(struct serving *serving)
{
    struct err err;

    buf_clear(&serving->rounds);
    if (serving->dir != NULL &&
        versions_rounds(serving->dir, &serving->rounds, &err) != 0) {
        log_warn(ROOM, "history: %s", err.message);
    }
}

void serving_init(struct serving *serving, const char *dir, const char *path)
{
    *serving = (struct serving){
        .dir = dir,
        .path = path,
        .since = clock_now(),
    };
    buf_init(&serving->rounds, ROUNDS_MAX);
    recall_rounds(serving);
}

void serving_release(struct serving *serving)
{
    model_free(serving->winner);
    buf_release(&serving->rounds);
}

static struct model *load_from(const char *path, struct err *err)
{
    struct model *model = model_load(path, err);

    if (model != NULL) {
        log_notice(ROOM, "model %s from %s", model_describe(model)->version,
                   path);
    }
    return model;
}

/* A version, or the newest before it that can be loaded: a file that is damaged
 * or others may write leaves those before it good. NULL: none of them. */
static struct model *load_version(const struct serving *serving,
                                  char version[VERSIONS_NAME],
                                  const char *which)
{
    char path[PATH_MAX], before[VERSIONS_NAME];
    struct model *model;
    struct err err;

    for (unsigned i = 0; i < VERSIONS_MAX; i++) {
        model = versions_path(serving->dir, version, path, &err) == 0
                    ? load_from(path, &err)
                    : NULL;
        if (model != NULL) {
            return model;
        }
        log_error(ROOM, "%s is left out: %s", which, err.message);
        if (versions_before(serving->dir, version, before, &err) != 0 ||
            !versions_kept(serving->dir, before)) {
            break;
        }
        which = "the one before it";
        memcpy(version, before, sizeof(before));
    }
    return NULL;
}

struct model *serving_load(const struct serving *serving, struct err *err)
{
    static const char which[] = "the model trained last";
    char version[VERSIONS_NAME];
    struct model *model = NULL;
    int rc =
        serving->dir != NULL ? versions_current(serving->dir, version, err) : 1;

    if (rc == 0) {
        model = load_version(serving, version, which);
    } else if (rc < 0) {
        log_error(ROOM, "%s is left out: %s", which, err->message);
    }
    return model != NULL ? model : load_from(serving->path, err);
}

int serving_leave(struct serving *serving, struct scorer *scorer,
                  struct tocsin_span from, struct err *err)
{
    const char *now = model_describe(scorer_model(scorer))->version;
    char before[VERSIONS_NAME];

    if (!tocsin_span_eq(from, tocsin_span_str(now))) {
        return err_set(err, ERR_USAGE, "it is %s that serves, not %.*s", now,
                       (int)from.len, from.data);
    }
    if (serving->dir == NULL) {
        return err_set(err, ERR_USAGE, "no models are kept");
    }
    if (versions_before(serving->dir, now, before, err) != 0) {
        return -1;
    }
    snprintf(serving->leaving, sizeof(serving->leaving), "%s", now);
    return 0;
}

static int swap(struct serving *serving, struct scorer *scorer,
                struct model *model, uint64_t end, struct err *err)
{
    if (scorer_swap(scorer, model, err) != 0) {
        model_free(model);
        return -1;
    }
    serving->since = end;
    return 0;
}

/* What serves is what a restart loads, and what coming rounds start from. */
static void stay(const struct serving *serving, struct scorer *scorer,
                 struct learner *learner)
{
    const struct model *now = scorer_model(scorer);
    struct err err;

    if ((serving->dir != NULL &&
         versions_use(serving->dir, model_describe(now)->version, &err) != 0) ||
        (learner != NULL && learner_idle(learner) &&
         learner_champion(learner, now, &err) != 0)) {
        log_error(ROOM, "%s serves on, but: %s", model_describe(now)->version,
                  err.message);
    }
}

void serving_save(const struct serving *serving, struct scorer *scorer,
                  struct buf *to)
{
    const char *version = model_describe(scorer_model(scorer))->version;

    buf_put_u32(to, serving->discard);
    buf_put_u32(to, (uint32_t)strlen(version));
    buf_puts(to, version);
}

/* That very version, of those trained here or of model.path. */
static struct model *load_named(const struct serving *serving,
                                const char *version, struct err *err)
{
    bool kept = serving->dir != NULL && versions_kept(serving->dir, version);
    char path[PATH_MAX];
    struct model *model;

    if (kept && versions_path(serving->dir, version, path, err) != 0) {
        return NULL;
    }
    model = load_from(kept ? path : serving->path, err);
    if (model != NULL && strcmp(model_describe(model)->version, version) != 0) {
        model_free(model);
        model = NULL;
        err_set(err, ERR_MODEL, "version %s is not kept", version);
    }
    return model;
}

int serving_restore(struct serving *serving, struct scorer *scorer,
                    struct learner *learner, struct cursor *from,
                    struct err *err)
{
    bool discard = cursor_u32(from) != 0;
    uint32_t len = cursor_u32(from);
    const char *name = cursor_bytes(from, len);
    char version[VERSIONS_NAME];
    struct model *model;

    if (name == NULL || len >= sizeof(version)) {
        return err_set(err, ERR_INPUT, "it names no model");
    }
    snprintf(version, sizeof(version), "%.*s", (int)len, name);
    if (strcmp(version, model_describe(scorer_model(scorer))->version) != 0) {
        model = load_named(serving, version, err);
        if (model == NULL || scorer_swap(scorer, model, err) != 0) {
            model_free(model);
            return -1;
        }
        stay(serving, scorer, learner);
    }
    serving->discard = discard && learner != NULL;
    return 0;
}

static void swap_winner(struct serving *serving, struct scorer *scorer,
                        struct learner *learner, uint64_t end)
{
    struct model *winner = serving->winner;
    struct err err;

    serving->winner = NULL;
    if (winner != NULL && swap(serving, scorer, winner, end, &err) != 0) {
        log_error(ROOM, "the challenger cannot serve: %s", err.message);
        stay(serving, scorer, learner);
    }
}

/* The version before the one to leave, or what serves in its place. */
static struct model *load_before(const struct serving *serving,
                                 char version[VERSIONS_NAME], struct err *err)
{
    struct model *model = NULL;

    if (versions_before(serving->dir, serving->leaving, version, err) != 0) {
        return NULL;
    }
    if (versions_kept(serving->dir, version)) {
        model = load_version(serving, version, "the model before");
    }
    if (model == NULL && (model = load_from(serving->path, err)) != NULL) {
        snprintf(version, VERSIONS_NAME, "%s", model_describe(model)->version);
    }
    return model;
}

/* What a restart loads changes first: where that cannot be written, nothing
 * has changed. */
static int roll_back(struct serving *serving, struct scorer *scorer,
                     struct learner *learner, uint64_t end, struct err *err)
{
    char version[VERSIONS_NAME];
    struct model *model = load_before(serving, version, err);

    if (model == NULL) {
        return -1;
    }
    if (versions_use(serving->dir, version, err) != 0) {
        model_free(model);
        return -1;
    }
    if (swap(serving, scorer, model, end, err) != 0) {
        stay(serving, scorer, NULL);
        return -1;
    }
    serving->discard = learner != NULL && !learner_idle(learner);
    if (learner != NULL && !serving->discard &&
        learner_champion(learner, model, err) != 0) {
        return -1;
    }
    return versions_note(serving->dir, "rolled back", version, serving->leaving,
                         end, err);
}

static void leave(struct serving *serving, struct scorer *scorer,
                  struct learner *learner, uint64_t end)
{
    struct err err;

    if (serving->leaving[0] == '\0') {
        return;
    }
    if (roll_back(serving, scorer, learner, end, &err) != 0) {
        log_error(ROOM, "no roll-back from %s: %s", serving->leaving,
                  err.message);
    } else {
        log_notice(ROOM, "rolled back from %s: %s serves", serving->leaving,
                   model_describe(scorer_model(scorer))->version);
    }
    serving->leaving[0] = '\0';
    recall_rounds(serving);
}

/* The round that ran during a roll-back has ended. */
static void discard(struct serving *serving, struct scorer *scorer,
                    struct learner *learner, uint64_t end)
{
    const struct model *now = scorer_model(scorer);
    const char *version = model_describe(now)->version;
    struct model *winner = serving->winner;
    struct err err = {.code = ERR_NONE};

    if (!serving->discard || !learner_idle(learner)) {
        return;
    }
    serving->discard = false;
    serving->winner = NULL;
    if (learner_champion(learner, now, &err) != 0 ||
        (winner != NULL && (versions_use(serving->dir, version, &err) != 0 ||
                            versions_note(serving->dir, "discarded",
                                          model_describe(winner)->version,
                                          version, end, &err) != 0))) {
        log_error(ROOM, "after the roll-back: %s", err.message);
    }
    model_free(winner);
}

void serving_tick(struct serving *serving, struct scorer *scorer,
                  struct learner *learner, uint64_t end)
{
    uint64_t rounds = learner != NULL ? learner_stats(learner)->rounds : 0;

    discard(serving, scorer, learner, end);
    swap_winner(serving, scorer, learner, end);
    leave(serving, scorer, learner, end);
    if (rounds != serving->rounds_seen) {
        serving->rounds_seen = rounds;
        recall_rounds(serving);
    }
}
