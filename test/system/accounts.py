"""What the module says that it did, against what stands in the streams."""

import collections
import re

import pytest

from harness import wait_until

HTTP = """
tocsin on;
tocsin_redis @redis@;
@more@
server {
    listen @port@;
    server_name shop.example;
    location / { return 200 "ok"; }
    location /error { return 500; }
    location /b { return 200; }
    location /c { return 200; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""


@pytest.fixture
def nginx(start_nginx):
    def start(url, more="", **options):
        return start_nginx(HTTP, redis=url, more=more, **options)

    return start


Counters = collections.namedtuple(
    "Counters", "emitted delivered buffered dropped"
)


def counters(nginx):
    """The counters of all workers; they add up in every single answer."""
    dropped, found = {}, {}
    for line in nginx.get("/_alerts/metrics").text.splitlines():
        match = re.fullmatch(
            r'tocsin_events_(\w+?)(?:_total)?(?:\{reason="(\w+)"\})? (\d+)',
            line,
        )
        if not match:
            continue
        name, reason, value = match.groups()
        if name == "dropped":
            dropped[reason] = int(value)
        else:
            found[name] = int(value)
    now = Counters(dropped=dropped, **found)
    assert (now.emitted
            == now.delivered + now.buffered + sum(dropped.values())), now
    return now


def drained(nginx, emitted=0, timeout=20):
    """Wait until so many were emitted and nothing is buffered; the counters.

    A client has its answer a little before the log phase of the request.
    """
    def empty():
        now = counters(nginx)
        return now if now.buffered == 0 and now.emitted >= emitted else None

    return wait_until(empty, timeout, "empty rings")


def settled(nginx, emitted):
    """The counters, once so many were emitted; None before."""
    now = counters(nginx)
    return now if now.emitted >= emitted else None


def numbers(redis, stream="tocsin:request"):
    """src -> its seqs as they stand in the stream, repeats included."""
    seqs = collections.defaultdict(list)
    for entry in redis.entries(stream):
        seqs[entry["src"]].append(int(entry["seq"]))
    return seqs


def distinct(redis, *streams):
    return sum(
        len(set(seqs))
        for stream in streams or ["tocsin:request"]
        for seqs in numbers(redis, stream).values()
    )


def assert_no_gap(redis):
    for src, seqs in numbers(redis).items():
        assert set(seqs) == set(range(1, max(seqs) + 1)), src


def assert_all_arrived(nginx, redis, emitted=None):
    """Everything was delivered, once as far as Redis remembers."""
    now = drained(nginx, emitted or 0)
    assert sum(now.dropped.values()) == 0, now
    assert emitted is None or now.emitted == emitted
    assert distinct(redis) == now.delivered == now.emitted
    assert_no_gap(redis)
    return now
