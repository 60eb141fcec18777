"""Streams of events never hold the worker that serves them."""

import contextlib
import signal
import socket
import struct
import threading

import pytest

from alerting import HTTP, wait_feed, watch  # noqa: F401
from backend import answer
from harness import wait_until

HEAD = b"GET /_alerts/stream HTTP/1.1\r\nHost: x\r\n"

CLIENTS = {
    "waits": HEAD + b"\r\n",
    "sends a body": HEAD + b"Content-Length: 3\r\n\r\nabc",
    "sends half a body": HEAD + b"Content-Length: 1000\r\n\r\nabc",
    "pipelines": (HEAD + b"\r\n") * 2,
    "is of old and pipelines": (HEAD.replace(b"1.1", b"1.0") + b"\r\n") * 2,
    "says more later": HEAD + b"\r\n",
    "is gone": HEAD + b"\r\n",
}


def begin(nginx, request):
    """A client whose stream has begun."""
    client = socket.create_connection(("127.0.0.1", nginx.port), timeout=20)
    client.sendall(request)
    seen = b""
    while b"event: state" not in seen:
        chunk = client.recv(65536)
        assert chunk, seen
        seen += chunk
    return client


def reset(client):
    """Close as a machine does that lost power and came back."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                      struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("way", ["reload", "quit"])
@pytest.mark.parametrize("kind", CLIENTS)
def test_a_worker_ends_whatever_its_streams(redis, watch, kind, way):
    nginx = watch(redis)
    wait_feed(nginx)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            client = begin(nginx, CLIENTS[kind])
            stack.callback(client.close)
            if kind == "says more later":
                client.sendall(b"what?\r\n")
            elif kind == "is gone":
                client.close()
        if way == "reload":
            nginx.wait_drained(nginx.reload())
            begin(nginx, CLIENTS["waits"]).close()
        else:
            workers = nginx.worker_pids()
            assert nginx.end(signal.SIGQUIT) == 0
            nginx.wait_drained(workers)


def test_a_client_that_is_gone_before_its_stream_begins(redis, watch,
                                                        start_backend):
    """Its first event cannot be sent: the request ends then, and once."""
    asked, gone = threading.Event(), threading.Event()

    def slow(conn, request):
        asked.set()
        gone.wait(20)
        return answer(200)(conn, request)

    nginx = watch(redis, workers=1, backend=start_backend(slow).address,
                  http=HTTP.replace("tocsin_alerts;", """tocsin_alerts;
        auth_request /auth;
    }
    location = /auth {
        proxy_pass http://@backend@;
        proxy_ignore_client_abort on;
        proxy_pass_request_body off;
"""))
    for _ in range(3):
        asked.clear(), gone.clear()
        client = socket.create_connection(("127.0.0.1", nginx.port))
        client.sendall(HEAD + b"\r\n")
        assert asked.wait(20)
        reset(client)
        gone.set()
        gone.wait(20)
    gone.set()
    begin(nginx, CLIENTS["waits"]).close()
    wait_until(lambda: len(nginx.worker_pids()) == 1)
