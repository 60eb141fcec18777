"""Learning while running: rounds, what they may learn, and the way back.

The sidecar is real, with its trainer; only nginx is played, in the time of
the stream, so that hours pass in seconds.
"""

import json
import os
import re
import subprocess

import pytest

from harness import TOCSIN, wait_until
from traffic import Route, Traffic

ROUTES = [
    Route("/shop", "shop", "aws", "us-east-1", rate=8),
    Route("/pay", "pay", "gcp", "us-c1", rate=8),
    Route("/find", "find", "azure", "eastus", rate=4),
]
HOUR = 3600
BEGINS, ENDS = "a round of training begins", "model: challenger "


class Learner:
    def __init__(self, redis, start_sidecar, back, **model):
        self.traffic = Traffic(redis, [Route(**vars(r)) for r in ROUTES],
                               back=back)
        self.sidecar = start_sidecar(redis, {
            "model": {"train_every": "1m", "train_share": 1, **model},
            "intake": {"backlog": "1d"}})

    def run(self, ticks):
        """Ticks pass no faster than the sidecar follows."""
        for done in range(0, ticks, 300):
            self.traffic.run(min(300, ticks - done))
            self.caught_up()

    def caught_up(self):
        wait_until(
            lambda: int(self.sidecar.wait_board()["tick"]) // 1000
            >= self.traffic.now - 2000, 60, "the sidecar to catch up")

    def start(self, *args):
        """A subcommand in the background: time passes beside it."""
        return subprocess.Popen(
            [str(TOCSIN), *args, "-c", str(self.sidecar.config_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self):
        return json.loads(self.sidecar.run("status", "--json").stdout)

    def rounds(self, verdict):
        return [r for r in self.status()["rounds"] if r["verdict"] == verdict]

    def until(self, done, what, ticks=5):
        """Let time pass, in the stream and for the trainer, until it is."""
        def step():
            self.traffic.run(ticks)
            self.caught_up()
            return done()

        wait_until(step, 180, what)

    @property
    def log(self):
        return self.sidecar.log

    def told(self, state):
        return [a for a in self.sidecar.alerts() if a["state"] == state]


def test_a_better_model_serves_and_is_rolled_back(redis, start_sidecar,
                                                  untrained):
    town = Learner(redis, start_sidecar, 2000, path=str(untrained))
    town.run(400)
    town.until(lambda: town.status()["swapped"] > 0, "a challenger that wins")
    town.until(lambda: town.log.count(BEGINS) == town.log.count(ENDS),
               "the end of the round")
    won = town.rounds("won")[-1]
    assert won["after"] < won["before"]
    assert won["held"] > 0 and won["windows"] > won["held"]
    assert town.status()["model"] == won["version"]
    assert won["version"].startswith("untrained-1+")

    said = town.sidecar.run("status").stdout
    assert f"{won['version']} (of {won['parent']}): won, loss" in said

    # It is what a restart begins with.
    town.sidecar.stop()
    town.sidecar.start()
    assert town.status()["model"] == won["version"]

    # The way back waits for no round, and what comes of it serves no more.
    town.run(400)
    town.until(lambda: town.log.count(BEGINS) > town.log.count(ENDS),
               "a round that runs")
    town.sidecar.wait_board()  # that tells what serves now
    with town.start("model", "rollback", "--comment", "too quiet") as back:
        wait_until(lambda: town.sidecar.redis.entries("tocsin:commands"), 60,
                   "the command")
        town.until(lambda: back.poll() is not None, "the way back", ticks=1)
        out, err = back.communicate()
    assert back.returncode == 0, err
    before, left = re.fullmatch(r"(\S+) serves, (\S+) did\n", out).groups()
    lines = {r["version"]: r["parent"] for r in town.rounds("won")}
    assert lines[left] == before
    assert town.rounds("rolled back")[-1]["version"] == before
    command = town.sidecar.redis.entries("tocsin:commands")[-1]
    assert (command["what"], command["id"]) == ("rollback", left)
    assert command["comment"] == "too quiet"
    assert "rolled back from" in town.log
    town.until(lambda: town.log.count(BEGINS) == town.log.count(ENDS),
               "the end of the round")
    since = town.log[town.log.index("rolled back from"):]
    for version in re.findall(rf"challenger (\S+) of {re.escape(left)} won",
                              since):
        assert version in [r["version"] for r in town.rounds("discarded")]

    # A round that began after it may have won, of the one that serves again.
    serves = town.status()["model"]
    lines = {r["version"]: r["parent"] for r in town.rounds("won")}
    while serves != before:
        serves = lines[serves]


def test_nothing_to_roll_back_to(redis, start_sidecar):
    town = Learner(redis, start_sidecar, 400, train=False)
    town.run(20)
    with town.start("model", "rollback") as back:
        err = back.communicate()[1]
    assert back.returncode == 1
    assert "default-1 still serves" in err
    town.sidecar.wait_log("rollback of default-1: no model is known to have "
                          "served before default-1")


def test_a_broken_challenger_never_serves(redis, start_sidecar, untrained,
                                          tmp):
    """A weight that is not a number makes all that is learned from it so."""
    path = tmp / "broken.pt"
    subprocess.run(["/usr/bin/python3", "-c", BREAK, untrained, path],
                   check=True, capture_output=True)
    path.chmod(0o600)
    town = Learner(redis, start_sidecar, 2000, path=str(path))
    town.run(400)
    town.until(lambda: town.rounds("broken"), "a broken challenger")
    assert town.status()["model"] == "untrained-1"
    assert town.status()["swapped"] == 0
    assert town.rounds("broken")[-1]["reason"] != ""
    assert not os.path.exists(f"{town.sidecar.dir}/state/models/current")


BREAK = """
import sys, torch
model = torch.jit.load(sys.argv[1])
with torch.no_grad():
    for name, value in model.named_parameters():
        if name.endswith("joint"):
            value.fill_(float("nan"))
model.save(sys.argv[2])
"""


def ended(town):
    """Those that are over, not those that became a part of a wider one."""
    return [a for a in town.told("resolved")
            if "wider alert" not in a["description"]
            and "told on its own" not in a["description"]]


@pytest.mark.once(because="it judges what is learned; the rounds and swaps "
                          "of the tests above are the same code")
def test_hours_of_change(redis, start_sidecar):
    """A release makes one upstream three times as slow for good; another one
    fails for hours. The first is the new normal within the hour and told
    once; the second is not learned while its alert stands. Meanwhile a third
    one, which is well, is learned from."""
    town = Learner(redis, start_sidecar, 3 * HOUR, train_every="10m")
    town.run(300)
    for peer in town.traffic.peers["shop"]:
        peer.latency *= 3
    for peer in town.traffic.peers["pay"]:
        peer.errors = 0.3
    town.run(3000)
    firing = {a["id"]: a for a in town.told("firing")}
    assert not ended(town)
    slow = [a for a in firing.values() if a["alertname"] == "LatencyHigh"]
    failing = [a for a in firing.values() if a["alertname"] == "ErrorsHigh"]
    assert slow and failing and len(firing) <= 4, firing
    assert float(slow[0]["expected"]) < 0.05

    town.run(1500)
    resolved = {a["id"] for a in ended(town)}
    assert resolved & {a["id"] for a in slow}
    assert not resolved & {a["id"] for a in failing}
    assert len({a["id"] for a in town.told("firing")}) <= 4
    town.until(lambda: town.status()["trained"] > 0, "a round")
