"""Sentinels tell where the master is, before and after it has died."""

import contextlib
import signal
import socket
import threading

import pytest

from accounts import *  # noqa: F403 (the nginx fixture)
from accounts import counters, distinct, drained, numbers, settled
from harness import Load, Process, free_port, is_listening, wait_until

CONF = """
port {port}
bind 127.0.0.1
dir {dir}
sentinel monitor bells 127.0.0.1 {master} 1
sentinel down-after-milliseconds bells 300
sentinel failover-timeout bells 3000
"""


class Sentinel(Process):
    name = "sentinel"

    def __init__(self, directory, master):
        super().__init__(directory)
        self.port, self.master = free_port(), master

    def start(self):
        path = self.dir / "sentinel.conf"
        path.write_text(CONF.format(port=self.port, dir=self.dir,
                                    master=self.master.port))
        self.spawn(["redis-server", path, "--sentinel"])
        wait_until(lambda: is_listening(("127.0.0.1", self.port)),
                   what="a sentinel")
        # it knows the replica, which it may have to promote
        wait_until(lambda: "+slave " in self.log, what="the replica")
        return self

    def stop(self):
        self.kill()


@pytest.fixture
def pair(start_redis):
    """A master that keeps what it acknowledged, and its replica."""
    master = start_redis(durable=True)
    replica = start_redis("--replicaof", "127.0.0.1", master.port)
    wait_until(
        lambda: replica.client.info("replication")["master_link_status"]
        == "up", what="replication")
    return master, replica


def test_the_master_dies(pair, running, directory, nginx):
    """The first sentinel is away, and then the master: what the old one alone
    has acknowledged is lost to the new one, and nothing else."""
    master, replica = pair
    sentinel = running(Sentinel(directory("sentinel"), master)).start()
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


def test_the_master_becomes_a_replica(pair, running, directory, nginx):
    """READONLY has the sentinels asked again."""
    master, _ = pair
    sentinel = running(Sentinel(directory("sentinel"), master)).start()
    server = nginx(f"sentinel://bells@127.0.0.1:{sentinel.port}/0 "
                   "timeout=500ms")
    with Load(server.url("/")) as load:
        load.wait_for(200)
        wait_until(lambda: order(sentinel, "FAILOVER") == b"+OK\r\n", 30,
                   "a failover by hand")
        wait_until(lambda: "+switch-master" in sentinel.log, 30, "a new one")
        load.wait_for(200)
    assert load.failed == 0
    now = drained(server, load.sent, 30)
    assert now.delivered == now.emitted == load.sent


def order(sentinel, word):
    """A word about our master, in plain text."""
    with socket.create_connection(("127.0.0.1", sentinel.port), 5) as s:
        s.sendall(f"SENTINEL {word} bells\r\n".encode())
        return s.recv(4096)


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
def test_a_sentinel_that_talks_nonsense(nginx, reply, said):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener, reply),
                         daemon=True).start()
        port = listener.getsockname()[1]
        server = nginx(f"sentinel://bells@127.0.0.1:{port}",
                       workers=1)
        server.wait_log(r"\[error\] .*tocsin: redis \S+: .*" + said)
        assert server.get("/").status == 200
        assert counters(server).delivered == 0
        server.stop(signal.SIGTERM)
        # close() alone would leave accept() of the other thread waiting
        listener.shutdown(socket.SHUT_RDWR)


def answer(listener, reply):
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=talk, args=(peer, reply), daemon=True).start()


def talk(peer, reply):
    """An answer to the right question, then wait until it leaves."""
    with peer, contextlib.suppress(OSError):
        peer.settimeout(20)
        if b"GET-MASTER-ADDR-BY-NAME\r\n$5\r\nbells" in peer.recv(4096):
            peer.sendall(reply)
            peer.recv(1)
