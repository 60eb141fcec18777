"""SIGKILL of the sidecar at any moment: nobody can tell that it happened.

Two sidecars read the same stream, which is made up. One lives once; the other
is killed again and again, at moments that a seed chooses. What they say and
what they know in the end is the same to the last byte, but for one stamp of
the clock on the wall: since when the model serves that it began with. So are
the models that they have trained meanwhile.
"""

import json
import random
import threading
import time

import pytest

from checkpoints import sections
from harness import SANITIZER, Sidecar, wait_until
from traffic import Route, Traffic

ROUTES = [
    Route("/shop", "shop", "aws", "us-east-1"),
    Route("/find", "find", "gcp", "us-c1"),
    Route("/pay", "pay", "gcp", "us-c1"),
]
CONFIG = {
    "intake": {"backlog": "2h"},
    "model": {"train": False},
    "state": {"every": "1s"},
}
READY = "run: ready\n"
KILLS = 10 if SANITIZER else 50  # a life costs ten times as much there
TICKS = 400
LESSONS = 680  # windows of 256 ticks are learned from, a round of 80 of them
BEGINS = "a round of training begins"


class Story(Traffic):
    """The same for the same tick: three faults, and what follows them."""

    def __init__(self, redis, begin):
        super().__init__(redis, ROUTES, seed=8)
        self.now, self.tick = begin, 0

    def go_on(self, until=TICKS):
        while self.tick < until:
            self.turn()
            self.run(1)
            self.tick += 1

    def turn(self):
        slow, refusing, _ = self.peers["find"][0], *self.peers["shop"][1:]
        for peer in self.peers["find"] + self.peers["pay"]:
            peer.errors = 0.5 if 230 <= self.tick < 255 else 0.0
        slow.latency = 0.25 if 150 <= self.tick < 175 else 0.02
        refusing.refuses = 310 <= self.tick < 335


def written(sidecar):
    """Events in the streams."""
    return sum(sidecar.redis.client.xlen(f"tocsin:{stream}")
               for stream in ("request", "upstream", "beat"))


def caught_up(sidecar, total):
    boards = sidecar.redis.client.xrevrange("tocsin:board", count=1)
    assert sidecar.running, sidecar.log[-4000:]
    return boards and int(boards[0][1]["events"]) == total


def end_of(sidecar):
    """All that it told and knows, at the end of its stream."""
    total = written(sidecar)
    wait_until(lambda: caught_up(sidecar, total), 180,
               "the end of the stream")
    sidecar.stop()
    told = sidecar.alerts()
    for entry in told:
        del entry["_id"]  # when it was written, not what it says
    known = sections((sidecar.dir / "state" / "checkpoint").read_bytes())
    known["run"] = known["run"][8:]  # since when the model serves
    return told, known


def start_until_ready(sidecar):
    """Seconds that it took."""
    before, spawned = sidecar.log.count(READY), time.monotonic()
    sidecar.start(ready=False)
    wait_until(lambda: sidecar.log.count(READY) > before, 60, "the sidecar")
    return time.monotonic() - spawned


def saves(sidecar):
    """When the newest checkpoint was written."""
    path = sidecar.dir / "state" / "checkpoint"
    return path.stat().st_mtime_ns if path.exists() else 0


def wait_for_saves(sidecar, count=1):
    for _ in range(count):
        before = saves(sidecar)
        wait_until(lambda: saves(sidecar) != before, 60, "a checkpoint")


def start_until_saved(sidecar):
    """Until it has written a checkpoint of its own."""
    sidecar.start(ready=False)
    wait_for_saves(sidecar)


def live_and_die(sidecar, story, until, life):
    """The stream goes on during a life, wherever that is cut off."""
    killer = threading.Timer(life, sidecar.kill)
    killer.start()
    pace = life / max(until - story.tick, 1)
    while story.tick < until:
        story.go_on(story.tick + 1)
        killer.finished.wait(pace)
    killer.join()
    assert not sidecar.running


