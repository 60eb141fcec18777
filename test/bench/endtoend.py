#!/usr/bin/python3
"""From requests to scores: 100,000 events a second, all programs at once.

    endtoend.py [--rate 100000] [--requests 30000] [--seconds 30]

nginx answers so many requests a second with `return 200`, and writes their
events; what is left of the rate is made up beside it (feed.c) and written as
the module does. The sidecar scores it all. Prints the share of a core that
each process took, the lag, and what was lost: was emitted, but not taken in by
Redis once and by the sidecar once. Who has fewer cores than the shares add up
to sees the lag grow.
"""

import argparse
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "system"), str(HERE.parent / "soak")]

from harness import BUILD, Nginx, Redis, Sidecar, wait_until  # noqa: E402
from session import interrupt  # noqa: E402
from stage import Filter, parse_counters  # noqa: E402

HTTP = """
tocsin on;
tocsin_redis @redis@;
keepalive_requests 1000000;
server {
    listen 127.0.0.1:@port@;
    server_name shop.example;
    location / { return 200 "ok"; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""
TICK = 1.0  # s
BOARD = 1.0  # s between two boards
AIM = 100_000


class Feed:
    """feed.c, until it has sent all."""

    def __init__(self, redis, rate, seconds):
        self.process = subprocess.Popen(
            [str(BUILD / "test/bench/feed"), redis.url, str(rate),
             str(seconds)], stdout=subprocess.PIPE, text=True)

    def sent(self):
        out, _ = self.process.communicate()
        assert self.process.returncode == 0, "the feeder failed"
        return int(out.split()[1])


def cpu(pid):
    """Seconds of CPU that a process has taken, exactly: most run for less
    than a tick of the kernel's clock at a time."""
    return sum(int(path.read_text().split()[0]) / 1e9 for path in
               pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))


def board(sidecar, name):
    """A number of the last snapshot."""
    found = sidecar.redis.client.xrevrange("tocsin:board", count=1)
    return int(found[0][1][name])


def lag(sidecar):
    """As its last board says, in s, and more if the next one is due."""
    overdue = time.time() - board(sidecar, "ts") / 1e6 - BOARD
    return board(sidecar, "lag") / 1e6 + max(overdue, 0)


class Bench:
    def __init__(self, directory, options):
        self.options = options
        self.dir = pathlib.Path(directory)
        self.parts = []

    def add(self, part):
        self.parts.append(part)
        return part

    def start(self):
        self.redis = self.add(Redis(self.dir / "redis")).start()
        self.nginx = self.add(Nginx(self.dir / "nginx", HTTP, level="warn",
                                    redis=self.redis.url)).start()
        self.sidecar = self.add(Sidecar(self.dir / "sidecar", self.redis, {
            "model": {"train": False}})).start()

    def stop(self):
        for part in reversed(self.parts):
            part.stop()

    def counters(self):
        return parse_counters(self.nginx.get("/_alerts/metrics").text)

    def run(self):
        """Events of nginx a second, share of a core by process, lags, and
        how many events were made up."""
        o = self.options
        load = self.add(Filter("load", self.nginx.port, o.requests, "/=1"))
        wait_until(lambda: load.lines, 60, "the first second under load")
        pids = {"nginx": self.nginx.worker_pids(), "Redis": [self.redis.pid],
                "sidecar": [self.sidecar.pid],
                "load": [load.process.pid]}
        before = {name: sum(map(cpu, p)) for name, p in pids.items()}
        first = self.counters()["emitted"]
        began, lags = time.monotonic(), []
        feed = Feed(self.redis, o.rate - o.requests, o.seconds)
        while time.monotonic() < began + o.seconds:
            time.sleep(TICK)
            lags.append(lag(self.sidecar))
        passed = time.monotonic() - began
        shares = {name: (sum(map(cpu, p)) - before[name]) / passed
                  for name, p in pids.items()}
        served = (self.counters()["emitted"] - first) / passed
        made_up = feed.sent()
        load.stop()
        return served, shares, lags, made_up

    def added(self, *streams):
        """Entries that Redis has taken, those trimmed since included."""
        return sum(self.redis.client.xinfo_stream(f"tocsin:{s}")
                   ["entries-added"] for s in streams)

    def judge(self, made_up):
        """Events in all, and how many of them are not where they belong."""
        def emptied():
            now = self.counters()
            return now if now["buffered"] == 0 else None

        now = wait_until(emptied, 60, "empty rings")
        emitted = now["emitted"] + made_up
        entries = self.added("request", "upstream", "beat")
        wait_until(lambda: board(self.sidecar, "events") >= entries, 120,
                   "the sidecar at the end")
        missing = emitted - self.added("request", "upstream")
        return emitted, abs(missing) + board(self.sidecar, "gaps")


def report(options, served, shares, lags, emitted, lost):
    print(f"\nEnd to end, {options.seconds} s\n")

    def row(name, value, aim="", well=None):
        verdict = {None: "", True: "reached", False: "MISSED"}[well]
        print(f"  {name:<44} {value:>14}  {aim:<22} {verdict}", flush=True)
        return well is not False

    rate = served + options.rate - options.requests
    median = statistics.median(lags)
    well = [
        row("events a second", f"{rate:,.0f}", f">= {options.rate:,}",
            rate >= 0.98 * options.rate),
        row("lost", f"{lost:,}", f"0 of {emitted:,}", lost == 0),
        row("lag: median", f"{median:.2f} s", f"< a tick, {TICK:g} s",
            median < TICK),
    ]
    row("lag: largest", f"{max(lags):.2f} s")
    for name, share in shares.items():
        events = served if name in ("nginx", "load") else rate
        each = f"{share / events * 1e6:.1f} us an event" if events else ""
        row(f"share of a core: {name}", f"{share:.0%}", each)
    row(f"all of them, of {os.cpu_count()} cores",
        f"{sum(shares.values()):.0%}", "beside a feeder")
    return all(well)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rate", type=int, default=AIM)
    parser.add_argument("--requests", type=int, default=30_000)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        os.chmod(directory, 0o755)
        bench = Bench(directory, options)
        try:
            bench.start()
            served, shares, lags, made_up = bench.run()
            emitted, lost = bench.judge(made_up)
        finally:
            bench.stop()
    well = report(options, served, shares, lags, emitted, lost)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
