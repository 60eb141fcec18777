"""Workers that die, are replaced, drain and stop: no event is lost."""

import os
import re
import signal
import socket

import pytest

from accounts import *  # noqa: F403 (the nginx fixture)
from accounts import (
    HTTP, assert_all_arrived, assert_no_gap, counters, distinct,
    drained, numbers, settled,
)
from backend import hang
from harness import Load, wait_until


def test_worker_killed_under_load(redis, nginx):
    server = nginx(redis.url)
    with Load(server.url("/")) as load:
        for _ in range(5):
            load.wait_for(300)
            server.kill_worker()
    now = assert_all_arrived(server, redis)
    # a request may have been answered, but not logged, when its worker died
    assert load.sent - 20 <= now.emitted <= load.sent + 20


def test_worker_killed_while_redis_is_down(start_redis, nginx):
    redis = start_redis()
    server = nginx(redis.url)
    with Load(server.url("/")) as load:
        load.wait_for(100)
        redis.kill()
        for _ in range(3):
            load.wait_for(300)
            server.kill_worker()
        load.wait_for(100)
    waiting = counters(server)
    assert waiting.buffered > 1000
    redis.start()
    now = drained(server)
    # what was answered last may have been logged after we looked
    assert waiting.emitted <= now.emitted <= waiting.emitted + 20
    assert distinct(redis) >= waiting.buffered
    for seqs in numbers(redis).values():
        assert set(seqs) == set(range(min(seqs), max(seqs) + 1))


def test_reload_under_load(redis, nginx):
    server = nginx(redis.url)
    old = set()
    with Load(server.url("/")) as load:
        for _ in range(5):
            load.wait_for(300)
            old |= server.reload()
        load.wait_for(100)
    server.wait_drained(old)
    assert load.failed == 0
    assert_all_arrived(server, redis, load.sent)


def test_reload_while_redis_is_down(start_redis, nginx):
    redis = start_redis()
    redis.kill()
    server = nginx(redis.url)
    with Load(server.url("/")) as load:
        load.wait_for(300)
        old = server.reload()
        load.wait_for(300)
    server.wait_drained(old)
    wait_until(lambda: settled(server, load.sent), what="the log")
    assert counters(server).buffered == load.sent
    redis.start()
    assert_all_arrived(server, redis, load.sent)


def test_reload_with_another_size(redis, nginx):
    server = nginx(redis.url)
    old = set()
    with Load(server.url("/")) as load:
        for size in ("4m", "8m", "16m"):
            load.wait_for(300)
            old |= server.reload(
                HTTP.replace("@more@", f"tocsin_buffer {size};"))
        load.wait_for(100)
    server.wait_drained(old)
    assert_all_arrived(server, redis, load.sent)


def at_work(server):
    """Workers that have a ring."""
    text = server.get("/_alerts/metrics").text
    return int(re.search(r"^tocsin_workers (\d+)$", text, re.M).group(1))


FEW = 4 * os.cpu_count() + 8  # slots, unless more workers are known of


@pytest.mark.skipif(5 * FEW > 256, reason="there cannot be so many slots")
def test_reload_with_the_same_size_divided_otherwise(redis, nginx):
    server = nginx(redis.url, "tocsin_buffer 5m;")
    with Load(server.url("/")) as load:
        load.wait_for(300)
        server.workers = 5 * os.cpu_count() + 8  # that makes 5 * FEW slots
        old = server.reload(HTTP.replace("@more@", "tocsin_buffer 1m;"))
        load.wait_for(300)
        server.wait_drained(old)
        wait_until(lambda: at_work(server) == server.workers,
                   what="a ring for each worker")
    assert load.failed == 0
    assert_all_arrived(server, redis, load.sent)
    assert "slots are taken" not in server.log


def fail_late(server, more=""):
    """A reload that fails with nearly all of it done: a port is taken."""
    server.allow(r"bind\(\) to 127.0.0.1:\d+ failed", "still could not bind")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
        server.reload(HTTP.replace("@more@", more)
                      + f"server {{ listen {host}:{port}; }}", wait=False)
        server.wait_log("still could not bind")


def test_stop_after_a_reload_that_failed(start_redis, nginx):
    """No worker has a successor: what cannot be sent is told of."""
    redis = start_redis()
    redis.kill()
    server = nginx(redis.url, workers=1)
    for _ in range(50):
        server.get("/")
    fail_late(server)
    server.stop()
    assert "tocsin: 50 events could not be sent and are dropped" in server.log


def test_reload_after_one_with_another_size_that_failed(start_redis, nginx):
    redis = start_redis()
    redis.kill()
    server = nginx(redis.url)
    for _ in range(50):
        server.get("/")
    fail_late(server, "tocsin_buffer 1m;")
    server.wait_drained(server.reload(HTTP))
    now = wait_until(lambda: settled(server, 50), what="the log")
    assert (now.buffered, now.dropped["shutdown"]) == (50, 0)
    redis.start()
    assert_all_arrived(server, redis, 50)


def test_another_size_while_redis_is_down(start_redis, nginx):
    redis = start_redis()
    redis.kill()
    server = nginx(redis.url)
    for _ in range(50):
        server.get("/")
    old = server.reload(HTTP.replace("@more@", "tocsin_buffer 1m;"))
    server.wait_drained(old)
    for _ in range(30):
        server.get("/")
    now = wait_until(lambda: settled(server, 80), what="the log")
    assert (now.emitted, now.buffered) == (80, 30)
    assert now.dropped["shutdown"] == 50
    redis.start()
    assert drained(server).delivered == 30
    assert distinct(redis) == 30


@pytest.mark.parametrize("end", [signal.SIGQUIT, signal.SIGTERM])
def test_stop_sends_what_is_left(redis, nginx, end):
    server = nginx(redis.url, "tocsin_buffer 16m flush=10s;")
    with Load(server.url("/")) as load:
        load.wait_for(200)
    server.stop(end)
    assert distinct(redis) == load.sent
    assert_no_gap(redis)


@pytest.mark.parametrize("end", [signal.SIGQUIT, signal.SIGTERM])
def test_stop_without_redis_ends(start_redis, nginx, end):
    redis = start_redis()
    redis.kill()
    server = nginx(redis.url)
    server.get("/")
    server.stop(end)


def test_old_worker_is_not_kept_alive(redis, nginx):
    server = nginx(redis.url)
    server.get("/")
    for _ in range(12):
        server.wait_drained(server.reload())
    server.get("/")
    assert_all_arrived(server, redis, 2)
    slots = {src.split("/")[1] for src in numbers(redis)}
    assert len(slots) <= 4, "slots are used again"


def test_shutdown_timeout(redis, start_nginx, start_backend):
    """It closes our connections too: no alert, and nothing is lost."""
    backend = start_backend(hang())
    server = start_nginx(
        HTTP.replace("location /b {", "location /slow "
                     "{ proxy_pass http://@backend@; } location /b {"),
        redis=redis.url, more="", backend=backend.address,
        main="worker_shutdown_timeout 1s;")
    server.get("/")
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: backend.requests, what="the slow request")
        server.wait_drained(server.reload())
    server.get("/")
    assert drained(server, 4).delivered == 4
    assert distinct(redis, "tocsin:request", "tocsin:upstream") == 4
