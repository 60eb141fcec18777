"""Faults of Redis and of the way to it, while requests are proxied: none of
them fails, and every event is somewhere."""

import collections
import re
import time

import pytest

import namespace
import tracing
from accounts import counters, distinct, drained, numbers, settled
from backend import answer
from faults import FAULTS, Stage
from harness import Load, Nginx, free_port, wait_until

HTTP = """
tocsin on;
tocsin_redis @redis@;
server {
    listen @port@;
    location / { proxy_pass http://@backend@; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""
STREAMS = ("tocsin:request", "tocsin:upstream")


@pytest.fixture
def proxied(start_nginx, start_backend):
    """proxied(urls) -> nginx in front of a backend"""
    backend = start_backend(answer(200))
    return lambda urls: start_nginx(HTTP, redis=urls, backend=backend.address)


@pytest.mark.skipif(not namespace.available(), reason="no namespaces")
def test_packets_are_dropped(directory, running, proxied):
    network = running(namespace.Namespace()).start()
    redis = running(namespace.Far(directory("redis"), network)).start()
    server = proxied(redis.url)
    with Load(server.url("/")) as load:
        load.wait_for(200)
        network.cut()
        server.wait_log("did not answer in time")
        server.wait_log("did not take the connection in time")
        load.wait_for(200)
        assert counters(server).buffered > 0
        network.mend()
        load.wait_for(200)
    assert load.failed == 0
    now = drained(server, 2 * load.sent)
    assert now.delivered == now.emitted == 2 * load.sent
    assert distinct(redis, *STREAMS) == now.emitted


def test_master_dies_after_its_replica_was_promoted(start_redis, proxied):
    """What the old master alone has acknowledged is lost to the new one: as
    much as is missing there by (src, seq), and nothing else."""
    master = start_redis(durable=True)
    replica = start_redis("--replicaof", "127.0.0.1", master.port)
    wait_until(
        lambda: replica.client.info("replication")["master_link_status"]
        == "up", what="replication")
    server = proxied(f"{master.url} {replica.url}")
    with Load(server.url("/")) as load:
        load.wait_for(200)
        replica.client.replicaof("NO", "ONE")
        load.wait_for(200)
        master.kill()
        load.wait_for(200)
        wait_until(lambda: counters(server).buffered == 0, what="the new one")
    assert load.failed == 0
    now = wait_until(lambda: settled(server, 2 * load.sent), what="the log")
    now = drained(server, now.emitted)
    assert now.delivered == now.emitted == 2 * load.sent

    master.start()
    for stream in STREAMS:
        old, new = numbers(master, stream), numbers(replica, stream)
        for src in set(old) | set(new):
            everything = set(range(1, max(old[src] + new[src]) + 1))
            lost = everything - set(new[src])
            assert set(old[src]) | set(new[src]) == everything
            assert lost and lost <= set(old[src])


# ------------------------------------------------- one fault after another

# A ring that holds ten seconds of the steady load, and is soon full of /quick.
ALL = """
tocsin on;
tocsin_redis @redis@ timeout=500ms;
tocsin_buffer 1m;
server {
    listen @port@;
    location / { proxy_pass http://@backend@; }
    location /quick { tocsin_field pad @pad@; return 200; }
    location /busy { proxy_pass http://@busy@; }
    location /slow { tocsin_sample 1 slow=1ms; proxy_pass http://@slow@; }
    location /refused { proxy_pass http://127.0.0.1:@closed@; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""
PRECIOUS = (("/busy", 503), ("/slow", 200), ("/refused", 502))
EACH = 10


def endure(fault, stage, server, load):
    """One fault, from a Redis that is well to one that is well again."""
    said = len(server.log)
    with fault.befall(stage):
        if fault.said:
            wait_until(lambda: re.search(fault.said, server.log[said:]), 30,
                       f"{fault.said} in the log during {fault.name}")
        load.wait_for(30)
        now = counters(server)
        assert (now.buffered > 0) >= fault.holds, fault
    before, began = counters(server).emitted, time.monotonic()
    wait_until(lambda: counters(server).delivered >= before, 60,
               f"an end of {fault.name}")
    print(f"{fault.name}: whole again after {time.monotonic() - began:.1f} s")
    assert load.failed == 0, fault
    assert sum(counters(server).dropped.values()) == 0, fault


def overflow(stage, server):
    """More than the ring holds; how many requests that were. What tells of
    trouble finds room all the same."""
    stage.redis.kill()
    with Load(server.url("/quick")) as flood:
        wait_until(lambda: counters(server).dropped["full"] > 0, 60, "a flood")
        sent = flood.sent
        flood.wait_for(100)
        for path, status in PRECIOUS:
            for _ in range(EACH):
                assert server.get(path).status == status
        assert flood.sent > sent
    assert flood.failed == 0
    stage.redis.start()
    return flood.sent


def assert_accounts(stage, server, emitted):
    """emitted = distinct delivered + dropped + lost by Redis, and the same
    by (src, seq): what is missing is what was dropped or lost."""
    now = drained(server, emitted, 60)
    assert now.emitted == emitted
    dropped = now.dropped["full"]
    assert sum(now.dropped.values()) == dropped
    beats = stage.redis.wait_entries(
        "tocsin:beat", 1, where=lambda e: int(e["emitted"]) == emitted)
    missing = lost = delivered = 0
    for stream, last in (("tocsin:request", "request_seq"),
                         ("tocsin:upstream", "upstream_seq")):
        here, before = collections.defaultdict(set), set()
        for src, seqs in numbers(stage.redis, stream).items():
            here[src] = set(seqs)
        (src,) = here
        for redis in stage.before:
            before |= set(numbers(redis, stream)[src])
        missing += len(set(range(1, int(beats[-1][last]) + 1)) - here[src])
        lost += len(before - here[src])
        delivered += len(before | here[src])
    assert now.delivered == delivered
    assert lost > 0 and missing == dropped + lost
    return dropped


def test_one_fault_after_another(directory, running, start_backend):
    traced = tracing.possible()
    stage = Stage(directory, running)
    server = running((tracing.Nginx if traced else Nginx)(
        directory("nginx"), ALL, workers=1, redis=stage.url, pad="x" * 200,
        backend=start_backend(answer(200)).address,
        slow=start_backend(answer(200, delay=0.01)).address,
        busy=start_backend(answer(503)).address,
        closed=free_port())).start()
    with Load(server.url("/"), pause=0.01) as load:
        load.wait_for(30)
        for fault in FAULTS:
            endure(fault, stage, server, load)
        flood = overflow(stage, server)
        load.wait_for(30)
    assert load.failed == 0

    emitted = 2 * load.sent + flood + 2 * EACH * len(PRECIOUS)
    assert assert_accounts(stage, server, emitted) > 0
    kept = collections.Counter(
        (e["route"], int(e["status"]))
        for e in stage.redis.entries("tocsin:request"))
    assert [kept[one] for one in PRECIOUS] == [EACH] * len(PRECIOUS)
    attempts = collections.Counter(
        (e["route"], e["error"])
        for e in stage.redis.entries("tocsin:upstream"))
    assert attempts["/busy", ""] == attempts["/refused", "connect"] == EACH

    server.stop()
    if not traced:
        pytest.skip("all is well, but processes cannot be traced here: "
                    "nobody looked for calls that wait")
    tracing.assert_nothing_waits(server, stage.redis.port, len(FAULTS))
