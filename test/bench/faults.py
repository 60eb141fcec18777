#!/usr/bin/python3
"""What a fault of Redis costs those whose requests are proxied.

    faults.py [-s SECONDS]

The 99th percentile of their latency during each fault, beside that of the runs
without one before and after it: what lies between those two is chance. The
load fills the machine, and nothing is judged but requests that failed.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

from accounts import counters  # noqa: E402
from faults import FAULTS, Stage  # noqa: E402
from harness import Nginx, wait_until  # noqa: E402

BACKEND = """
keepalive_requests 100000000;
server { listen @port@; return 200 "ok"; }
"""

HTTP = """
tocsin on;
tocsin_redis @redis@ timeout=500ms;
keepalive_requests 100000000;
upstream app { server 127.0.0.1:@backend@; keepalive 32; }
server {
    listen @port@;
    location / {
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""

UNITS = {"us": 1e-3, "ms": 1, "s": 1e3}


class Run:
    """One run of wrk: p99 in ms, requests a second, requests that failed."""

    def __init__(self, url, seconds):
        said = subprocess.run(
            ["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", url],
            check=True, capture_output=True, text=True).stdout
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
        self.p99 = float(value) * UNITS[unit]
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
        self.failed = sum(map(int, re.findall(
            r"(?:connect|read|write|timeout|responses:) (\d+)", said)))


def whole(nginx, emitted):
    wait_until(lambda: counters(nginx).delivered >= emitted, 60, "all events")


def during(fault, stage, nginx, seconds):
    with fault.befall(stage):
        nginx.get("/")
        if fault.holds:
            wait_until(lambda: counters(nginx).buffered > 0, 30, fault.name)
        run = Run(nginx.url("/"), seconds)
    whole(nginx, counters(nginx).emitted)
    return run


def usual(nginx, seconds):
    run = Run(nginx.url("/"), seconds)
    whole(nginx, counters(nginx).emitted)
    return run


def row(name, run, before, after):
    """A run, and how it compares with those before and after it."""
    times = 2 * run.p99 / (before.p99 + after.p99)
    print(f"  {name:<20}{run.p99:>9.2f} ms{before.p99:>9.2f},{after.p99:>6.2f} ms"
          f"{times:>9.2f}{run.rate:>13,.0f}{run.failed:>8}", flush=True)


def measure(stage, nginx, seconds):
    """Returns how many requests failed."""
    print(f"\n  {'while Redis is':<20}{'p99':>12}{'before, after':>19}"
          f"{'times':>9}{'requests/s':>13}{'failed':>8}\n")
    first, before = usual(nginx, seconds), usual(nginx, seconds)
    row("well", before, first, first)
    failed = first.failed + before.failed
    for fault in FAULTS:
        run = during(fault, stage, nginx, seconds)
        after = usual(nginx, seconds)
        row(fault.name, run, before, after)
        failed += run.failed + after.failed
        before = after
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-s", "--seconds", type=int, default=3)
    seconds = parser.parse_args().seconds
    started = []

    def running(server):
        started.append(server)
        return server

    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as top:
        top = pathlib.Path(top)
        try:
            stage = Stage(lambda name: top / name, running)
            backend = running(Nginx(top / "backend", BACKEND, workers=1,
                                    module=False)).start()
            nginx = running(Nginx(top / "nginx", HTTP, redis=stage.url,
                                  level="notice",
                                  backend=backend.port)).start()
            return 1 if measure(stage, nginx, seconds) else 0
        finally:
            for server in reversed(started):
                server.stop()


if __name__ == "__main__":
    sys.exit(main())
