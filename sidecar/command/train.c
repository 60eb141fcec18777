/*
 * tocsin train: what `tocsin run` learns while it runs, ahead of time: of a
 * recording, or of what Redis holds, by the very learner and with the very
 * comparison on windows held back. What it writes is put in place by hand
 * (model.path), so nothing changes under a running sidecar.
 */
#include <stdio.h>

#include "../base/log.h"
#include "command.h"
#include "replay.h"

static const char summary[] =
    "Trains the model on a recording (tail --record), or on all that Redis\n"
    "holds now: a round after every model.train_every of the events' own\n"
    "time, as in tocsin run. Says what came of each, and writes the model\n"
    "that was best, for model.path. Where no challenger was better than the\n"
    "model it began with, nothing is written, and it fails.";

int command_train(int argc, char **argv)
{
    struct replay_options events = {.quiet = false};
    const char *config_path;
    bool redis = false;
    const struct command_option options[] = {
        {"out", "FILE", "where to write the model (needed)", NULL, &events.out},
        {"replay", "FILE", "train on what tail --record wrote", NULL,
         &events.recording},
        {"redis", NULL, "train on what Redis holds now", &redis, NULL},
        {"model", "FILE", "begin with another one than model.path", NULL,
         &events.model},
        {"quiet", NULL, "print warnings and errors alone", &events.quiet, NULL},
    };
    struct config config;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv, summary, "", options,
                         sizeof(options) / sizeof(options[0]), &config_path,
                         &first);
    if (rc >= 0) {
        return rc;
    }
    if (events.out == NULL || redis == (events.recording != NULL)) {
        fprintf(stderr, "tocsin train: --out FILE is needed, and --replay FILE "
                        "or --redis; see tocsin train --help\n");
        return EXIT_USAGE;
    }
    if (command_config(config_path, &config) != 0) {
        return EXIT_FAILED;
    }
    log_set_level(events.quiet ? LOG_WARN : LOG_NOTICE);
    rc = replay(&config, &events, &err);
    return rc == 0 ? EXIT_WELL : command_fail(argv[0], &err);
}
