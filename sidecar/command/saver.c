/*
 * The writing thread. One buffer goes to and fro: the loop fills it while the
 * thread is idle, the thread writes it while the loop keeps away. A disk that
 * hangs therefore costs checkpoints, never ticks.
 */
#include "saver.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../base/checkpoint.h"
#include "../base/log.h"

#define ROOM "checkpoint"

struct saver {
    char *path;
    struct buf buf;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool writing, stop; /* under the lock */
    int rc;
    struct err err;
    uint64_t due; /* the loop's own; 0: before the first */
};

static void *saver_main(void *ctx)
{
    struct saver *saver = ctx;
    struct err err = {.code = ERR_NONE};
    int rc;

    pthread_mutex_lock(&saver->lock);
    for (;;) {
        while (!saver->writing && !saver->stop) {
            pthread_cond_wait(&saver->changed, &saver->lock);
        }
        if (!saver->writing) {
            break;
        }
        pthread_mutex_unlock(&saver->lock);
        rc = checkpoint_write(saver->path, &saver->buf, &err);
        if (rc != 0) {
            log_error(ROOM, "not written: %s", err.message);
        } else {
            log_debug(ROOM, "%zu bytes to %s", saver->buf.len, saver->path);
        }
        pthread_mutex_lock(&saver->lock);
        saver->rc = rc;
        saver->err = err;
        saver->writing = false;
        pthread_cond_broadcast(&saver->changed);
    }
    pthread_mutex_unlock(&saver->lock);
    return NULL;
}

struct saver *saver_create(const char *path, struct err *err)
{
    struct saver *saver = calloc(1, sizeof(*saver));

    if (saver == NULL || (saver->path = strdup(path)) == NULL) {
        free(saver);
        err_set(err, ERR_LIMIT, "checkpoint: out of memory");
        return NULL;
    }
    buf_init(&saver->buf, CHECKPOINT_SIZE_MAX);
    pthread_mutex_init(&saver->lock, NULL);
    pthread_cond_init(&saver->changed, NULL);
    if (pthread_create(&saver->thread, NULL, saver_main, saver) != 0) {
        err_set(err, ERR_SYSTEM, "checkpoint: no thread could be started");
        free(saver->path);
        free(saver);
        return NULL;
    }
    return saver;
}

void saver_destroy(struct saver *saver)
{
    if (saver == NULL) {
        return;
    }
    pthread_mutex_lock(&saver->lock);
    saver->stop = true;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
    pthread_join(saver->thread, NULL);
    pthread_cond_destroy(&saver->changed);
    pthread_mutex_destroy(&saver->lock);
    buf_release(&saver->buf);
    free(saver->path);
    free(saver);
}

struct buf *saver_begin(struct saver *saver)
{
    bool writing;

    pthread_mutex_lock(&saver->lock);
    writing = saver->writing;
    pthread_mutex_unlock(&saver->lock);
    return writing ? NULL : &saver->buf;
}

struct buf *saver_due(struct saver *saver, uint64_t now, uint64_t every)
{
    struct buf *to = NULL;

    if (now < saver->due) {
        return NULL;
    }
    if (saver->due == 0 || (to = saver_begin(saver)) != NULL) {
        saver->due = now + every;
    }
    return to;
}

void saver_write(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    saver->writing = true;
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
}

int saver_wait(struct saver *saver, struct err *err)
{
    int rc;

    pthread_mutex_lock(&saver->lock);
    while (saver->writing) {
        pthread_cond_wait(&saver->changed, &saver->lock);
    }
    rc = saver->rc;
    if (rc != 0 && err != NULL) {
        *err = saver->err;
    }
    pthread_mutex_unlock(&saver->lock);
    return rc;
}
