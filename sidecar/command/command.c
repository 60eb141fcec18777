/*
 * What the subcommands have in common: options, the configuration, printing
 * what came from outside. Options are few and long, so they are read here
 * rather than by getopt_long(), which would need a table beside the one that
 * makes --help.
 */
#include "command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_DEFAULT "/etc/tocsin/tocsin.yaml"

static void print_help(const char *name, const char *summary, const char *rest,
                       const struct command_option *options, unsigned count)
{
    char word[64];
    unsigned i;

    printf("usage: tocsin %s [-c FILE] [options]%s%s\n\n%s\n\n", name,
           *rest != '\0' ? " " : "", rest, summary);
    printf("  -c FILE              configuration; default " CONFIG_DEFAULT "\n"
           "                       where it exists\n");
    for (i = 0; i < count; i++) {
        snprintf(word, sizeof(word), "--%s%s%s", options[i].name,
                 options[i].value != NULL ? " " : "",
                 options[i].value != NULL ? options[i].value : "");
        printf("  %-20s %s\n", word, options[i].help);
    }
    printf("  --help               this text\n");
}

static int usage(const char *name, const char *what, const char *which)
{
    fprintf(stderr, "tocsin %s: %s %s; see tocsin %s --help\n", name, what,
            which, name);
    return EXIT_USAGE;
}

static const struct command_option *
find_option(const char *word, const struct command_option *options,
            unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        if (strcmp(word, options[i].name) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

/* One option at argv[*at]; moves *at to its last word. -1 to go on. */
static int take_option(int argc, char **argv, int *at,
                       const struct command_option *options, unsigned count,
                       const char **config_path)
{
    const char *word = argv[*at];
    const struct command_option *option;
    const char **text;

    if (strcmp(word, "-c") == 0) {
        text = config_path;
    } else {
        option = strncmp(word, "--", 2) == 0
                     ? find_option(word + 2, options, count)
                     : NULL;
        if (option == NULL) {
            return usage(argv[0], "unknown option", word);
        }
        if (option->flag != NULL) {
            *option->flag = true;
            return -1;
        }
        text = option->text;
    }
    if (*at + 1 == argc) {
        return usage(argv[0], "a value is missing after", word);
    }
    *text = argv[++*at];
    return -1;
}

int command_options(int argc, char **argv, const char *summary,
                    const char *rest, const struct command_option *options,
                    unsigned count, const char **config_path, int *first)
{
    int at, rc;

    *config_path = NULL;
    for (at = 1; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            print_help(argv[0], summary, rest, options, count);
            return EXIT_WELL;
        }
        rc = take_option(argc, argv, &at, options, count, config_path);
        if (rc >= 0) {
            return rc;
        }
    }
    if (at < argc && *rest == '\0') {
        return usage(argv[0], "unexpected argument", argv[at]);
    }
    *first = at;
    return -1;
}

const char *command_config_path(const char *path)
{
    if (path == NULL && access(CONFIG_DEFAULT, F_OK) == 0) {
        return CONFIG_DEFAULT;
    }
    return path;
}

int command_config(const char *path, struct config *config)
{
    struct redis_options options;
    struct err err;

    if (config_load(command_config_path(path), config, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    options = command_redis(config);
    if (redis_options_check(&options, &err) != 0) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    return 0;
}

struct redis_options command_redis(const struct config *config)
{
    struct redis_options options = {
        .url = config->redis_url,
        .username = config->redis_username,
        .password_file = config->redis_password_file,
        .timeout_ms = (unsigned)(config->redis_timeout / 1000),
        .tls =
            {
                .ca = config->redis_tls_ca,
                .cert = config->redis_tls_cert,
                .key = config->redis_tls_key,
                .name = config->redis_tls_name,
            },
    };

    return options;
}

struct redisContext *command_connect(const char *name, const char *path,
                                     struct config *config)
{
    struct redis_options options;
    struct redisContext *redis;
    struct err err;

    if (command_config(path, config) != 0) {
        return NULL;
    }
    options = command_redis(config);
    redis = redis_connect(&options, &err);
    if (redis == NULL) {
        command_fail(name, &err);
    }
    return redis;
}

int command_fail(const char *name, const struct err *err)
{
    fprintf(stderr, "tocsin %s: %s\n", name, err->message);
    return EXIT_FAILED;
}

void command_print_text(FILE *to, const char *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        /* C1 controls come as 0xc2 0x80 to 0xc2 0x9f in UTF-8. */
        if (c < 0x20 || c == 0x7f ||
            (c == 0xc2 && i + 1 < len && (unsigned char)data[i + 1] < 0xa0)) {
            fputc('?', to);
            i += c == 0xc2;
        } else {
            fputc(c, to);
        }
    }
}
