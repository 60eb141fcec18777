/*
 * tocsin check: would `tocsin run` start? Reads the configuration, loads the
 * model, looks at the state directory, and asks Redis if it is told to. It
 * also prints what is generated from the table of keys.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <unistd.h>

#include "../model/model.h"
#include "command.h"

static int check_model(const struct config *config, struct err *err)
{
    struct model *model = model_load(config->model_path, err);
    const struct model_shape *shape;

    if (model == NULL) {
        return err_prefix(err, "model.path");
    }
    shape = model_describe(model);
    printf("model: %s, %u features, %u seasons\n", shape->version,
           shape->feature_count, shape->season_count);
    model_free(model);
    return 0;
}

static int check_state(const struct config *config, struct err *err)
{
    if (access(config->state_dir, R_OK | W_OK | X_OK) != 0) {
        return err_set_errno(err, "state.dir: %s", config->state_dir);
    }
    printf("state: %s\n", config->state_dir);
    return 0;
}

static int check_redis(const struct config *config, struct err *err)
{
    struct redis_options options = command_redis(config);
    const char *argv[] = {"PING"};
    redisContext *redis = redis_connect(&options, err);
    int rc;

    if (redis == NULL) {
        return -1;
    }
    rc = redis_command(redis, NULL, err, 1, argv, NULL);
    redisFree(redis);
    if (rc == 0) {
        printf("redis: %s answers\n", config->redis_url);
    }
    return rc;
}

int command_check(int argc, char **argv)
{
    bool redis = false, example = false, keys = false, only = false;
    const struct command_option options[] = {
        {"redis", NULL, "ask Redis as well", &redis, NULL},
        {"config-only", NULL, "leave model and state directory out", &only,
         NULL},
        {"print-example", NULL, "print a tocsin.yaml with all defaults",
         &example, NULL},
        {"print-keys", NULL, "print the keys as mdoc, for tocsin.yaml(5)",
         &keys, NULL},
    };
    const char *config_path;
    struct config config;
    struct err err;
    int first, rc;

    rc = command_options(argc, argv,
                         "Checks the configuration, the model and the state "
                         "directory.",
                         "", options, 4, &config_path, &first);
    if (rc >= 0) {
        return rc;
    }
    if (example || keys) {
        example ? config_print_example(stdout) : config_print_keys(stdout);
        return EXIT_WELL;
    }
    if (command_config(config_path, &config) != 0) {
        return EXIT_FAILED;
    }
    config_path = command_config_path(config_path);
    printf("configuration: %s\n",
           config_path != NULL ? config_path : "all defaults");
    if (!only &&
        (check_model(&config, &err) != 0 || check_state(&config, &err) != 0)) {
        return command_fail(argv[0], &err);
    }
    if (redis && check_redis(&config, &err) != 0) {
        return command_fail(argv[0], &err);
    }
    return EXIT_WELL;
}
