"""What can befall Redis, one fault after another, at one and the same address.

A fault is a context: it lasts while the block does. A Stage is the Redis that
it befalls; nginx connects to `stage.url` as a user of its own, whose password
is in `stage.secret`.
"""

import contextlib
import dataclasses
import time
import typing

from harness import Redis, free_port, wait_until
from relay import Relay, byte_by_byte

USER = "shipper"
PASSWORD = "right-and-proper"
RULES = [USER, "on", ">" + PASSWORD, "~tocsin:*", "+@all"]

STOPPED = 10  # seconds, so that every timeout and pause is met


class Stage:
    """A Redis that keeps what it acknowledged, and what it has lost."""

    def __init__(self, directory, running):
        self.directory, self.running = directory, running
        self.redis = self.make("redis", free_port())
        self.redis.start()
        self.secret = self.redis.dir / "secret"
        self.secret.write_text(PASSWORD)
        self.before = []  # servers with what this one has lost

    def make(self, name, port):
        redis = self.running(Redis(self.directory(name), "--user", *RULES,
                                   durable=True))
        redis.port = port
        return redis

    @property
    def url(self):
        return f"{self.redis.url} user={USER} password_file={self.secret}"

    def acl(self, *rules):
        self.redis.client.execute_command("ACL", "SETUSER", USER, *rules)

    def disconnect(self):
        self.redis.client.execute_command("CLIENT", "KILL", "USER", USER)

    @contextlib.contextmanager
    def relayed(self, change):
        """Redis moves away, and a relay takes its place."""
        here, client = self.redis.port, self.redis.client
        away = free_port()
        client.config_set("port", away)
        relay = Relay(away, change, here)
        self.disconnect()
        try:
            yield
        finally:
            relay.close()
            client.config_set("port", here)


@contextlib.contextmanager
def killed(stage):
    stage.redis.kill()
    yield
    stage.redis.start()


@contextlib.contextmanager
def killed_and_emptied(stage):
    """It comes back without what it had acknowledged."""
    stage.redis.kill()
    yield
    keeper = stage.make("before", free_port())
    (stage.redis.dir / "appendonlydir").rename(keeper.dir / "appendonlydir")
    stage.before.append(keeper.start())
    stage.redis.start()


@contextlib.contextmanager
def stopped(stage):
    began = time.monotonic()
    stage.redis.pause()
    yield
    wait_until(lambda: time.monotonic() - began > STOPPED, STOPPED + 5)
    stage.redis.resume()


@contextlib.contextmanager
def full(stage):
    stage.redis.client.config_set("maxmemory", 1)
    yield
    stage.redis.client.config_set("maxmemory", 0)


@contextlib.contextmanager
def a_replica(stage):
    """READONLY, until it is promoted."""
    stage.redis.client.replicaof("127.0.0.1", free_port())
    yield
    stage.redis.client.replicaof("NO", "ONE")


@contextlib.contextmanager
def no_rights(stage):
    stage.acl("-xadd")
    yield
    stage.acl("+xadd")


@contextlib.contextmanager
def another_password(stage):
    stage.acl("resetpass", ">another")
    stage.disconnect()
    yield
    stage.acl("resetpass", ">" + PASSWORD)


@contextlib.contextmanager
def garbage(stage):
    with stage.relayed(lambda data: [b"HTTP/1.1 400 Bad Request\r\n\r\n"]):
        yield


@contextlib.contextmanager
def dripping(stage):
    with stage.relayed(byte_by_byte):
        yield


@dataclasses.dataclass
class Fault:
    befall: typing.Callable
    said: str  # in the error log, or "" where there is nothing to say
    holds: bool = True  # events are held back while it lasts

    @property
    def name(self):
        return self.befall.__name__.replace("_", " ")


# That entries are kept is said once a minute, and a Redis that loads its file
# after it was killed has it said, too: the first one is full.
FAULTS = [
    Fault(full, "takes no entries now, they are kept: OOM"),
    Fault(killed, "(refused|closed|broke) the connection"),
    Fault(stopped, "did not answer in time"),
    Fault(a_replica, "READONLY"),
    Fault(no_rights, "NOPERM"),
    Fault(another_password, "WRONGPASS"),
    Fault(garbage, "sent what is not a reply of redis"),
    Fault(dripping, "", holds=False),
    Fault(killed_and_emptied, "(refused|closed|broke) the connection"),
]
