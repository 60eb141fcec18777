/*
 * tocsin run: the sidecar's loop.
 *
 *     poll the commands -> silences begin and end, models are rolled back
 *     poll the pipeline -> alerts to the outbox and, not silenced, to people
 *     every second      -> the board, systemd's watchdog, its status line
 *     every state.every -> a checkpoint
 *     SIGHUP            -> the configuration again
 *     SIGTERM, SIGINT   -> drain, a last checkpoint, the end
 *
 * Order matters in two places. The outbox connects, and reads what the alert
 * stream holds already, before the first poll: a replay after a crash would
 * otherwise tell its alerts twice. And a checkpoint holds the outbox as well:
 * an alert is either written, or waiting in it; and who was told of what.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "../alert/hush.h"
#include "../alert/notify.h"
#include "../base/checkpoint.h"
#include "../base/clock.h"
#include "../base/file.h"
#include "../base/log.h"
#include "command.h"
#include "orders.h"
#include "outbox.h"
#include "pipeline.h"
#include "receivers.h"
#include "saver.h"

#define ROOM "run"

#define POLL_MS 100
#define BOARD_EVERY CLOCK_SECOND
#define OUTBOX_MAX 10000u
#define DRAIN_MAX (5 * CLOCK_SECOND)

struct run {
    const char *config_path;
    struct config config; /* that we run by */
    struct config latest; /* that was read last */
    char checkpoint[PATH_MAX];
    struct pipeline *pipeline;
    struct outbox *outbox;
    struct notify *notify;
    struct hush *hush;
    struct orders *orders;
    struct saver *saver;
    uint64_t board_at;
    bool restored; /* from a checkpoint: it knows who was told of what */
    bool intake_down, outbox_down, orders_down; /* said once, not every try */
};

static volatile sig_atomic_t got_end, got_reload;

