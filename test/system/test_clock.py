"""Redis' clock is set while the sidecar reads: its ids jump, or stand."""

import threading
import time

import pytest

from harness import wait_until
from shifted import *  # noqa: F403 (the fixtures)
from traffic import Route, Traffic

HOUR = 3600
ROUTES = [
    Route("/shop", "shop", "aws", "us-east-1"),
    Route("/find", "find", "gcp", "us-c1"),
]


class Live(Traffic):
    """Five minutes of the past at once, then second by second as they pass,
    with ids that Redis makes."""

    def __init__(self, redis):
        super().__init__(redis, ROUTES, seed=3, back=300)
        self.over = threading.Event()
        self.alive = False
        while self.now < time.time() * 1000 - 1500:
            self.run(1)
        self.alive = True
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    def _add(self, pipe, stream, at, fields):
        if self.alive:
            pipe.xadd(f"tocsin:{stream}", fields)
        else:
            super()._add(pipe, stream, at, fields)

    def live(self):
        while not self.over.wait(
                max(self.now / 1000 + 1 - time.time(), 0.001)):
            self.run(1)

    def break_down(self, errors):
        for peer in self.peers["find"]:
            peer.errors = errors

    def stop(self):
        self.over.set()
        self.thread.join()


@pytest.fixture
def stage(shifted, running, start_sidecar):
    """(Redis, traffic, sidecar) that have met"""
    live = running(Live(shifted))
    sidecar = start_sidecar(shifted, {
        # a busy machine writes the traffic late: that is no silence
        "intake": {"backlog": "1h", "lateness": "4s"}, "model": {"train": False},
        "state": {"every": "1s"}})
    goes_on(sidecar)
    return shifted, live, sidecar


def board(sidecar):
    found = sidecar.redis.client.xrevrange("tocsin:board", count=1)
    return {k: int(v) for k, v in found[0][1].items() if v.isdigit()}


def behind(sidecar):
    """s from the end of the last tick to now"""
    return time.time() - board(sidecar)["tick"] / 1e6


def goes_on(sidecar, ticks=3):
    """Ticks close, one a second, and are of now."""
    seen = set()

    def closed():
        late = behind(sidecar)
        if abs(late) < 10:
            seen.add(board(sidecar)["tick"])
        return len(seen) >= ticks

    wait_until(closed, 60, "ticks")


def told(sidecar, state, count=1):
    """Alerts that came to this state, by id."""
    def enough():
        found = {a["id"]: a for a in sidecar.alerts() if a["state"] == state}
        return found if len(found) >= count else None

    return wait_until(enough, 60, f"{count} alerts {state}")


def is_whole(sidecar):
    now = board(sidecar)
    assert now["gaps"] == now["duplicates"] == now["malformed"] == 0, now
    assert now["late"] < 100, now
    assert now["lag"] < 10_000_000, now


def test_an_hour_ahead_and_back(stage):
    redis, live, sidecar = stage
    series = board(sidecar)["series"]
    redis.set_clock(HOUR)
    goes_on(sidecar)
    live.break_down(0.5)
    for alert in told(sidecar, "firing").values():
        assert abs(int(alert["started"]) / 1e6 - time.time()) < 60, alert
    redis.set_clock(0)  # ids stand for an hour from now on
    goes_on(sidecar)
    sidecar.kill()
    sidecar.start()  # the last seconds are read again, all of one ms
    goes_on(sidecar)
    live.break_down(0)
    told(sidecar, "resolved")
    is_whole(sidecar)
    assert board(sidecar)["series"] == series  # none was taken for idle
    alerts = [(a["id"], a["state"], a["updated"]) for a in sidecar.alerts()]
    assert len(alerts) == len(set(alerts))
    assert len({id for id, _, _ in alerts}) == 1, sidecar.alerts()
    assert "Redis' clock was set, or stands" in sidecar.log
    # ids of before are read by whoever asks what stands in the stream
    assert sidecar.run("status").returncode == 0


def test_an_hour_back(stage):
    redis, live, sidecar = stage
    redis.set_clock(-HOUR)
    goes_on(sidecar)
    live.break_down(0.5)
    alert = next(iter(told(sidecar, "firing").values()))
    assert abs(int(alert["started"]) / 1e6 - time.time()) < 60, alert
    redis.set_clock(0)
    live.break_down(0)
    told(sidecar, "resolved")
    goes_on(sidecar)
    is_whole(sidecar)
