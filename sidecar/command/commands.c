/* The table of subcommands, in the order of `tocsin --help`. */
#include "command.h"

const struct command commands[] = {
    {"run", command_run, "the sidecar: follows the streams, scores, alerts"},
    {"check", command_check, "checks the configuration and the model"},
    {"backtest", command_backtest,
     "history: files, recordings, what Redis holds"},
    {"status", command_status, "what the running sidecar is doing"},
    {"tail", command_tail, "follows events or alerts"},
    {"alerts", command_alerts, "lists the alerts that stand"},
    {"silence", command_silence, "makes, lists and ends silences"},
    {"model", command_model, "returns to the model that served before"},
    {"train", command_train, "trains a model on a recording, ahead of time"},
    {"version", command_version, "version and what it was built with"},
};

const unsigned command_count = sizeof(commands) / sizeof(commands[0]);