static void on_signal(int number)
{
    if (number == SIGHUP) {
        got_reload = 1;
    } else {
        got_end = number;
    }
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* What the run before this one has written after its checkpoint comes again
 * and is no news to the stream. People may not have been told of it yet, so
 * they are told, if need be twice; after a cold start, old stories are not. */
static void on_alert(void *ctx, const struct tocsin_alert *alert)
{
    struct run *run = ctx;
    bool silenced = hush_alert(run->hush, alert, clock_now());
    bool news = outbox_alert(run->outbox, alert);

    if (news) {
        log_notice("alert", "%.*s %.*s %.*s {%.*s}: %.*s",
                   (int)alert->state.len, alert->state.data,
                   (int)alert->severity.len, alert->severity.data,
                   (int)alert->alertname.len, alert->alertname.data,
                   (int)alert->labels.len, alert->labels.data,
                   (int)alert->summary.len, alert->summary.data);
    }
    if (news || run->restored) {
        notify_alert(run->notify, alert, silenced);
    }
}

static void on_silence(void *ctx, struct tocsin_span alert, bool silenced)
{
    struct run *run = ctx;

    log_info("alert", "%.*s is %s", (int)alert.len, alert.data,
             silenced ? "silenced" : "not silenced any more");
    notify_silence(run->notify, alert, silenced);
}

static int do_command(struct run *run, const struct tocsin_command *command,
                      struct err *err)
{
    if (tocsin_span_eq(command->what, TOCSIN_SPAN("rollback"))) {
        return pipeline_leave(run->pipeline, command->id, err);
    }
    return hush_command(run->hush, command, clock_now(), err);
}

static void on_command(void *ctx, const struct tocsin_command *command)
{
    struct run *run = ctx;
    struct err err;

    if (do_command(run, command, &err) != 0) {
        log_warn("command", "%.*s of %.*s: %s", (int)command->what.len,
                 command->what.data, (int)command->id.len, command->id.data,
                 err.message);
        return;
    }
    log_notice("command", "%.*s %.*s by %.*s (%.*s %.*s): %.*s",
               (int)command->what.len, command->what.data, (int)command->id.len,
               command->id.data, (int)command->author.len, command->author.data,
               (int)command->user.len, command->user.data,
               (int)command->address.len, command->address.data,
               (int)command->matchers.len, command->matchers.data);
    run->board_at = 0; /* whoever did it looks for it now */
}

/* ----------------------------------------------------------------- telling */

/* Whoever did not get at Redis may have waited for it for two time-outs and
 * more: the next one who tries has systemd's patience to himself. */
static void waited(void)
{
    sd_notify(0, "WATCHDOG=1");
}

static void flush(struct run *run)
{
    struct err err;

    if (outbox_flush(run->outbox, &err) != 0) {
        waited();
        if (!run->outbox_down) {
            log_warn(ROOM, "alerts wait: %s", err.message);
        }
        run->outbox_down = true;
    } else if (run->outbox_down && outbox_stats(run->outbox)->connected) {
        log_notice(ROOM, "alerts are written again");
        run->outbox_down = false;
    }
}

static void tell_systemd(struct run *run)
{
    const struct intake_stats *in = pipeline_intake(run->pipeline);
    uint64_t lag = intake_lag(in);

    sd_notifyf(
        0,
        "WATCHDOG=1\nSTATUS=%s, %llu events, %u series, lag %llu.%03llu "
        "s, %u alerts waiting",
        in->connected ? "following" : "Redis is away",
        (unsigned long long)in->events, pipeline_series(run->pipeline)->series,
        (unsigned long long)(lag / 1000), (unsigned long long)(lag % 1000),
        outbox_stats(run->outbox)->waiting);
}

static void each_second(struct run *run)
{
    struct tocsin_board board;

    hush_tick(run->hush, clock_now());
    pipeline_board(run->pipeline, &board);
    hush_board(run->hush, &board);
    outbox_board(run->outbox, &board);
    tell_systemd(run);
}

/* Nobody else need wait with us. */
static bool on_wait(void *ctx)
{
    each_second(ctx);
    flush(ctx);
    return !got_end;
}

/* --------------------------------------------------------------- beginning */

static int make_pipeline(struct run *run, struct err *err)
{
    struct pipeline_sink sink = {run, on_alert, on_wait};

    run->pipeline = pipeline_create(&run->config, sink, err);
    return run->pipeline == NULL ? -1 : 0;
}

static int make_outbox(struct run *run, struct err *err)
{
    struct outbox_options options = {
        .redis = command_redis(&run->config),
        .prefix = run->config.redis_prefix,
        .max = OUTBOX_MAX,
    };

    run->outbox = outbox_create(&options, err);
    return run->outbox == NULL ? -1 : 0;
}

static int make_hush(struct run *run, struct err *err)
{
    struct orders_options options = {
        .redis = command_redis(&run->config),
        .prefix = run->config.redis_prefix,
    };

    run->hush = hush_create((struct hush_sink){run, on_silence}, err);
    run->orders =
        orders_create(&options, (struct orders_sink){run, on_command}, err);
    return run->hush == NULL || run->orders == NULL ? -1 : 0;
}

/* Better to tell somebody twice than to begin anew with everything. */
static void restore_notify(struct run *run, const char *data, size_t len)
{
    struct cursor from;
    struct err err;

    if (checkpoint_find(data, len, "notify", &from, &err) != 0 ||
        notify_restore(run->notify, &from, &err) != 0) {
        log_warn(ROOM, "who was told of which alerts is not known: %s",
                 err.message);
    }
}

/* A checkpoint without them, or with bad ones, is no reason to forget all
 * else: the stream of commands has them. */
static void restore_silences(struct run *run, const char *data, size_t len)
{
    struct cursor from;
    struct err err;

    if (checkpoint_find(data, len, "silences", &from, &err) != 0 ||
        hush_restore(run->hush, &from, &err) != 0 ||
        orders_restore(run->orders, &from, &err) != 0) {
        log_warn(ROOM, "silences are read from their stream: %s", err.message);
    }
}

static int restore_from(struct run *run, const char *data, size_t len,
                        struct err *err)
{
    struct cursor from;

    if (checkpoint_check(data, len, err) != 0 ||
        pipeline_restore(run->pipeline, data, len, err) != 0 ||
        checkpoint_find(data, len, "outbox", &from, err) != 0 ||
        outbox_restore(run->outbox, &from, err) != 0) {
        return -1;
    }
    restore_notify(run, data, len);
    restore_silences(run, data, len);
    run->restored = true;
    return 0;
}

/* 1 if the file was restored from, 0 if there is none or it is no good (which
 * has been said; the pipeline is cold again), -1 and *err to give up. */
static int try_restore(struct run *run, const char *path, struct err *err)
{
    struct buf buf;
    int rc;

    buf_init(&buf, CHECKPOINT_SIZE_MAX);
    rc = file_read(path, &buf, err);
    if (rc != 0 && err->code == ERR_SYSTEM && errno == ENOENT) {
        buf_release(&buf);
        return 0;
    }
    if (rc == 0) {
        rc = restore_from(run, buf.data != NULL ? buf.data : "", buf.len, err);
    }
    buf_release(&buf);
    if (rc == 0) {
        log_notice(ROOM, "goes on from the checkpoint %s", path);
        return 1;
    }
    log_error(ROOM, "%s is of no use: %s", path, err->message);
    pipeline_destroy(run->pipeline);
    run->pipeline = NULL;
    return make_pipeline(run, err);
}

static int restore(struct run *run, struct err *err)
{
    char old[PATH_MAX + 8];
    int rc = try_restore(run, run->checkpoint, err);

    if (rc == 0) {
        snprintf(old, sizeof(old), "%s.old", run->checkpoint);
        rc = try_restore(run, old, err);
    }
    if (rc == 0) {
        log_notice(
            ROOM, "cold start: reads %llu s of history",
            (unsigned long long)(run->config.intake_backlog / CLOCK_SECOND));
    }
    return rc < 0 ? -1 : 0;
}

static int prepare_state(struct run *run, struct err *err)
{
    const char *dir = run->config.state_dir;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, "state.dir %s", dir);
    }
    snprintf(run->checkpoint, sizeof(run->checkpoint), "%s/checkpoint", dir);
    return 0;
}

