#!/usr/bin/python3
"""make soak: load and faults for an hour, and nothing may be lost or hurt.

    soak.py [--seconds 3600] [--rate 5000] [--seed 1] [--keep DIR]

Real nginx, Redis and sidecar under an open-loop load of which a half is
proxied, while faults of all kinds come at random moments (faults.py). At the
end everything is judged (verdict.py); exits with 1 if something is wrong, and
keeps the logs then.
"""

import argparse
import json
import os
import pathlib
import random
import sys
import threading
import time

import redis as redis_client

# Redis may take long to load its file; how long is not judged here.
os.environ.setdefault("TOCSIN_PATIENCE", "6")

from faults import Director  # noqa: E402
from session import session  # noqa: E402
from stage import Stage, adopt_orphans  # noqa: E402
from verdict import (  # noqa: E402
    Table, judge_alerts, judge_events, judge_logs, judge_memory,
    judge_requests,
)
from watch import Watch  # noqa: E402



class Listener(threading.Thread):
    """All that was said in the stream of alerts, while Redis had it."""

    def __init__(self, stage):
        super().__init__(daemon=True)
        self.redis = stage.redis.connect()
        self.alerts = []
        self._stopping = threading.Event()

    def run(self):
        last = "0-0"
        while not self._stopping.wait(0.2):
            try:
                found = self.redis.xread({"tocsin:alerts": last})
            except (redis_client.RedisError, OSError):
                continue
            for _, entries in found:
                for last, fields in entries:
                    self.alerts.append(fields)

    def stop(self):
        self._stopping.set()
        self.join()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR",
                        help="directory of the logs")
    return parser.parse_args()


def play(stage, options, watchers):
    """The time under load; returns when it began and the faults."""
    stage.start_load()
    began = time.time()

    def say(text):
        print(f"  {time.time() - began:7.1f} s  {text}", flush=True)

    for watcher in watchers:
        watcher.start()
    longest = 10.0 if options.seconds >= 600 else 4.0
    director = Director(stage, random.Random(options.seed), longest,
                        gap=2.0, say=say)
    try:
        director.play(options.seconds)
    except AssertionError as e:  # what has been can be judged even so
        stage.trouble.append(f"a fault did not end: {e}")
        if not stage.redis.running:
            stage.redis.start()
    return began, director.faults


def record(path, stage, faults, watch, listener):
    """All that is judged, for who wants to look closer."""
    path.write_text(json.dumps({
        "load": stage.load.lines, "samples": watch.samples,
        "alerts": listener.alerts, "faults": [
            (fault.kind.name, fault.began, fault.ended) for fault in faults],
    }))


def judge(stage, options, began, faults, watch, listener):
    table = Table()
    stage.leave_pages(0)
    stage.load.stop()
    now = stage.drained()
    sources = stage.ledger.ask("report")["sources"]
    for watcher in (watch, listener):
        watcher.stop()
    trouble = stage.stop()
    record(stage.dir / "record.json", stage, faults, watch, listener)
    total = judge_requests(table, stage.load.lines, faults, options.rate)
    judge_events(table, stage, now, sources, total, faults)
    table.row("counters that did not add up", f"{len(watch.wrong)}", "0",
              not watch.wrong, watch.wrong)
    judge_logs(table, stage, faults)
    judge_alerts(table, listener.alerts, stage.load.lines, faults)
    judge_memory(table, watch.samples, began, options.seconds)
    table.title("The end")
    table.row("faults", f"{len(faults)}")
    table.row("ended badly", f"{len(trouble)}", "0", not trouble, trouble)
    return table.failed


def run(options, directory):
    stage = Stage(directory, options.rate)
    adopt_orphans(True)
    try:
        stage.start()
        watch, listener = Watch(stage), Listener(stage)
        began, faults = play(stage, options, [watch, listener])
        return judge(stage, options, began, faults, watch, listener)
    finally:
        stage.stop()


def main():
    options = arguments()
    print(f"soak: {options.seconds:.0f} s, {options.rate:,} requests a "
          f"second, seed {options.seed}", flush=True)
    return session("soak", options.keep,
                   lambda directory: run(options, directory))


if __name__ == "__main__":
    sys.exit(main())
