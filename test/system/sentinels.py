"""Sentinels: real ones, and one that says what a test wants it to say."""

import contextlib
import socket
import threading

import pytest

from harness import Process, free_port, is_listening, wait_until

CONF = """
port {port}
bind 127.0.0.1
dir {dir}
sentinel monitor bells 127.0.0.1 {master} 1
sentinel down-after-milliseconds bells 300
sentinel failover-timeout bells 3000
"""


class Sentinel(Process):
    """redis-server --sentinel, for the master "bells"."""

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

    def order(self, word):
        """A word about our master, in plain text."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as s:
            s.sendall(f"SENTINEL {word} bells\r\n".encode())
            return s.recv(4096)

    def stop(self):
        self.kill()


class Oracle:
    """Answers the question for "bells" with `reply`, as often as asked."""

    def __init__(self, reply=b"*-1\r\n"):
        self.reply, self.asked = reply, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def name(self, redis):
        """From now on, this Redis is said to be the master."""
        port = str(redis.port)
        self.reply = (f"*2\r\n$9\r\n127.0.0.1\r\n"
                      f"${len(port)}\r\n{port}\r\n").encode()
        return self

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,),
                             daemon=True).start()

    def _talk(self, peer):
        """An answer to the right question, then wait until it leaves."""
        with peer, contextlib.suppress(OSError):
            peer.settimeout(20)
            question = peer.recv(4096).upper()
            if b"GET-MASTER-ADDR-BY-NAME\r\n$5\r\nBELLS" in question:
                self.asked += 1
                peer.sendall(self.reply)
                peer.recv(1)

    def stop(self):
        with contextlib.suppress(OSError):
            # close() alone would leave accept() of the other thread waiting
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def replicates(replica):
    info = replica.client.info("replication")
    return info.get("master_link_status") == "up"


@pytest.fixture
def pair(start_redis):
    """A master that keeps what it acknowledged, and its replica."""
    master = start_redis("--repl-diskless-sync-delay", "0", durable=True)
    replica = start_redis("--replicaof", "127.0.0.1", master.port)
    wait_until(lambda: replicates(replica), what="replication")
    return master, replica


@pytest.fixture
def oracle(running):
    """oracle(reply) -> Oracle"""
    return lambda *reply: running(Oracle(*reply))


@pytest.fixture
def start_sentinel(running, directory):
    """start_sentinel(master) -> Sentinel"""
    return lambda master: running(
        Sentinel(directory("sentinel"), master)).start()