static int begin(struct run *run, struct err *err)
{
    run->latest = run->config;
    log_set_level(run->config.log_level);
    run->notify = receivers_create(&run->config, err);
    if (run->notify == NULL || prepare_state(run, err) != 0 ||
        make_outbox(run, err) != 0 || make_hush(run, err) != 0 ||
        make_pipeline(run, err) != 0 || restore(run, err) != 0) {
        return -1;
    }
    run->saver = saver_create(run->checkpoint, err);
    return run->saver == NULL ? -1 : 0;
}

/* ----------------------------------------------------------------- running */

static int save(struct run *run, struct buf *to, struct err *err)
{
    uint64_t started = clock_monotonic();
    size_t at;

    checkpoint_start(to);
    pipeline_save(run->pipeline, to);
    at = checkpoint_begin(to, "outbox");
    outbox_save(run->outbox, to);
    checkpoint_end(to, at);
    at = checkpoint_begin(to, "notify");
    notify_save(run->notify, to);
    checkpoint_end(to, at);
    at = checkpoint_begin(to, "silences");
    hush_save(run->hush, to);
    orders_save(run->orders, to);
    checkpoint_end(to, at);
    if (checkpoint_finish(to, err) != 0) {
        return -1;
    }
    log_debug(ROOM, "checkpoint of %zu bytes made in %llu us", to->len,
              (unsigned long long)(clock_monotonic() - started));
    saver_write(run->saver);
    return 0;
}

/* One that cannot be made is made anew at its next time, not every round. */
static void save_if_due(struct run *run, uint64_t now)
{
    struct buf *to = saver_due(run->saver, now, run->latest.state_every);
    struct err err;

    if (to != NULL && save(run, to, &err) != 0) {
        log_error(ROOM, "%s", err.message);
    }
}

static void say_differs(void *ctx, const char *path)
{
    (void)ctx;
    if (strcmp(path, "log.level") == 0 || strcmp(path, "state.every") == 0 ||
        strncmp(path, "notify.", 7) == 0) {
        log_notice(ROOM, "reload: %s has changed", path);
    } else {
        log_warn(ROOM, "reload: %s has changed; that needs a restart", path);
    }
}

/* The receivers, the log's level and the interval of checkpoints change live;
 * what defines series, ticks and the model needs a restart, and is said. */
static void reload(struct run *run)
{
    struct config config;
    struct notify *notify;
    struct err err;

    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
               (unsigned long long)clock_monotonic());
    if (config_load(run->config_path, &config, &err) != 0 ||
        (notify = receivers_create(&config, &err)) == NULL) {
        log_error(ROOM, "reload: the old configuration stays: %s", err.message);
        sd_notify(0, "READY=1");
        return;
    }
    config_compare(&run->latest, &config, say_differs, NULL);
    run->latest = config;
    receivers_change(&run->notify, notify);
    log_set_level(config.log_level);
    log_notice(ROOM, "reloaded");
    sd_notify(0, "READY=1");
}

