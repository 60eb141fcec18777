"""The faults of a soak: how each begins and ends, and what it explains.

A kind is one row of KINDS. `target` is what it hits: two faults at a time
never hit the same. `logs` are patterns of lines at [error] or worse, by the
program that may write them while the fault lasts and shortly after; `fails`
says that requests may fail by it, `alerts` that an alert may be raised. What
no fault explains fails the soak.
"""

import collections
import contextlib
import os
import re
import signal
import time

GRACE = 8.0  # seconds after a fault in which it still explains something

Kind = collections.namedtuple(
    "Kind", "name target begin end logs fails alerts alone often",
    defaults=({}, False, False, False, 1.0))


# ------------------------------------------------------------------- redis


def redis_killed(stage, _):
    stage.redis.kill()


def redis_started(stage, _):
    stage.redis.start()


def redis_stopped(stage, _):
    stage.redis.pause()


def redis_continued(stage, _):
    stage.redis.resume()


def redis_full(stage, _):
    stage.quietly("CONFIG", "SET", "maxmemory", "1mb")


def redis_has_room(stage, _):
    stage.quietly("CONFIG", "SET", "maxmemory", "0")


def redis_read_only(stage, _):
    # of a master that nobody is: it keeps what it has
    stage.quietly("REPLICAOF", "127.0.0.1", "1")


def redis_writable(stage, _):
    stage.quietly("REPLICAOF", "NO", "ONE")


def password_changed(stage, random):
    user = random.choice(["nginx", "sidecar"])
    stage.quietly("ACL", "SETUSER", f"tocsin-{user}", "resetpass",
                  ">another")
    stage.quietly("CLIENT", "KILL", "USER", f"tocsin-{user}")


def password_back(stage, _):
    for user in ("nginx", "sidecar"):
        stage.quietly("ACL", "SETUSER", f"tocsin-{user}", "resetpass",
                      f">secret-{user}")


def redis_forgets(stage, _):
    stage.forget()


# ------------------------------------------------------------------- nginx


def worker_killed(stage, random):
    workers = stage.nginx.worker_pids()
    if workers:
        os.kill(random.choice(workers), signal.SIGKILL)


def reloaded(stage, _):
    stage.nginx.reload()


def upgraded(stage, _):
    stage.upgrade()


def pages_opened(stage, random):
    stage.leave_pages(random.randrange(8))
    with contextlib.suppress(OSError):
        stage.open_pages(4)


# ----------------------------------------------------------------- backend


def backend_killed(stage, random):
    random.choice(stage.backends).kill()


def backends_started(stage, _):
    for backend in stage.backends:
        if not backend.running:
            backend.start()


# ----------------------------------------------------------------- sidecar


def sidecar_killed(stage, _):
    stage.sidecar_lives()
    stage.sidecar.kill()


def sidecar_started(stage, _):
    stage.sidecar.start(ready=False)


def sidecar_stopped(stage, _):
    stage.sidecar_lives()
    stage.sidecar.pause()


def sidecar_continued(stage, _):
    stage.sidecar.resume()


def disk_filled(stage, _):
    if stage.tmpfs is None:
        return
    with contextlib.suppress(OSError), \
            open(stage.tmpfs / "ballast", "wb", buffering=0) as ballast:
        while True:
            ballast.write(b"\0" * 65536)


def disk_emptied(stage, _):
    with contextlib.suppress(OSError):
        (stage.state / "ballast").unlink()


def nothing(stage, _):
    pass


REFUSED = {"nginx": [r"tocsin: redis \S+: "
                     r"(READONLY|UNBLOCKED|NOAUTH|WRONGPASS|NOPERM)"]}
UPSTREAM = {
    "nginx": [r"(connect\(\)|recv\(\)|send\(\)|writev\(\)) failed .* while "
              r".*upstream", r"upstream prematurely closed connection",
              r"no live upstreams while connecting"],
}
KILLED = {"nginx": [r"worker process \d+ exited on signal 9"]}
DISK = {"tocsin": [r"No space left on device"]}

KINDS = [
    Kind("redis killed", "redis", redis_killed, redis_started),
    Kind("redis stopped", "redis", redis_stopped, redis_continued),
    Kind("redis full", "redis", redis_full, redis_has_room),
    Kind("redis read-only", "redis", redis_read_only, redis_writable,
         logs=REFUSED),
    Kind("password wrong", "redis", password_changed, password_back,
         logs=REFUSED),
    Kind("redis forgets", "redis", redis_forgets, nothing, often=0.5),
    Kind("backend killed", "backend", backend_killed, backends_started,
         logs=UPSTREAM, fails=True, alerts=True),
    Kind("worker killed", "nginx", worker_killed, nothing, logs=KILLED,
         fails=True),
    Kind("reload", "nginx", reloaded, nothing),
    Kind("binary upgrade", "nginx", upgraded, nothing, alone=True,
         often=0.5),
    Kind("pages opened, left", "pages", pages_opened, nothing),
    Kind("sidecar killed", "sidecar", sidecar_killed, sidecar_started,
         often=0.3),
    Kind("sidecar stopped", "sidecar", sidecar_stopped, sidecar_continued),
    Kind("disk full", "sidecar", disk_filled, disk_emptied, logs=DISK),
]


class Fault:
    """One fault in time."""

    def __init__(self, kind):
        self.kind = kind
        self.began = self.ended = None

    def covers(self, at, before=1.0, after=GRACE):
        return (self.began is not None and at >= self.began - before
                and (self.ended is None or at <= self.ended + after))

    def excuses(self, program, line):
        return any(re.search(pattern, line)
                   for pattern in self.kind.logs.get(program, ()))


class Director:
    """Plays faults for so many seconds, chosen by a seed."""

    def __init__(self, stage, random, longest, gap, say):
        self.stage, self.random = stage, random
        self.longest, self.gap, self.say = longest, gap, say
        self.faults = []

    def play(self, seconds):
        until = time.monotonic() + seconds
        first = True
        while True:
            row = [kind for kind in KINDS
                   if first or self.random.random() < kind.often]
            first = False
            self.random.shuffle(row)
            while row:
                if time.monotonic() >= until:
                    return
                kind = row.pop()
                other = next((k for k in row if k.target != kind.target
                              and not k.alone), None)
                if kind.alone or self.random.random() < 0.6:
                    other = None
                if other:
                    row.remove(other)
                self.one(kind, other)
                time.sleep(self.gap)

    def one(self, kind, other=None):
        """A fault, and perhaps another one before it ends."""
        fault = Fault(kind)
        if kind.alone:
            self.stage.calm()
        self.faults.append(fault)
        self.say(f"{kind.name}" + (f", and {other.name}" if other else ""))
        fault.began = time.time()
        kind.begin(self.stage, self.random)
        lasts = self.random.uniform(0.2, self.longest)
        time.sleep(lasts / 2)
        if other:
            self.one(other)
        time.sleep(lasts / 2)
        kind.end(self.stage, self.random)
        fault.ended = time.time()
