"""A Redis whose clock can be set: a library in front of libc adds an offset."""

import os
import pathlib
import struct
import subprocess

import pytest

from harness import Redis

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile int64_t *offset; /* s */

__attribute__((constructor)) static void find(void)
{
    int fd = open(getenv("CLOCK_OFFSET"), O_RDONLY);

    offset = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    static int (*real)(clockid_t, struct timespec *);
    int rc;

    if (real == NULL) {
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT,
                                                            "clock_gettime");
    }
    rc = real(id, ts);
    ts->tv_sec += id == CLOCK_REALTIME ? *offset : 0;
    return rc;
}

int gettimeofday(struct timeval *tv, void *zone)
{
    struct timespec ts;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *to)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (to != NULL) {
        *to = ts.tv_sec;
    }
    return ts.tv_sec;
}
"""


class ShiftedRedis(Redis):
    """set_clock(3600) and it is an hour later there."""

    def __init__(self, directory, library, *options, **kw):
        super().__init__(directory, *options, **kw)
        self.library = library
        self.offset = pathlib.Path(directory) / "offset"
        self.offset.write_bytes(struct.pack("q", 0))

    def spawn(self, argv, env=None):
        super().spawn(argv, {"LD_PRELOAD": str(self.library),
                             "CLOCK_OFFSET": str(self.offset)})

    def set_clock(self, seconds):
        with open(self.offset, "r+b") as f:
            os.pwrite(f.fileno(), struct.pack("q", seconds), 0)
        stood = int(self.client.time()[0])
        assert stood > 0
        return stood


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory):
    path = tmp_path_factory.mktemp("clock") / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror",
                    "-Wno-nonnull-compare", "-x", "c", "-", "-o", path,
                    "-ldl"], input=SOURCE.encode(), check=True)
    return path


@pytest.fixture
def shifted(running, directory, clock_library):
    """A Redis with set_clock()"""
    return running(ShiftedRedis(directory("redis"), clock_library)).start()
