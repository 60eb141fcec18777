"""What the tests of /_alerts share: a configuration, and questions to it."""

import contextlib
import http.client
import json
import os

import pytest

from boards import Pretender
from harness import children, is_alive, wait_until

HTTP = """
tocsin_redis @redis@ timeout=1s;
client_header_timeout 3s;  # browsers connect ahead of their requests
@more@
server {
    listen @port@;
    location /_alerts { tocsin_alerts; }
}
"""


def state(nginx):
    return nginx.get("/_alerts/api/v2/status").json()["tocsin"]


def alerts(nginx, query="resolved=true"):
    """Alerts by id."""
    found = nginx.get("/_alerts/api/v2/alerts?" + query).json()
    return {alert["tocsin"]["id"]: alert for alert in found}


def states(nginx):
    return {id: a["tocsin"]["state"] for id, a in alerts(nginx).items()}


def wait_states(nginx, expected):
    wait_until(lambda: states(nginx) == expected,
               what=f"{expected}; now {states(nginx)}")


def wait_feed(nginx, but=None):
    """Pid of the worker that follows the alerts, another one than `but`."""
    def found():
        pid = state(nginx)["feed"]["worker"]
        return pid if pid not in (None, but) else None

    return wait_until(found, what=f"a feed other than {but}")


def metrics(nginx):
    """Samples as {name{labels}: value}."""
    found = {}
    for line in nginx.get("/_alerts/metrics").text.split("\n"):
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


@contextlib.contextmanager
def stream(nginx, path="/_alerts/stream"):
    """Server-sent events: an iterator of (event, data)."""
    conn = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=20)
    conn.request("GET", path)
    reply = conn.getresponse()
    assert reply.status == 200
    assert reply.getheader("Content-Type") == "text/event-stream"

    def events():
        name = None
        while line := reply.readline():
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text[7:]
            elif text.startswith("data: "):
                yield name, json.loads(text[6:])

    try:
        yield events()
    finally:
        conn.close()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def zombies(pid):
    """Children that have ended but were not yet taken note of."""
    return [child for child in children(pid) if not is_alive(child)]


@pytest.fixture
def watch(start_nginx):
    """watch(redis, more="", http=HTTP) -> nginx with the page"""
    return lambda redis, more="", http=HTTP, **kw: start_nginx(
        http, redis=redis.url, more=more, **kw
    )


@pytest.fixture
def pretend(running):
    """pretend(redis, **fields): a sidecar that writes snapshots"""
    return lambda redis, **fields: running(Pretender(redis, **fields))
