#!/usr/bin/python3
"""The demo: four simulated clouds, one breaks, and what Tocsin says to it.

Runs until Ctrl-C, breaking the region again every few minutes. With --check
it breaks it once, judges, and exits with 1 if the alert did not come, named
the wrong thing, was not to be seen on the page, did not end after the repair,
or if one came without a fault.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile

from scenario import Scenario
from stack import Stack, free_port, wait_until
from harness import BUILD
from judge import Judge, Watcher
from waiting import is_listening

HERE = pathlib.Path(__file__).resolve().parent
RESOLVE = 120.0  # seconds for all alerts to end after the repair
PAUSE = 120.0  # quiet seconds before the next round


class Terminal:
    """Lines that stay, and one at the bottom that is rewritten."""

    COLOURS = {"red": 31, "green": 32, "yellow": 33, "bold": 1, "dim": 2}

    def __init__(self):
        self.tty = sys.stdout.isatty()
        self.last = ""
        self.quiet_until = 0.0

    def paint(self, text, colour):
        if not self.tty or colour is None:
            return text
        return f"\033[{self.COLOURS[colour]}m{text}\033[0m"

    def line(self, text="", colour=None):
        clear = "\r\033[K" if self.tty else ""
        print(clear + self.paint(text, colour), flush=True)

    def status(self, t, text):
        """On a terminal every time; else a line every ten seconds."""
        if self.tty:
            width = shutil.get_terminal_size().columns - 1
            print("\r\033[K" + self.paint(text[:width], "dim"), end="",
                  flush=True)
        elif t >= self.quiet_until:
            self.quiet_until = t + 10
            print(text, flush=True)

    def close(self):
        if self.tty:
            print("\r\033[K", end="", flush=True)


class Demo:
    def __init__(self, scenario, stack, options, wall=None):
        self.scenario, self.stack, self.options = scenario, stack, options
        self.wall = wall
        self.terminal = Terminal()
        self.watcher = Watcher(stack.url)
        self.judge = Judge(scenario, stack.peers)
        self.phases = {}

    # -- what happens

    def say(self, kind, text, colour):
        self.terminal.line(f"{self.stack.t:6.0f} s  {kind:<9} {text}", colour)

    def tell_faults(self):
        t = self.stack.t - self.stack.shift
        for fault in self.scenario.faults:
            phase = fault.phase(t)
            if phase == self.phases.get(fault.name):
                continue
            self.phases[fault.name] = phase
            if phase is None:
                self.say("REPAIRED", fault.name, "yellow")
            else:
                self.say("BROKEN", fault.describe(phase), "yellow")

    def tell_alerts(self):
        new, ended = self.watcher.look(self.stack.t)
        for seen in new:
            self.say("ALERT", f"{seen.severity}: {seen.name}", "red")
            self.terminal.line(f"{'':20}{seen.summary}")
            self.terminal.line(f"{'':20}because of {seen.feature}, "
                               f"score {seen.score:.0f}{self.after(seen.t)}")
        for seen in ended:
            self.say("RESOLVED", seen.name, "green")
        for seen in new:
            if self.wall and any(self.judge.names(fault, seen)
                                 for fault in self.scenario.faults):
                self.wall.show(self.stack.url, seen)

    def after(self, t):
        for fault in self.scenario.faults:
            start = fault.at + self.stack.shift
            if start <= t <= fault.end + self.stack.shift:
                return f", {t - start:.0f} s after the fault began"
        return ""

    def tell_status(self):
        t, traffic = self.stack.t, self.stack.traffic
        if not traffic:
            return
        sent = max(1, traffic["sent"])
        bad = sum(n for s, n in traffic["statuses"].items()
                  if s == "0" or s >= "500")
        p95 = (traffic["p95"] or 0) * 1000
        mood = f"{len(self.watcher.firing)} alerts firing" \
            if self.watcher.firing else "all is well"
        self.terminal.status(
            t, f"{t:6.0f} s  {traffic['sent']} requests/s, {bad / sent:.1%} "
               f"failed, p95 {p95:.0f} ms; {mood}")

    # -- how long

    def step(self):
        self.tell_faults()
        self.tell_alerts()
        self.tell_status()
        for part in (self.stack.nginx, self.stack.sidecar, self.stack.redis):
            assert part.running, f"{part.name} ended:\n{part.log[-3000:]}"
        self.stack._stopping.wait(0.25)

    def last_repair(self):
        ends = [fault.end for fault in self.scenario.faults]
        return self.stack.shift + max(ends, default=60.0)

    def run_once(self):
        """Until every alert has ended after the last repair, and settled."""
        calm = None
        while self.stack.t < self.last_repair() + RESOLVE:
            self.step()
            if self.stack.t < self.last_repair() or self.watcher.firing:
                calm = None
            elif calm is None:
                calm = self.stack.t
            elif self.stack.t > calm + self.options.settle:
                break

    def run_on(self):
        """Until Ctrl-C or --seconds, again and again."""
        end = self.options.seconds or float("inf")
        while self.stack.t < end:
            self.step()
            if self.stack.t > self.last_repair() + PAUSE:
                self.stack.shift = self.stack.t

    def check(self):
        """Print the verdict; True if all is as it should be."""
        complaints = []
        for seen in self.judge.false_alarms(self.watcher.seen):
            complaints.append(
                f"false alarm at {seen.t:.0f} s: {seen.name} "
                f"({seen.feature}, {seen.summary})")
        for fault in self.scenario.faults:
            verdict = self.judge.verdict(fault, self.watcher.seen)
            if verdict.alert:
                ended = verdict.alert.ended
                self.terminal.line(
                    f"found after {verdict.delay:.1f} s: {verdict.alert.name} "
                    f"by {verdict.alert.feature}, " + (
                        f"resolved {ended - fault.end:.0f} s after the repair"
                        if ended else "still firing"))
            complaints += verdict.complaints()
        if self.wall:
            self.terminal.line(f"the page: {self.wall.picture}")
            complaints += self.wall.complaints
        totals = self.stack.totals
        self.terminal.line(f"{totals['sent']} requests, "
                           f"{totals['failed']} failed in the simulation")
        for complaint in complaints:
            self.terminal.line(complaint, "red")
        return not complaints


def choose_port(wanted):
    if wanted:
        return wanted
    return 8080 if not is_listening(("127.0.0.1", 8080)) else free_port()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="?",
                        default=HERE / "scenarios" / "demo.yaml")
    parser.add_argument("--check", action="store_true",
                        help="one round, judged; exit code 1 if it is off")
    parser.add_argument("--seconds", type=float, metavar="N",
                        help="stop after so long instead of at Ctrl-C")
    parser.add_argument("--settle", type=float, default=20, metavar="N",
                        help="quiet seconds that end a check (20)")
    parser.add_argument("--port", type=int, default=0,
                        help="of nginx (8080, or a free one if it is taken)")
    parser.add_argument("--screenshot", metavar="FILE",
                        help="PNG of the page while the alert fires (with "
                             f"--check: {BUILD.name}/demo.png)")
    parser.add_argument("--keep", metavar="DIR",
                        help="directory for logs and state, kept")
    options = parser.parse_args()
    if options.check and not options.screenshot:
        options.screenshot = BUILD / "demo.png"
    return options


def run(options, directory):
    scenario = Scenario.load(options.scenario)
    stack = Stack(scenario, directory, choose_port(options.port))
    demo, wall, ok = None, None, True
    try:
        if options.screenshot:
            from wall import Wall  # a demo without needs no browser
            wall = Wall(options.screenshot)
        stack.start()
        demo = Demo(scenario, stack, options, wall)
        wait_until(lambda: demo.watcher.look(0) is not None, 15, stack.url)
        demo.terminal.line(f"Alerts: {stack.url}", "bold")
        demo.terminal.line(
            f"{len(stack.peers)} servers in {len(scenario.clouds)} clouds; "
            + ("one check." if options.check else "Ctrl-C ends it."))
        if options.check:
            demo.run_once()
        else:
            demo.run_on()
    except KeyboardInterrupt:
        ok = not options.check
    finally:
        if demo:
            demo.terminal.close()
        if wall:
            wall.close()
        stack.stop()
    if options.check and ok:
        ok = demo.check()
        print("demo: " + ("passed" if ok else "FAILED"))
    return ok


def main():
    options = arguments()

    def interrupt(number, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    directory = options.keep or tempfile.mkdtemp(prefix="tocsin-demo-")
    pathlib.Path(directory).mkdir(exist_ok=True)
    ok = False
    try:
        ok = run(options, directory)
    finally:
        if ok and not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
        elif not ok:
            print(f"logs: {directory}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
