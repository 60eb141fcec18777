#!/usr/bin/python3
"""Scenarios against the real thing, and what Tocsin made of them.

    lab.py [--out DIR] SCENARIO...      names or files; "all", or "faint": those
                                        of faults that hardly are any
    lab.py --replay DIR [SCENARIO...]   judges recordings instead of playing
                                        (--without head_b: and no network)

Per fault: found or missed, after how long, what the alert named, and whether
it ended; alerts that nobody should have heard are false alarms. DIR (default:
lab/ under the build) gets a chart of each run (SVG), all figures (JSON), and
a recording of its events that --replay takes. Exit code 1 if a fault was
missed.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile

from chart import Chart
from scenario import Scenario
from stack import Stack  # finds what follows
from harness import BUILD, fetch
from judge import Judge, Watcher
from recording import LABELS, Recorder, Recording

HERE = pathlib.Path(__file__).resolve().parent
SCENARIOS = HERE / "scenarios"
AFTER = 60.0  # seconds for alerts to end after the last repair
FAINT = "faint"  # what scenarios' names begin with that are not of "all"
SETTLE = 5.0  # quiet seconds that end a run


class Run:
    """One scenario, from the first request to the verdict."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.scores = {}  # roll-up -> [(t, score)]
        self.totals = {}

    @classmethod
    def of(cls, recording, *options):
        """What a recording tells when it is replayed."""
        run = cls(recording.scenario)
        run.watcher = Watcher("")
        run.watcher.seen, _ = recording.replay(*options)
        run.judge = Judge(run.scenario, recording.peers)
        run.seconds = recording.seconds
        return run

    def end(self):
        if self.scenario.seconds:
            return self.scenario.seconds
        return max(fault.end for fault in self.scenario.faults) + AFTER

    def look(self, stack):
        self.watcher.look(stack.t)
        reply = fetch(stack.url + "/api/v1/series?limit=1000").json()
        for row in reply["rollups"] + reply["series"]:
            name = " ".join(row["labels"].values()) or "everything"
            self.scores.setdefault(name, []).append(
                (stack.t, max(0.0, row["score"] or 0.0)))

    def play(self, directory, stem):
        """Live it; what is kept of it begins with the path `stem`."""
        stack = Stack(self.scenario, directory)
        recorder = None
        try:
            stack.start()
            recorder = Recorder(stack)
            self.watcher = Watcher(stack.url)
            self.judge = Judge(self.scenario, stack.peers)
            last = max((f.end for f in self.scenario.faults), default=0.0)
            calm = None
            while stack.t < self.end():
                self.look(stack)
                stack._stopping.wait(0.5)
                if self.scenario.seconds or stack.t < last + SETTLE \
                        or self.watcher.firing:
                    calm = None
                else:
                    calm = calm or stack.t
                    if stack.t > calm + SETTLE:
                        break
            self.seconds = stack.t
            self.totals = dict(stack.totals)
        finally:
            if recorder is not None:
                recorder.stop()
            stack.stop()
        recorder.save(stem, self.scenario, self.seconds)
        stem.with_suffix(".svg").write_text(self.chart())

    def figures(self):
        faults = []
        for fault in self.scenario.faults:
            if fault.quiet:
                continue
            verdict = self.judge.verdict(fault, self.watcher.seen)
            alert = verdict.alert
            faults.append({
                "fault": fault.name, "found": alert is not None,
                "delay": verdict.delay,
                "named": alert.name if alert else None,
                "feature": alert.feature if alert else None,
                "reason": verdict.reason,
                "resolved": alert.ended - fault.end
                if alert and alert.ended else None,
                "others": [seen.name for seen in self.watcher.seen
                           if fault.at <= seen.t <= fault.end + 20
                           and seen is not alert
                           and self.judge.explains(fault, seen)],
                "wrong": [seen.name for seen in verdict.wrong],
            })
        return {
            "scenario": self.scenario.name, "hard": self.scenario.hard,
            "seconds": self.seconds, **self.totals, "faults": faults,
            "false_alarms": [
                f"{seen.name} at {seen.t:.0f} s by {seen.feature}"
                for seen in self.judge.false_alarms(self.watcher.seen)],
        }

    def chart(self):
        best = sorted(self.scores, reverse=True, key=lambda name: max(
            score for _, score in self.scores[name]))[:8]
        return Chart(self.scenario.name, self.seconds).draw(
            [(f.at, f.end, f.name) for f in self.scenario.faults],
            {name: self.scores[name] for name in best},
            [(seen.t, seen.ended or self.seconds, seen.name)
             for seen in self.watcher.seen])


