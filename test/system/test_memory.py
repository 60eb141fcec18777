"""A worker's own memory grows neither with traffic, nor with the number of
distinct labels, nor while Redis is away."""

import pathlib
import socket

import pytest

from harness import SANITIZER, wait_until

HTTP = """
tocsin on;
tocsin_redis @redis@;
tocsin_buffer 1m;
tocsin_label customer $arg_customer;
upstream app { server @backend@; keepalive 8; }
keepalive_requests 1000000;
server {
    listen @port@;
    server_name ~.*;
    tocsin_route $uri;
    location / { return 204; }
    location /app/ { proxy_pass http://app/; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""
ROUND = 6000
# What malloc and nginx' own pools may round up to.
SLACK = 128 << 10


def own_memory(pid):
    """Bytes that are not shared: the ring is shared and of fixed size."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no RssAnon")


def send(nginx, first, count):
    """Pipelined requests, each for a server, route and label of its own."""
    with socket.create_connection(("127.0.0.1", nginx.port)) as sock:
        sock.settimeout(60)
        answers = sock.makefile("rb")
        for start in range(first, first + count, 100):
            sock.sendall(b"".join(
                b"GET /%s%d?customer=c%d HTTP/1.1\r\nHost: h%d.example\r\n\r\n"
                % (b"app/" if i % 50 == 0 else b"r", i, i, i)
                for i in range(start, start + 100)))
            for _ in range(100):
                read_answer(answers)


def read_answer(answers):
    status = answers.readline()
    assert b" 204 " in status or b" 200 " in status, status
    length = 0
    while (line := answers.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    answers.read(length)


def counted(nginx, name):
    return sum(float(line.rsplit(" ", 1)[1])
               for line in nginx.get("/_alerts/metrics").text.splitlines()
               if line.startswith(f"tocsin_events_{name}_total"))


@pytest.mark.skipif(bool(SANITIZER), reason="a sanitizer keeps freed memory")
def test_a_worker_does_not_grow(redis, start_nginx, start_backend):
    nginx = start_nginx(HTTP, workers=1, redis=redis.url,
                        backend=start_backend().address)
    (pid,) = nginx.worker_pids()
    send(nginx, 0, ROUND)
    wait_until(lambda: redis.client.xlen("tocsin:request") >= ROUND)
    begun = own_memory(pid)

    send(nginx, ROUND, ROUND)
    assert own_memory(pid) <= begun + SLACK, "traffic and labels"

    redis.stop()
    before = counted(nginx, "emitted")
    send(nginx, 2 * ROUND, 2 * ROUND)
    assert counted(nginx, "emitted") - before >= 2 * ROUND
    assert counted(nginx, "dropped") > 0, "the ring was full"
    assert own_memory(pid) <= begun + SLACK, "an outage that fills the ring"

    redis.start()
    wait_until(lambda: redis.client.xlen("tocsin:request") > 0)
    send(nginx, 4 * ROUND, ROUND)
    assert own_memory(pid) <= begun + SLACK, "and the recovery from it"
    assert nginx.worker_pids() == [pid]