static int poll_once(struct run *run, int timeout_ms, struct err *err)
{
    struct err lost;
    int got = pipeline_poll(run->pipeline, timeout_ms, &lost);

    if (got < 0) {
        waited();
        if (!run->intake_down) {
            log_warn(ROOM, "no events: %s", lost.message);
        }
        run->intake_down = true;
    } else if (got >= 0 && pipeline_intake(run->pipeline)->connected) {
        run->intake_down = false;
    }
    if (pipeline_failed(run->pipeline, err) != 0) {
        return -1;
    }
    return got < 0 ? 0 : got;
}

static void poll_orders(struct run *run)
{
    struct err err;
    int got;

    while ((got = orders_poll(run->orders, &err)) > 0) {
    }
    if (got < 0) {
        waited();
        if (!run->orders_down) {
            log_warn(ROOM, "no commands: %s", err.message);
        }
    }
    run->orders_down = !orders_connected(run->orders);
}

static void each_round(struct run *run)
{
    uint64_t now = clock_monotonic();

    if (now >= run->board_at) {
        run->board_at = now + BOARD_EVERY;
        each_second(run);
    }
    flush(run);
    save_if_due(run, now);
    if (got_reload) {
        got_reload = 0;
        reload(run);
    }
}

static int loop(struct run *run, struct err *err)
{
    flush(run);
    sd_notify(0, "READY=1");
    log_notice(ROOM, "ready");
    while (!got_end) {
        if (!outbox_ready(run->outbox)) {
            poll(NULL, 0, POLL_MS);
            each_round(run);
            continue;
        }
        poll_orders(run);
        if (poll_once(run, POLL_MS, err) < 0) {
            return -1;
        }
        each_round(run);
    }
    return 0;
}

/* Events that have not been read stay in Redis until we are back; what has
 * been read is judged already. So it is alerts that are drained here. */
static int finish(struct run *run, struct err *err)
{
    uint64_t until = clock_monotonic() + DRAIN_MAX;

    log_notice(ROOM, "ends on %s", strsignal(got_end));
    sd_notify(0, "STOPPING=1");
    each_second(run);
    flush(run);
    while (outbox_stats(run->outbox)->waiting != 0 &&
           clock_monotonic() < until) {
        poll(NULL, 0, POLL_MS / 2);
        flush(run);
    }
    notify_finish(run->notify); /* the checkpoint says who knows */
    if (saver_wait(run->saver, NULL) != 0) {
        log_warn(ROOM, "the checkpoint before this one was not written");
    }
    if (save(run, saver_begin(run->saver), err) != 0) {
        return -1;
    }
    return saver_wait(run->saver, err);
}

static void release(struct run *run)
{
    saver_destroy(run->saver);
    pipeline_destroy(run->pipeline);
    outbox_destroy(run->outbox);
    orders_destroy(run->orders);
    hush_destroy(run->hush);
    notify_destroy(run->notify);
}

int command_run(int argc, char **argv)
{
    static const char summary[] =
        "Follows the event streams, learns what is normal, tells what is "
        "not.\nSIGHUP reads the configuration again, SIGTERM ends it.";
    struct run *run = calloc(1, sizeof(*run));
    struct err err = {.code = ERR_NONE};
    int first, rc;

    if (run == NULL) {
        return EXIT_FAILED;
    }
    rc = command_options(argc, argv, summary, "", NULL, 0, &run->config_path,
                         &first);
    if (rc >= 0) {
        if (rc == EXIT_WELL) {
            printf("\nKeys of the configuration (and their defaults):\n");
            config_print_help(stdout);
        }
        free(run);
        return rc;
    }
    if (command_config(run->config_path, &run->config) != 0) {
        free(run);
        return EXIT_FAILED;
    }
    run->config_path = command_config_path(run->config_path);
    catch_signals();
    rc = begin(run, &err);
    if (rc == 0) {
        rc = loop(run, &err);
    }
    if (rc == 0) {
        rc = finish(run, &err);
    }
    if (rc != 0) {
        log_error(ROOM, "%s", err.message);
    }
    release(run);
    free(run);
    return rc == 0 ? EXIT_WELL : EXIT_FAILED;
}