def tell(figures):
    for fault in figures["faults"]:
        if not fault["found"]:
            print(f"  MISSED  {fault['fault']}")
            for name in fault["others"]:
                print(f"          instead: {name}")
            continue
        ended = "still firing" if fault["resolved"] is None else \
            f"ended {fault['resolved']:.0f} s after the repair"
        print(f"  found   {fault['fault']}: after {fault['delay']:.1f} s, "
              f"{fault['named']} by {fault['feature']}"
              f"{'' if fault['reason'] else ' (NOT THE REASON)'}, {ended}")
        if fault["others"]:
            print(f"          and {len(fault['others'])} more: "
                  + "; ".join(fault["others"][:4]))
        for name in fault["wrong"]:
            print(f"  WRONG   {name} was well")
    for text in figures["false_alarms"]:
        print(f"  FALSE   {text}")
    if not figures["faults"] and not figures["false_alarms"]:
        print("  quiet, as it should be")
    sys.stdout.flush()


def summary(all_figures):
    faults = [f for run in all_figures for f in run["faults"]]
    found = [f for f in faults if f["found"]]
    hard = [f["delay"] for run in all_figures if run["hard"]
            for f in run["faults"] if f["found"]]
    hours = sum(run["seconds"] for run in all_figures) / 3600
    false = sum(len(run["false_alarms"]) for run in all_figures)
    wrong = sum(len(f["wrong"]) for f in faults)
    print(f"\n{len(all_figures)} scenarios, {hours * 60:.0f} minutes")
    if faults:
        print(f"  recall              {len(found) / len(faults):.2f} "
              f"({len(found)} of {len(faults)} faults)")
    print(f"  false alarms        {false} ({false / hours:.1f} an hour), "
          f"{wrong} named what was well")
    if found:
        print("  median delay        %.1f s, of hard faults %s" % (
            statistics.median(f["delay"] for f in found),
            f"{statistics.median(hard):.1f} s" if hard else "-"))
        print(f"  right reason        "
              f"{sum(f['reason'] for f in found)} of {len(found)}")
        print("  alerts a fault      %.1f" % statistics.mean(
            1 + len(f["others"]) for f in found))
    return len(found) == len(faults)


def choose(names, directory, ending):
    for name in names:
        if name == "all":
            yield from sorted(path for path in directory.glob(f"*{ending}")
                              if not path.name.startswith(FAINT))
        elif name == FAINT:
            yield from sorted(directory.glob(f"{FAINT}*{ending}"))
        else:
            path = pathlib.Path(name)
            yield path if path.exists() else directory / f"{name}{ending}"


def play(names, out):
    out.mkdir(parents=True, exist_ok=True)
    for path in choose(names, SCENARIOS, ".yaml"):
        run = Run(Scenario.load(path))
        print(f"{run.scenario.name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="tocsin-lab-") as directory:
            run.play(directory, out / path.stem)
        yield run


def replay(names, directory, without):
    for path in choose(names, directory, LABELS):
        recording = Recording(
            path.with_name(path.name.removesuffix(LABELS)), SCENARIOS)
        print(f"{recording.scenario.name}", flush=True)
        yield Run.of(recording, "--without", without)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("scenario", nargs="*", default=["all"])
    parser.add_argument("--out", type=pathlib.Path, default=BUILD / "lab")
    parser.add_argument("--replay", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--without", metavar="PARTS", default="",
                        help="of a replay: as tocsin backtest --without")
    options = parser.parse_args()
    runs = replay(options.scenario, options.replay, options.without) \
        if options.replay else play(options.scenario, options.out)
    all_figures = []
    for run in runs:
        all_figures.append(run.figures())
        tell(all_figures[-1])
    ok = summary(all_figures)
    if not options.replay:
        (options.out / "figures.json").write_text(
            json.dumps(all_figures, indent=1))
        print(f"  charts, recordings  {options.out}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
