#!/usr/bin/python3
"""make reloads: nginx is reloaded again and again, and keeps nothing of it.

    reloads.py [--reloads 1000] [--keep DIR]

Under light load. What the master holds (memory, descriptors, mappings,
segments) and the slots of shared memory that its workers take must not grow
from the second quarter of the reloads to the last, no request may fail, and
every event must have arrived.

malloc needs some 150 reloads to have all the holes that it will ever have:
radix trees of tocsin_cloud are aligned to pages, as those of nginx' geo, with
which a stock nginx grows likewise. So fewer reloads than LONG may grow some.
"""

import argparse
import pathlib
import statistics
import sys

from session import session
from stage import Stage, adopt_orphans
from verdict import Table, judge_events, judge_logs, judge_requests
from watch import descriptors, rollup

RATE = 200
LONG = 600
DRAINING = 2  # generations of old workers that may still be there
MEMORY = ("master: private", "master: PSS")
SLACK, SLACK_SHORT = 65536, 1 << 20
SLOTS = (DRAINING + 2) * 2  # of two workers, with those that come and go


def lines(path):
    with open(path, encoding="latin-1") as f:
        return sum(1 for _ in f)


def look(stage):
    """What could leak, in this moment."""
    pid = stage.nginx.pid
    private, _, proportional = rollup(pid)
    sources = stage.ledger.ask("report")["sources"]
    return {
        "master: private": private,
        "master: PSS": proportional,
        "master: descriptors": descriptors(pid),
        "master: mappings": lines(f"/proc/{pid}/maps"),
        "segments of System V": lines("/proc/sysvipc/shm"),
        "slots ever taken": len(sources),
        "worker: descriptors": statistics.mean(
            descriptors(worker) for worker in stage.nginx.worker_pids()),
    }


def reload_all(stage, reloads):
    """Samples, one each time that all old workers were gone."""
    samples, every = [], max(reloads // 40, 1)
    old = []
    for number in range(1, reloads + 1):
        old.append(stage.nginx.reload())
        if number % every == 0:
            while old:
                stage.nginx.wait_drained(old.pop(0), 60)
            samples.append(look(stage))
            print(f"  {number:6,} reloads", flush=True)
        while len(old) > DRAINING:
            stage.nginx.wait_drained(old.pop(0), 60)
    return samples


def judge_growth(table, samples, reloads):
    """The median of the last quarter is that of the second."""
    count = len(samples)
    slack = SLACK if reloads >= LONG else SLACK_SHORT
    early, late = (samples[count // 4:count // 2], samples[-(count // 4):])
    table.title("Medians of the second and the last quarter")
    for name in samples[0]:
        then, now = (statistics.median(s[name] for s in part)
                     for part in (early, late))
        more = slack if name in MEMORY else 0
        if name == "slots ever taken":
            more = SLOTS - then
        table.row(name, f"{then:,.0f} {now:,.0f}", f"at most {more:,.0f} more",
                  now <= then + more)


def run(options, directory):
    stage = Stage(directory, RATE)
    adopt_orphans(True)
    try:
        stage.start()
        stage.start_load()
        samples = reload_all(stage, options.reloads)
        table = Table()
        stage.load.stop()
        now = stage.drained()
        sources = stage.ledger.ask("report")["sources"]
        trouble = stage.stop()
        total = judge_requests(table, stage.load.lines, [], RATE)
        judge_events(table, stage, now, sources, total, [])
        judge_logs(table, stage, [])
        judge_growth(table, samples, options.reloads)
        table.title("The end")
        table.row("ended badly", f"{len(trouble)}", "0", not trouble, trouble)
        return table.failed
    finally:
        stage.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR",
                        help="directory of the logs")
    options = parser.parse_args()
    print(f"reloads: {options.reloads:,}", flush=True)
    return session("reloads", options.keep,
                   lambda directory: run(options, directory))


if __name__ == "__main__":
    sys.exit(main())
