"""The harness itself: a test bench that lies is worse than none."""

import os
import signal

import pytest

from backend import (answer, drip, hang_up, raw, reset, truncate)
from harness import Load, Nginx, fetch, wait_until

PROXY = """
upstream u { server @backend@; keepalive 4; }
server {
    listen @port@;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location / { proxy_pass http://u; }
    location /own { return 200 "own"; }
}
"""

CGI = """
server {
    listen @port@;
    location / { @protocol@_pass @backend@; include @params@; }
}
"""


def test_backend_follows_its_script(start_backend):
    backend = start_backend(answer(200, b"default"))
    url = f"http://{backend.address}/x?y"
    backend.script(answer(503, b"no", {"X-A": "b"}), drip(b"slow", 0.01))

    first = fetch(url)
    assert (first.status, first.body, first.headers["x-a"]) == (503, b"no", "b")
    assert fetch(url).body == b"slow"
    assert fetch(url, "POST", body=b"data").body == b"default"
    assert backend.requests[0].target == "/x?y"
    assert backend.requests[2].body == b"data"


@pytest.mark.parametrize("action", [
    reset(), hang_up(), raw(b"HTTP/1.1 200 OK\r\n\0bad\r\n\r\n"),
    reset(b"HTTP/1.1 200 OK\r\nA: b"),
])
def test_broken_answers_are_502_for_nginx(start_nginx, start_backend, action):
    backend = start_backend(action)
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    assert nginx.get("/").status == 502


def test_truncated_answer_is_noticed(start_nginx, start_backend):
    backend = start_backend(truncate(1000, 10))
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    with pytest.raises(Exception):
        nginx.get("/")
    nginx.wait_log("upstream prematurely closed connection")


def test_refused_then_back(start_nginx, start_backend):
    backend = start_backend(answer(200, b"back"))
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    backend.refuse()
    assert nginx.get("/").status == 502
    backend.listen()
    assert nginx.get("/").body == b"back"


def test_black_hole_times_out(start_nginx, black_hole):
    nginx = start_nginx(
        "server { listen @port@; location / { proxy_connect_timeout 200ms;"
        " proxy_pass http://@hole@; } }",
        hole=black_hole.address, module=False)
    assert nginx.get("/").status == 504


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi", "uwsgi"])
def test_cgi_protocols(start_nginx, start_backend, protocol):
    backend = start_backend(answer(200, b"cgi" * 20000), protocol=protocol)
    nginx = start_nginx(
        CGI, backend=backend.address, protocol=protocol, module=False,
        params=f"/etc/nginx/{protocol}_params")
    reply = nginx.get("/a?b=c", method="POST", body=b"hello")
    assert (reply.status, reply.body) == (200, b"cgi" * 20000)
    assert backend.requests[0].method == "POST"
    assert backend.requests[0].body == b"hello"
    assert backend.requests[0].headers["QUERY_STRING"] == "b=c"


def test_load_counts(start_nginx, start_backend):
    backend = start_backend(answer(200))
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    with Load(nginx.url("/"), threads=2) as load:
        load.wait_for(50)
    assert load.failed == 0
    assert load.statuses[200] == load.sent == len(backend.requests)


def test_reload_and_kill_under_load(start_nginx):
    nginx = start_nginx("server { listen @port@; return 200 one; }",
                        module=False)
    with Load(nginx.url("/"), threads=2) as load:
        load.wait_for(20)
        old = nginx.reload("server { listen @port@; return 200 two; }")
        wait_until(lambda: nginx.get("/").body == b"two")
        load.wait_for(20)
    nginx.wait_drained(old)
    assert load.failed == 0
    killed = nginx.kill_worker()
    assert killed not in nginx.worker_pids()
    assert nginx.get("/").status == 200


def test_alert_in_the_log_fails_the_test(directory):
    nginx = Nginx(directory("nginx"), "server { listen @port@; return 200; }",
                  module=False).start()
    os.kill(nginx.worker_pids()[0], signal.SIGKILL)
    wait_until(nginx.complaints)
    with pytest.raises(AssertionError, match="exited on signal 9"):
        nginx.stop()


def test_config_error_is_returned(nginx_test):
    code, said = nginx_test("servre {}", module=False)
    assert code != 0 and 'unknown directive "servre"' in said


@pytest.mark.parametrize("unix", [False, True])
def test_redis_lives_and_dies(start_redis, unix):
    redis = start_redis(unix=unix, durable=True)
    redis.client.xadd("s", {"a": "1", "b": "ä"})
    redis.kill()
    redis.start()
    (entry,) = redis.wait_entries("s", 1)
    assert (entry["a"], entry["b"]) == ("1", "ä")
