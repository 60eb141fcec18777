"""Streams of events never hold the worker that serves them."""

import contextlib
import signal
import socket
import struct
import threading

import h2.config
import h2.connection
import h2.settings
import pytest

from alerting import HTTP, alerts, wait_feed, watch  # noqa: F401
from backend import answer
from boards import alert, points
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


def http2(port):
    """A client whose windows are wide and whose socket is not."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    conn = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=True))
    conn.initiate_connection()
    conn.update_settings(
        {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
    conn.increment_flow_control_window(1 << 30)
    return client, conn


def ask(client, conn, number, path):
    conn.send_headers(number, [(":method", "GET"), (":path", path),
                               (":scheme", "http"), (":authority", "x")],
                      end_stream=True)
    client.sendall(conn.data_to_send())


def frames_of(file):
    """(stream, whether it is DATA, what it holds) of what comes."""
    while len(head := file.read(9)) == 9:
        body = file.read(int.from_bytes(head[:3], "big"))
        yield int.from_bytes(head[5:], "big"), head[3] == 0, body


def test_half_a_frame_of_a_stream_that_is_reset(redis, watch):
    """HTTP/2 sends the other half, though the request has ended."""
    evidence = points([(0.5, 0.25, 0.125, 0.375)] * 200)
    for i in range(60):
        redis.client.xadd("tocsin:alerts", alert(
            id=f"a{i}", fingerprint=f"f{i}", evidence=evidence))
    nginx = watch(redis, workers=1, http=HTTP.replace(
        "listen @port@;", "listen @port@; listen @porth@ http2 sndbuf=16384;"))
    wait_until(lambda: len(alerts(nginx)) == 60)
    with socket.create_connection(("127.0.0.1", nginx.port), 20) as plain:
        plain.sendall(HEAD.replace(b"1.1", b"1.0") + b"\r\n")
        text = plain.makefile("rb").read(400_000)
    assert text.count(b"event: alert") > 10

    client, conn = http2(nginx.ports["porth"])
    with client, client.makefile("rb") as file:
        ask(client, conn, 1, "/_alerts/stream")
        frames = frames_of(file)
        data = next(body for _, is_data, body in frames if is_data)
        conn.reset_stream(1, error_code=8)
        ask(client, conn, 3, "/_alerts/healthz")
        alerts(nginx)  # the worker has seen the reset before it answers
        for number, is_data, body in frames:
            if number == 1:
                data += body
            elif number == 3:
                break
        assert number == 3, nginx.log
    assert len(data) > 16384
    assert data == text.partition(b"\r\n\r\n")[2][:len(data)]
