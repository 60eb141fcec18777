"""Sentinels tell nginx where the master is, before and after it has died."""

import signal

import pytest

from accounts import *  # noqa: F403 (the nginx fixture)
from accounts import counters, distinct, drained, numbers, settled
from harness import Load, free_port, wait_until
from sentinels import *  # noqa: F403 (the fixtures)


def test_the_master_dies(pair, start_sentinel, nginx):
    """The first sentinel is away, and then the master: what the old one alone
    has acknowledged is lost to the new one, and nothing else."""
    master, replica = pair
    sentinel = start_sentinel(master)
    server = nginx(f"sentinel://bells@127.0.0.1:{free_port()},"
                   f"127.0.0.1:{sentinel.port} timeout=500ms")
    with Load(server.url("/")) as load:
        wait_until(lambda: distinct(replica) >= 200, what="the replica")
        master.kill()
        wait_until(lambda: "+switch-master" in sentinel.log, 30, "a new one")
        load.wait_for(200)
        server.wait_log(rf"redis 127.0.0.1:{master.port}: .*connection")
    assert load.failed == 0
    now = wait_until(lambda: settled(server, load.sent), what="the log")
    now = drained(server, now.emitted)
    assert now.delivered == now.emitted == load.sent
    assert distinct(replica) > 200
    master.start()
    for src, seqs in numbers(master).items():
        both = set(seqs) | set(numbers(replica)[src])
        assert both == set(range(1, max(both) + 1))
    assert sum(len(set(numbers(master)[src]) | set(numbers(replica)[src]))
               for src in numbers(replica)) == now.emitted


def test_the_master_becomes_a_replica(pair, start_sentinel, nginx):
    """READONLY has the sentinels asked again."""
    master, _ = pair
    sentinel = start_sentinel(master)
    server = nginx(f"sentinel://bells@127.0.0.1:{sentinel.port}/0 "
                   "timeout=500ms")
    with Load(server.url("/")) as load:
        load.wait_for(200)
        wait_until(lambda: sentinel.order("FAILOVER") == b"+OK\r\n", 30,
                   "a failover by hand")
        wait_until(lambda: "+switch-master" in sentinel.log, 30, "a new one")
        load.wait_for(200)
    assert load.failed == 0
    now = drained(server, load.sent, 30)
    assert now.delivered == now.emitted == load.sent


def test_a_stale_sentinel(start_redis, oracle, nginx):
    """It names a replica, which would even take what is written to it; the
    next sentinel knows better."""
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", master.port,
                          "--replica-read-only", "no")
    stale, good = oracle().name(replica), oracle().name(replica)
    server = nginx(f"sentinel://bells@127.0.0.1:{stale.port},"
                   f"127.0.0.1:{good.port}/3 timeout=500ms")
    with Load(server.url("/")) as load:
        server.wait_log(rf"\[warn\] .*tocsin: redis 127.0.0.1:{replica.port}: "
                        'is not the master "bells" that a sentinel takes it '
                        'for, its role is "slave"')
        load.wait_for(50)
        assert counters(server).delivered == 0
        good.name(master)
        wait_until(lambda: counters(server).delivered > 0, what="the master")
    assert load.failed == 0
    now = drained(server, load.sent)
    assert now.delivered == now.emitted == load.sent
    commands = replica.client.info("commandstats")
    assert "cmdstat_role" in commands
    assert "cmdstat_xread" not in commands  # the board is not read there


@pytest.mark.parametrize("reply, said", [
    (b"*-1\r\n", 'knows no master "bells"'),
    (b"*2\r\n$7\r\nexample\r\n$4\r\n6379\r\n", "what is no address"),
    (b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n", "what is no address"),
    (b"*3\r\n$3\r\n::1\r\n$1\r\n1\r\n$1\r\n1\r\n", "what is no address"),
    (b"*1\r\n$9\r\n127.0.0.1\r\n", "what is no address"),
    (b"-NOAUTH Authentication required.\r\n", "NOAUTH"),
    (b"+OK\r\n", "what is no address"),
    (b"HTTP/1.1 400\r\n", "sent what is not a reply of redis"),
])
def test_a_sentinel_that_talks_nonsense(nginx, oracle, reply, said):
    sentinel = oracle(reply)
    server = nginx(f"sentinel://bells@127.0.0.1:{sentinel.port}", workers=1)
    server.wait_log(r"\[error\] .*tocsin: redis \S+: .*" + said)
    assert server.get("/").status == 200
    assert counters(server).delivered == 0
    server.stop(signal.SIGTERM)
