"""Waiting for something instead of sleeping, and finding free ports."""

import os
import random
import socket
import time

# Everything is slower under a sanitizer or valgrind; nothing here asserts how
# fast something is, so a generous factor costs nothing but patience.
PATIENCE = float(os.environ.get("TOCSIN_PATIENCE", "1")) * (
    4 if os.environ.get("TOCSIN_SANITIZER") else 1
)

_handed_out = set()


def wait_until(condition, timeout=15, what="", interval=0.02):
    """Call condition() until it is true and return what it returned.

    An exception of OSError or ConnectionError kind counts as "not yet".
    """
    deadline = time.monotonic() + timeout * PATIENCE
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except OSError as e:
            last = e
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "condition")
            raise AssertionError(f"waited in vain for {name}; last: {last!r}")
        time.sleep(interval)


def free_port(host="127.0.0.1"):
    """A TCP port nobody listens on.

    Taken below the range from which the kernel takes ports for outgoing
    connections, so that no client can occupy it before the server binds.
    """
    while True:
        port = random.randint(12000, 31999)
        if port in _handed_out:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def is_listening(address):
    """True if a TCP connect to (host, port) or a unix path is accepted."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        try:
            s.connect(address)
            return True
        except OSError:
            return False
