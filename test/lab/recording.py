"""Recordings of scenarios: events as they came, and what was broken when.

A recording is two files: NAME.events, what `tocsin tail --record` wrote,
packed (pack.py), and NAME.labels.json: the scenario, when its load began, the
ports of its services. Played again it is judged as a living scenario is, in
seconds, and always the same.
"""

import calendar
import json
import pathlib
import signal
import subprocess
import tempfile
import time

from harness import MODEL, TOCSIN, tocsin
from judge import Seen
from pack import pack, unpack
from scenario import Scenario

EVENTS, LABELS = ".events", ".labels.json"
BACK = 60  # seconds: what came before the recorder


class Recorder:
    """Writes down what the streams of a running stack get."""

    def __init__(self, stack):
        self.stack = stack
        self.path = stack.dir / "recording"
        self.process = subprocess.Popen(
            [TOCSIN, "tail", "--record", self.path, "--back", str(BACK),
             "-c", stack.sidecar.config_path], start_new_session=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, "tocsin tail --record failed"

    def save(self, stem, scenario, seconds):
        """After stop(): the two files, at a path without an ending."""
        stem = pathlib.Path(stem)
        labels = {"scenario": pathlib.Path(scenario.origin).stem,
                  "began": round(self.stack.began_at, 3),
                  "seconds": round(seconds, 1), "ports": self.stack.ports}
        stem.with_name(stem.name + LABELS).write_text(
            json.dumps(labels, indent=1) + "\n")
        stem.with_name(stem.name + EVENTS).write_bytes(
            pack(self.path.read_bytes()))


def epoch(text):
    """Seconds of an RFC 3339 time in UTC."""
    whole, _, rest = text.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) \
        + float(f"0.{rest or 0}")


class Recording:
    """One that was saved."""

    def __init__(self, stem, scenarios):
        self.stem = pathlib.Path(stem)
        labels = json.loads(self._file(LABELS).read_text())
        self.scenario = Scenario.load(scenarios / f"{labels['scenario']}.yaml")
        self.began, self.seconds = labels["began"], labels["seconds"]
        self.peers = self.scenario.peers(labels["ports"].__getitem__)

    def _file(self, ending):
        return self.stem.with_name(self.stem.name + ending)

    def replay(self, *options):
        """What it would have told: (alerts as the judge sees them, log)."""
        with tempfile.TemporaryDirectory(prefix="tocsin-replay-") as name:
            events, model = (pathlib.Path(name) / part
                             for part in ("events", "model.pt"))
            events.write_bytes(unpack(self._file(EVENTS).read_bytes()))
            model.write_bytes(MODEL.read_bytes())
            model.chmod(0o600)
            done = tocsin("backtest", "--replay", events, "--model", model,
                          "--json", *options, timeout=600)
        assert done.returncode == 0, done.stderr
        return list(self._told(done.stdout)), done.stderr

    def _told(self, lines):
        firing = {}
        for line in lines.splitlines():
            alert = json.loads(line)
            key = alert["tocsin"]["id"]
            t = epoch(alert["updatedAt"]) - self.began
            if alert["tocsin"]["state"] == "firing":
                firing[key] = Seen.of(alert, t)
            else:
                firing[key].ended = t
        return firing.values()
