/* A directory with the modules of models.py, made once for a test program. */
#ifndef TOCSIN_TEST_FIXTURE_H
#define TOCSIN_TEST_FIXTURE_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char fixture_dir[64];
static pid_t fixture_owner;

static void fixture_remove(void)
{
    char command[128];

    if (getpid() != fixture_owner) {
        return; /* Check forks, and its children exit too */
    }
    snprintf(command, sizeof(command), "rm -rf %s", fixture_dir);
    if (system(command) != 0) {
        fprintf(stderr, "%s is left behind\n", fixture_dir);
    }
}

/* models.py lies beside the test's source. */
static int fixture_make(const char *source)
{
    char command[PATH_MAX + 128];
    int dir = 0, i;

    for (i = 0; source[i] != '\0'; i++) {
        if (source[i] == '/') {
            dir = i;
        }
    }
    snprintf(fixture_dir, sizeof(fixture_dir), "/tmp/tocsin-model-XXXXXX");
    if (mkdtemp(fixture_dir) == NULL) {
        return -1;
    }
    fixture_owner = getpid();
    atexit(fixture_remove);
    snprintf(command, sizeof(command),
             "/usr/bin/python3 %.*s/models.py %s && chmod 644 %s/*.pt", dir,
             source, fixture_dir, fixture_dir);
    return system(command) == 0 ? 0 : -1;
}

static const char *fixture(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s.pt", fixture_dir, name);
    return path;
}

#endif
