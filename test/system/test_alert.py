"""From events in Redis to alerts in Redis: what is told, and of whom.

The sidecar is real, with the model that is shipped; only nginx is played.
"""

import copy

import pytest

from harness import wait_until
from traffic import Route, Traffic

ROUTES = [
    Route("/shop", "shop", "aws", "us-east-1"),
    Route("/pay", "pay", "aws", "us-east-1"),
    Route("/api", "api", "aws", "eu-west-1"),
    Route("/find", "find", "gcp", "us-c1"),
]

QUIET = 150  # ticks


def labels(alert):
    return dict(pair.split("=", 1) for pair in alert["labels"].split(","))


class Town:
    def __init__(self, redis, sidecar, traffic):
        self.redis, self.sidecar, self.traffic = redis, sidecar, traffic

    def told(self, state):
        return [a for a in self.sidecar.alerts() if a["state"] == state]

    def caught_up(self):
        """Wait until all ticks that have passed are judged."""
        wait_until(
            lambda: int(self.sidecar.wait_board()["tick"]) // 1000
            >= self.traffic.now - 2000, 60, "the sidecar to catch up")

    def until_firing(self, most=30):
        return self.traffic.follow(lambda: self.told("firing"), most)

    def until_resolved(self, count=1, most=120):
        return self.traffic.follow(
            lambda: len(self.told("resolved")) >= count, most)


@pytest.fixture
def town(redis, start_sidecar):
    traffic = Traffic(redis, copy.deepcopy(ROUTES))
    traffic.run(QUIET)
    town = Town(redis, start_sidecar(redis, {"model": {"train": False}}),
                traffic)
    town.caught_up()
    assert town.sidecar.alerts() == []
    return town


def test_slow_peer(town):
    peer = town.traffic.peers["shop"][1]
    peer.latency *= 8
    assert town.until_firing() <= 12
    alert = town.told("firing")[0]
    assert labels(alert) == {
        "cloud_provider": "aws", "cloud_region": "us-east-1",
        "upstream": "shop", "peer": "10.0.0.2:80"}
    assert alert["alertname"] == "LatencyHigh"
    assert float(alert["observed"]) > 3 * float(alert["expected"])
    assert "expected" in alert["summary"]
    assert alert["evidence"].count(",") == 59
    town.traffic.run(60)
    town.caught_up()
    assert len({a["id"] for a in town.told("firing")}) == 1
    peer.latency /= 8
    town.until_resolved()
    assert town.told("resolved")[0]["id"] == alert["id"]


def test_region_that_fails(town):
    for upstream in ("shop", "pay"):
        for peer in town.traffic.peers[upstream]:
            peer.errors = 0.5
    town.until_firing()
    town.traffic.run(10)
    town.caught_up()
    fired = town.told("firing")
    assert {tuple(labels(a).items()) for a in fired} == {
        (("cloud_provider", "aws"), ("cloud_region", "us-east-1"))}
    assert fired[0]["alertname"] == "ErrorsHigh"
    assert fired[-1]["severity"] == "critical"
    assert "upstream%3Dshop" in fired[-1]["parts"]


def test_refused_peer_behind_retries(town):
    town.traffic.peers["api"][0].refuses = True
    assert town.until_firing() <= 12
    town.traffic.run(20)
    town.caught_up()
    alert = town.told("firing")[0]
    assert labels(alert)["peer"] == "10.0.0.1:80"
    assert alert["alertname"] == "PeerUnreachable"
    assert {a["severity"] for a in town.told("firing")} == {"warning"}
    assert "Retries hide it" in alert["description"]


def test_silence_and_death(town):
    town.traffic.routes[3].rate = 0
    town.until_firing()
    alert = town.told("firing")[0]
    assert alert["alertname"] == "Silence"
    assert labels(alert)["cloud_provider"] == "gcp"


def test_surge_is_no_alarm(town):
    for route in town.traffic.routes:
        route.rate *= 2
    town.traffic.run(60)
    town.caught_up()
    assert town.sidecar.alerts() == []


def test_restart_while_it_fires(town, start_sidecar):
    town.traffic.peers["shop"][1].latency *= 8
    town.until_firing()
    town.caught_up()
    before = town.sidecar.alerts()
    town.sidecar.stop()
    town.traffic.run(10)
    town.sidecar.start()
    town.traffic.run(10)
    town.caught_up()
    after = town.sidecar.alerts()[len(before):]
    assert {a["state"] for a in after} <= {"firing"}
    assert {a["id"] for a in after} <= {a["id"] for a in before}
    town.traffic.peers["shop"][1].latency /= 8
    town.until_resolved()
    assert len(town.told("resolved")) == 1


@pytest.mark.once(because="it judges statistics, of the same code as above")
def test_twenty_clean_minutes(redis, start_sidecar):
    traffic = Traffic(redis, copy.deepcopy(ROUTES), seed=5, back=1300)
    for route in traffic.routes:
        route.rate = 6
    sidecar = start_sidecar(redis, {"model": {"train": False},
                                    "intake": {"backlog": "1h"}})
    for peer in traffic.peers["pay"]:
        peer.errors = 0.005
    traffic.run(1200)
    town = Town(redis, sidecar, traffic)
    town.caught_up()
    assert int(sidecar.wait_board()["events"]) > 1200 * 4 * 6 * 2
    assert town.told("firing") == []
