/*
 * tocsin: one executable, several subcommands. Nothing happens here but
 * finding the right one; the rooms are wired in command/pipeline.c, where
 * tests can reach it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "command/command.h"

static void print_usage(FILE *to)
{
    unsigned i;

    fprintf(to, "usage: tocsin COMMAND [-c FILE] [options]\n\n");
    for (i = 0; i < command_count; i++) {
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(to, "\ntocsin COMMAND --help tells more, tocsin run --help all "
                "keys of tocsin.yaml.\n");
}

int main(int argc, char **argv)
{
    unsigned i;

    /* A peer that goes away is an error of write(2), not our end; nor is a
     * file that may not grow (LimitFSIZE=). */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return EXIT_WELL;
    }
    if (strcmp(argv[1], "--version") == 0) {
        return command_version(argc - 1, argv + 1);
    }
    for (i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "tocsin: unknown command %s\n\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}