@pytest.fixture
def stage(start_redis, running, directory):
    """stage(begin, **model) -> (story, sidecar that was not started yet)"""
    def make(begin, **model):
        redis = start_redis()
        config = {**CONFIG, "model": model or CONFIG["model"]}
        sidecar = running(Sidecar(directory("sidecar"), redis, config))
        return Story(redis, begin), sidecar

    return make


def live_once(story, sidecar, ticks):
    """(seconds of a start, what it told, what it knows)"""
    story.go_on(ticks)
    birth = start_until_ready(sidecar)
    told, known = end_of(sidecar)
    fired = {alert["id"] for alert in told if alert["state"] == "firing"}
    over = [alert["id"] for alert in told if alert["state"] == "resolved"]
    assert len(over) >= 3 and sorted(over) == sorted(fired)
    return birth, told, known


def the_same(sidecar, told, known):
    told_again, known_again = end_of(sidecar)
    assert told_again == told
    assert known_again.keys() == known.keys()
    for name, state in known.items():
        assert known_again[name] == state, f"section {name}"
    assert "is of no use" not in sidecar.log


def test_killed_at_fifty_moments(stage):
    begin = int(time.time() - TICKS - 60) * 1000
    birth, told, known = live_once(*stage(begin), TICKS)

    moments = random.Random(4)
    story, sidecar = stage(begin)
    for kill in range(1, KILLS + 1):
        if kill % 5 == 0:
            sidecar.start(ready=False)  # killed while it begins
        elif kill % 5 == 1:
            start_until_saved(sidecar)
        else:
            start_until_ready(sidecar)
        live_and_die(sidecar, story, TICKS * kill // KILLS,
                     moments.uniform(0, 0.6) * birth)
    assert sidecar.log.count("goes on from the checkpoint") >= KILLS // 2
    sidecar.start()
    the_same(sidecar, told, known)


def die_in_a_round(sidecar, story):
    """With a checkpoint that knows of the round."""
    def go_on():
        story.go_on(story.tick + 3)
        wait_until(lambda: caught_up(sidecar, written(sidecar)), 60,
                   "the sidecar to follow")

    go_on()
    before = sidecar.log.count(BEGINS)
    while sidecar.log.count(BEGINS) == before:
        assert story.tick < LESSONS
        go_on()
    wait_for_saves(sidecar, 2)  # the first may be of before
    sidecar.kill()


def trained(sidecar):
    """What the rounds came to, and the models that won, byte for byte."""
    models = sidecar.dir / "state" / "models"
    rounds = [json.loads(line)
              for line in (models / "history").read_text().splitlines()]
    for line in rounds:
        del line["cpu"]
    return rounds, {path.name: path.read_bytes()
                    for path in models.glob("*.pt")}


@pytest.mark.once(because="rounds take long there, and those of "
                          "test_learning are the same code")
def test_killed_while_it_learns(stage, untrained):
    """Rounds that were cut off are made again, and end where they would have:
    the same models serve from the same ticks on."""
    begin = int(time.time() - LESSONS - 60) // 60 * 60000
    model = {"path": str(untrained), "train_every": "1m", "train_share": 1}
    story, sidecar = stage(begin, **model)
    _, told, known = live_once(story, sidecar, LESSONS)
    rounds, models = trained(sidecar)
    assert len(rounds) >= 3 and models

    moments = random.Random(5)
    story, again = stage(begin, **model)
    for kill in range(1, 9):
        start_until_ready(again)
        live_and_die(again, story, 400 * kill // 8, moments.uniform(0.3, 4))
    for _ in range(2):
        again.start(ready=False)
        die_in_a_round(again, story)
    story.go_on(LESSONS)
    again.start()
    the_same(again, told, known)
    assert trained(again) == (rounds, models)
    assert again.log.count("begun again") >= 2
