/*
 * The subcommands of tocsin. Each reads its own arguments (argv[0] is its
 * name) and returns the exit code: 0 well, 1 failed, 2 usage.
 */
#ifndef TOCSIN_COMMAND_H
#define TOCSIN_COMMAND_H

#include <stdbool.h>

#include "../base/redis.h"
#include "../config/config.h"

enum exit_code { EXIT_WELL, EXIT_FAILED, EXIT_USAGE };

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_backtest(int argc, char **argv);
int command_status(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_alerts(int argc, char **argv);
int command_silence(int argc, char **argv);
int command_model(int argc, char **argv);
int command_train(int argc, char **argv);
int command_version(int argc, char **argv);

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

extern const struct command commands[];
extern const unsigned command_count;

/* ------------------------------------------------ what several of them need */

/* An option that takes no value ("json" for --json), or one. */
struct command_option {
    const char *name;
    const char *value; /* what --help calls it; NULL if it takes none */
    const char *help;
    bool *flag;
    const char **text;
};

/*
 * Reads -c FILE, --help and the given options; `rest` names what may follow
 * them ("" if nothing may). On --help prints usage and the options. Returns
 * -1 to go on, or the exit code to end with. *first is the index of the first
 * argument that is no option.
 */
int command_options(int argc, char **argv, const char *summary,
                    const char *rest, const struct command_option *options,
                    unsigned count, const char **config_path, int *first);

/* The file to read: that of -c, or the one that tocsin reads by default where
 * it exists, or NULL for the defaults. */
const char *command_config_path(const char *path);

/* Reads it. Says on standard error what is wrong. */
int command_config(const char *path, struct config *config);

struct redis_options command_redis(const struct config *config);

/* Reads it and connects to its Redis, for the subcommand of that name. NULL
 * where one of both failed, which has been said. Free with redisFree(). */
struct redisContext *command_connect(const char *name, const char *path,
                                     struct config *config);

/* "tocsin NAME: message" on standard error. */
int command_fail(const char *name, const struct err *err);

/* Text from a stream for a terminal: bytes that could command it become '?'.
 * Length is bounded by printf's %.*s rules of the caller. */
void command_print_text(FILE *to, const char *data, size_t len);

#endif
