"""Memory and descriptors of the processes of a soak, sampled now and then."""

import collections
import contextlib
import os
import statistics
import threading
import time

import redis as redis_client

PERIOD = 2.0
ESTABLISHED = "01"
Sample = collections.namedtuple("Sample", "at values")


def rollup(pid):
    """(private, shared, proportional) bytes that are resident."""
    found = {}
    with open(f"/proc/{pid}/status", encoding="latin-1") as f:
        for line in f:
            if line.startswith(("RssAnon", "RssShmem")):
                found[line.split(":")[0]] = int(line.split()[1]) << 10
    with open(f"/proc/{pid}/smaps_rollup", encoding="latin-1") as f:
        for line in f:
            if line.startswith("Pss:"):
                found["Pss"] = int(line.split()[1]) << 10
    return found["RssAnon"], found["RssShmem"], found["Pss"]


def connected():
    """Sockets of connections that both ends hold, as /proc/PID/fd names them.
    How many there are is a matter of the load; one that is kept after the
    peer has gone is not among them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="latin-1") as f:
            rows = (line.split() for line in f)
            found.update(f"socket:[{row[9]}]" for row in rows
                         if row[3] == ESTABLISHED)
    return found


def descriptors(pid):
    """How many a process has, but for its connections. Those to Redis are
    counted there."""
    count, established = 0, connected()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(entry.path) not in established
    return count


class Watch(threading.Thread):
    """Samples until stopped. A process that is away is left out."""

    def __init__(self, stage):
        super().__init__(daemon=True)
        self.stage = stage
        self.samples = []
        self.wrong = []  # counters that did not add up
        self._stopping = threading.Event()
        self._redis = stage.redis.connect()

    def run(self):
        while not self._stopping.wait(PERIOD):
            self.samples.append(Sample(time.time(), self.look()))

    def stop(self):
        self._stopping.set()
        self.join()

    def _process(self, found, name, pids):
        rows = []
        for pid in pids:
            try:
                rows.append((*rollup(pid), descriptors(pid)))
            except (OSError, KeyError):
                continue  # it has just ended
        if not rows:
            return
        for column, what in enumerate(("private", "shared", "PSS",
                                       "descriptors")):
            found[f"{name}: {what}"] = statistics.mean(
                row[column] for row in rows)

    def look(self):
        stage, found = self.stage, {}
        nginx = stage.nginx
        self._process(found, "worker", nginx.worker_pids())
        self._process(found, "master", [nginx.pid])
        if stage.sidecar.running:
            self._process(found, "sidecar", [stage.sidecar.pid])
        try:
            info = self._redis.info("clients")
            found["redis: clients"] = info["connected_clients"]
            found["redis: client memory"] = self._redis.info("memory")[
                "mem_clients_normal"]
        except (redis_client.RedisError, OSError):
            pass
        self._counters()
        return found

    def _counters(self):
        """At every moment, in every answer."""
        try:
            now = self.stage.counters_now()
        except OSError:
            return
        rest = sum(value for name, value in now.items()
                   if name not in ("emitted",))
        if now and now["emitted"] != rest:
            self.wrong.append(now)


def quarter(samples, began, seconds, number):
    """name -> median in one quarter of the time; numbers from 1."""
    first = began + seconds * (number - 1) / 4
    rows = [s.values for s in samples
            if first <= s.at < first + seconds / 4]
    names = sorted({name for row in rows for name in row})
    return {name: statistics.median(row[name] for row in rows if name in row)
            for name in names}
