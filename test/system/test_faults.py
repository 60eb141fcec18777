"""Faults of Redis and of the way to it, while requests are proxied: none of
them fails, and every event is somewhere."""

import pytest

import namespace
from accounts import counters, distinct, drained, numbers, settled
from backend import answer
from harness import Load, Redis, wait_until

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


class Far(Redis):
    """A Redis in a network of its own."""

    def __init__(self, directory, network):
        super().__init__(directory, "--protected-mode", "no")
        self.network, self.host = network, network.far

    def spawn(self, argv, env=None):
        super().spawn(self.network.argv(argv), env)


@pytest.fixture
def proxied(start_nginx, start_backend):
    """proxied(urls) -> nginx in front of a backend"""
    backend = start_backend(answer(200))
    return lambda urls: start_nginx(HTTP, redis=urls, backend=backend.address)


@pytest.mark.skipif(not namespace.available(), reason="no namespaces")
def test_packets_are_dropped(directory, running, proxied):
    network = running(namespace.Namespace()).start()
    redis = running(Far(directory("redis"), network)).start()
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
