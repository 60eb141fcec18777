"""Input that is wrong on purpose: clocks that jump, numbers that are none,
names without end. Whatever comes, the series that were there before go on
being scored, and a fault in one of them is told."""

import copy
import pathlib

import pytest

from harness import SANITIZER
from streams import beat, request, upstream
from test_alert import QUIET, ROUTES, Town, labels
from traffic import Traffic

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000  # us
MAX = 500  # series
NAMES = 10_000  # a second; fewer while a fault is awaited


@pytest.fixture
def town(redis, start_sidecar):
    traffic = Traffic(redis, copy.deepcopy(ROUTES))
    traffic.run(QUIET)
    town = Town(redis, start_sidecar(redis, {
        "model": {"train": False}, "series": {"max": MAX}}), traffic)
    town.caught_up()
    assert town.sidecar.alerts() == []
    return town


def board(town):
    return {name: int(value) for name, value in
            town.sidecar.wait_board().items() if value.isdigit()}


def told_of_known(town, state="firing"):
    """Alerts of series that are not the forger's."""
    return [alert for alert in town.told(state)
            if labels(alert).get("cloud_region") != "eu-1"]


def assert_still_guarded(town):
    """Nothing was told so far, and a fault that comes now is."""
    town.caught_up()
    assert told_of_known(town) == []
    peer = town.traffic.peers["shop"][1]
    peer.latency *= 8
    assert town.traffic.follow(lambda: told_of_known(town), 30) <= 12
    alert = told_of_known(town)[0]
    assert labels(alert)["peer"] == peer.name
    assert labels(alert)["upstream"] == "shop"


# -------------------------------------------------------------------- clocks

@pytest.mark.parametrize("skew", [-MINUTE, -HOUR, DAY])
def test_clock_of_a_host_is_wrong(town, skew):
    """From one second to the next, and for ever."""
    town.traffic.skew = skew
    town.traffic.run(30)
    assert_still_guarded(town)


def test_clock_of_a_host_jumps_to_and_fro(town):
    for skew in (-HOUR, 0, DAY, -HOUR, 5 * DAY, 0):
        town.traffic.skew = skew
        town.traffic.run(8)
    assert_still_guarded(town)


def test_one_event_from_the_end_of_time(town):
    """A single forged entry moves nobody's time."""
    def forge(pipe, at):
        for ts in (0, 1, 2**62, 2**63, 2**64 - 1):
            forge.seq += 1
            pipe.xadd("tocsin:request", request(
                forge.seq, src="forger/1/1", ts=ts), id=f"{at}-*")
            pipe.xadd("tocsin:beat", beat(
                forge.seq, src="forger/1/1", ts=ts), id=f"{at}-*")

    forge.seq = 0
    town.traffic.extra = forge
    town.traffic.run(20)
    assert_still_guarded(town)


# ------------------------------------------------------------------- numbers

WORDS = ["nan", "NaN", "-nan", "inf", "-inf", "Infinity", "-1", "1e308", "0x7f",
         "1.5", "", " 1", "1 ", "+1", "18446744073709551615",
         "18446744073709551616", "9" * 300, "\x00", "1\x002"]


def numeric(fields):
    return [name for name, value in fields.items()
            if isinstance(value, int) and name != "seq"]


def test_numbers_that_are_none(town):
    """In every numeric field of every stream."""
    kinds = (("request", request), ("upstream", upstream), ("beat", beat))

    def forge(pipe, at):
        for stream, make in kinds:
            for name in numeric(make(1)):
                for word in WORDS:
                    forge.seq += 1
                    fields = make(forge.seq, src="forger/1/1", ts=at * 1000)
                    pipe.xadd(f"tocsin:{stream}", {**fields, name: word},
                              id=f"{at}-*")

    forge.seq = 0
    town.traffic.extra = forge
    town.traffic.run(5)
    town.traffic.extra = None
    assert_still_guarded(town)
    assert board(town)["malformed"] >= 5 * len(WORDS)


def test_numbers_in_flight_that_are_none(town):
    def forge(pipe, at):
        for word in WORDS:
            for item in (f"shop=10.0.0.9:80={word}=1=aws=eu=",
                         f"shop=10.0.0.9:80=1={word}=aws=eu=",
                         f"{word}={word}={word}={word}={word}={word}={word}"):
                pipe.xadd("tocsin:beat", beat(
                    1, src="forger/1/1", ts=at * 1000, inflight=item),
                    id=f"{at}-*")

    town.traffic.extra = forge
    town.traffic.run(5)
    town.traffic.extra = None
    assert_still_guarded(town)


# --------------------------------------------------------------------- names

def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no RssAnon")


def test_names_without_end(town):
    """10,000 servers a second that nobody has ever seen before."""
    def forge(pipe, at):
        for _ in range(forge.names):
            forge.seq += 1
            pipe.xadd("tocsin:request", request(
                forge.seq, src="forger/1/1", ts=at * 1000,
                server=f"s{forge.seq}.example"), id=f"{at}-*")

    forge.seq, forge.names = 0, NAMES
    town.traffic.extra = forge
    town.traffic.run(2)
    town.caught_up()
    first = resident(town.sidecar.pid)
    town.traffic.run(4)
    town.caught_up()
    now = board(town)
    assert now["series"] <= MAX
    assert now["series_evicted"] > MAX
    if not SANITIZER:  # which keeps what is freed
        assert resident(town.sidecar.pid) <= first + (16 << 20)
    forge.names = NAMES // 10
    assert_still_guarded(town)  # while they keep coming
