"""A network of its own for a server, so that a test can cut it off."""

import itertools
import os
import subprocess

from harness import Redis

_count = itertools.count()


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True)


def available():
    """May we make network namespaces?"""
    name = f"tocsin-try-{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


class Namespace:
    """Two ends of a cable; the far one is in a namespace. 198.18.0.0/15 is
    for tests of networks, and nobody's (RFC 2544)."""

    def __init__(self):
        number = next(_count)
        self.made = False
        self.name = f"tocsin-{os.getpid()}-{number}"
        self.device = f"tc{os.getpid() % 100000}n{number}"
        net = f"198.18.{os.getpid() % 256}"
        self.near = f"{net}.{4 * number % 256 + 1}"
        self.far = f"{net}.{4 * number % 256 + 2}"

    def start(self):
        ip("netns", "add", self.name)
        self.made = True
        ip("link", "add", self.device, "type", "veth", "peer", "name", "eth0",
           "netns", self.name)
        ip("addr", "add", f"{self.near}/30", "dev", self.device)
        ip("link", "set", self.device, "up")
        ip("-n", self.name, "addr", "add", f"{self.far}/30", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")
        ip("-n", self.name, "link", "set", "lo", "up")
        return self

    def stop(self):
        if self.made:
            ip("netns", "del", self.name)  # and the cable with it

    def cut(self):
        """From here on what the far end sends is dropped without a word."""
        ip("-n", self.name, "route", "add", "blackhole", f"{self.near}/32")

    def mend(self):
        ip("-n", self.name, "route", "del", "blackhole", f"{self.near}/32")

    def argv(self, words):
        """The same command, in there."""
        return ["ip", "netns", "exec", self.name, *words]


class Far(Redis):
    """A Redis in a network of its own."""

    def __init__(self, directory, network, *options):
        super().__init__(directory, "--protected-mode", "no", *options)
        self.network, self.host = network, network.far

    def spawn(self, argv, env=None):
        super().spawn(self.network.argv(argv), env)
