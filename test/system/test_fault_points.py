"""Workers that die in the middle of their work on shared memory, at points
that a build of its own has (make faults; shared/fault.h lists them): the
others go on, nothing stays locked, and what was taken is sent."""

import random
import re

import pytest

import boards
from accounts import (
    assert_all_arrived, assert_no_gap, counters, distinct, drained, numbers,
    settled,
)
from alerting import alerts
from harness import MODULE, ROOT, Load, wait_until

HTTP = """
tocsin on;
tocsin_redis @redis@;
server {
    listen @port@;
    location / { return 200 "ok"; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""
POINTS = re.findall(r"^    X\((\w+),",
                    (ROOT / "shared/fault.h").read_text(), re.M)
# Points that a worker comes to when there is load, or news for the page.
BUSY = ["RECORD", "PUT", "STATE", "PUBLISHED", "SENT", "SETTLED"]
NEWS = ["BOARD", "SIDE", "TURNED"]
LIFE = ["LEASED", "OPENED", "RELEASING", "FEED"]

pytestmark = pytest.mark.skipif(
    not MODULE.exists() or b"TOCSIN_FAULT_DIR" not in MODULE.read_bytes(),
    reason="built without fault points")


class Points:
    """Where the next worker is to die."""

    def __init__(self, path, nginx):
        self.path, self.nginx = path, nginx
        nginx.allow(r"worker process \d+ exited on signal 9")

    def arm(self, point, passes=0):
        (self.path / point).write_bytes(b"." * passes)

    def reached(self, point):
        """Asks for the counters, too: they add up in every answer."""
        counters(self.nginx)
        return not (self.path / point).exists()

    def wait(self, point, provoke=lambda: None):
        def gone():
            provoke()
            return self.reached(point)

        wait_until(gone, 30, f"a death at {point}")

    def deaths(self):
        return len(re.findall(r"exited on signal 9", self.nginx.log))


@pytest.fixture
def site(tmp, start_nginx):
    """site(redis) -> (nginx, points)"""
    def start(redis):
        path = tmp / "faults"
        path.mkdir()
        nginx = start_nginx(HTTP, redis=redis.url,
                            main=f"env TOCSIN_FAULT_DIR={path};")
        return nginx, Points(path, nginx)

    return start


def tell(redis, ident, **fields):
    redis.client.xadd("tocsin:alerts", boards.alert(id=ident, **fields))


def goes_on(nginx, redis, load, deaths):
    """Requests are served, events arrive, news are shown: by all workers."""
    wait_until(lambda: len(nginx.worker_pids()) == nginx.workers,
               what="all workers")
    load.wait_for(200)
    tell(redis, "after", state="firing")
    for _ in range(10):
        wait_until(lambda: "after" in alerts(nginx), what="the news")
    load.stop()
    now = assert_all_arrived(nginx, redis)
    # what a worker had answered, but not yet taken, when it died
    assert load.sent - 20 * deaths <= now.emitted <= load.sent + 20 * deaths
    assert not [s for s in load.statuses if s != 200]


def test_every_point_is_tried():
    assert sorted(POINTS) == sorted(BUSY + NEWS + LIFE + ["ADOPTED"])


@pytest.mark.parametrize("point", BUSY)
def test_dies_while_it_takes_and_sends_events(redis, site, point):
    nginx, points = site(redis)
    with Load(nginx.url("/")) as load:
        for death in range(1, 4):
            load.wait_for(100)
            points.arm(point)
            points.wait(point)
            wait_until(lambda: points.deaths() == death, what="the master")
        goes_on(nginx, redis, load, 3)


@pytest.mark.parametrize("point", NEWS)
def test_dies_while_it_writes_to_the_board(redis, site, point):
    """Of several documents, one after the other."""
    nginx, points = site(redis)
    with Load(nginx.url("/"), pause=0.005) as load:
        for round_ in range(1, 9):
            tell(redis, "one", state="firing", score=round_)
            wait_until(lambda: "one" in alerts(nginx), what="the page")
            points.arm(point, passes=round_ % 4)
            points.wait(point, lambda: tell(
                redis, "one", state="firing", score=50))
            # what readers have of the unfinished write is not the last word
            alerts(nginx)
            tell(redis, "one", state="resolved", ended=boards.now())
            for _ in range(6):
                wait_until(lambda: alerts(nginx)["one"]["tocsin"]["state"]
                           == "resolved", what="the newest state")
            wait_until(lambda: points.deaths() == round_, what="the master")
        goes_on(nginx, redis, load, 8)


@pytest.mark.parametrize("point", LIFE)
def test_dies_when_it_begins_or_ends(redis, site, point):
    nginx, points = site(redis)
    with Load(nginx.url("/")) as load:
        load.wait_for(100)
        points.arm(point)
        old = nginx.reload(wait=False)
        points.wait(point)
        nginx.wait_drained(old)
        goes_on(nginx, redis, load, 1)


def test_dies_when_it_takes_over_from_a_dead_one(start_redis, site):
    redis = start_redis()
    nginx, points = site(redis)
    with Load(nginx.url("/")) as load:
        load.wait_for(100)
        wait_until(lambda: counters(nginx).delivered > 0, what="events")
        redis.kill()
        load.wait_for(300)
        nginx.wait_drained(nginx.reload())  # they leave what they have
        load.wait_for(100)
        points.arm("ADOPTED")
        redis.start()
        points.wait("ADOPTED")
        load.wait_for(100)
    now = wait_until(lambda: settled(nginx, load.sent - 20), what="the log")
    now = drained(nginx, now.emitted)
    assert sum(now.dropped.values()) == 0
    # what the first Redis had is gone with it
    for seqs in numbers(redis).values():
        assert set(seqs) == set(range(min(seqs), max(seqs) + 1))
    assert distinct(redis) >= 300


def test_dies_again_and_again(redis, site):
    """Also where the last one died while it cleaned up after another."""
    nginx, points = site(redis)
    order = random.Random(7)
    with Load(nginx.url("/")) as load:
        for _ in range(24):
            point = order.choice(BUSY + NEWS + ["OPENED", "LEASED"])
            points.arm(point)
            if point in ("OPENED", "LEASED"):
                points.arm(order.choice(BUSY))
            points.wait(point, lambda: tell(redis, "news", state="firing"))
        wait_until(lambda: not list(points.path.iterdir()), what="all deaths")
        goes_on(nginx, redis, load, 36)
    assert_no_gap(redis)
    slots = {src.split("/")[1] for src in numbers(redis)}
    assert len(slots) <= 6, "slots of the dead are taken again"
