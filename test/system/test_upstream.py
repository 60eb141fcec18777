"""Attempts as events: one for each peer that was asked, and why it failed."""

import http.client
import socket
import time

import pytest

from backend import answer, drip, hang, hang_up, raw, reset, truncate
from capturing import *  # noqa: F403 (fixtures)
from capturing import flags
from harness import exchange, wait_until

ATTEMPT_FIELDS = [
    "v", "src", "seq", "req", "ts", "dur", "server", "route", "upstream",
    "peer", "attempt", "status", "error", "connect", "header", "in", "out",
    "grpc", "cloud", "region", "zone", "weight", "flags", "labels",
]

PROXY = "location / { proxy_pass http://@backend@; %s }"


def peers(rows):
    return [(a["peer"], a["status"], a["error"]) for a in rows]


# --------------------------------------------------------------- one attempt


def test_everything_of_one_attempt(serve, requests, attempts, start_backend):
    backend = start_backend(answer(201, b"x" * 1000, delay=0.1))
    nginx = serve(
        "location /a { tocsin_label env prod; proxy_pass http://pool; }",
        extra="upstream pool { server @backend@; }"
              "tocsin_cloud 127.0.0.0/8 aws eu-west-1 eu-west-1a;",
        backend=backend.address,
    )
    sent = time.time()
    assert nginx.get("/a").status == 201
    [event] = requests(1)
    [attempt] = attempts(1)
    attempt.pop("_id")
    assert list(attempt) == ATTEMPT_FIELDS
    assert attempt["src"] == event["src"]
    assert attempt["req"] == event["seq"]
    for name in ("server", "route", "cloud", "region", "zone", "weight",
                 "labels"):
        assert attempt[name] == event[name], name
    assert attempt["upstream"] == "pool"
    assert attempt["peer"] == backend.address
    assert attempt["attempt"] == "1" and event["attempts"] == "1"
    assert attempt["status"] == "201"
    assert attempt["error"] == "" and attempt["flags"] == ""
    assert attempt["cloud"] == "aws" and attempt["zone"] == "eu-west-1a"
    assert attempt["labels"] == "env=prod"
    assert int(attempt["in"]) > 1000
    assert int(attempt["out"]) > 20
    assert attempt["grpc"] == ""
    assert sent * 1e6 < int(attempt["ts"]) <= int(event["ts"])
    connect, header, dur = (int(attempt[n]) for n in
                            ("connect", "header", "dur"))
    assert 0 < connect < 99_000 <= header <= dur <= int(event["dur"])


@pytest.mark.parametrize("status", [200, 204, 301, 404, 500, 503])
def test_the_status_is_the_peers(serve, attempts, start_backend, status):
    nginx = serve(PROXY % "error_page 500 503 = /page;",
                  backend=start_backend(answer(status, b"")).address)
    nginx.get()
    rows = attempts(1)
    assert rows[0]["status"] == str(status)
    assert rows[0]["error"] == ""
    assert rows[0]["header"] != ""


def test_intercepted_errors_are_the_peers(serve, requests, attempts,
                                          start_backend):
    nginx = serve(PROXY % "proxy_intercept_errors on;"
                          " error_page 502 503 = /page;"
                  "location /page { return 200; }",
                  backend=start_backend(answer(502)).address)
    assert nginx.get().status == 200
    [attempt] = attempts(1)
    assert (attempt["status"], attempt["error"]) == ("502", "")
    assert requests(1)[0]["status"] == "200"


# ------------------------------------------------------- each kind of error


def fails(serve, attempts, options="", **values):
    """The one attempt of a request that fails as `values` say."""
    nginx = serve(PROXY % options, **values)
    try:
        nginx.get("/", timeout=10)
    except (OSError, http.client.HTTPException):
        pass  # a truncated answer
    [attempt] = attempts(1)
    return attempt


def test_refused(serve, attempts, start_backend):
    backend = start_backend()
    backend.refuse()
    attempt = fails(serve, attempts, backend=backend.address)
    assert peers([attempt]) == [(backend.address, "0", "connect")]
    assert attempt["connect"] == attempt["header"] == ""


def test_refused_unix_socket(serve, attempts, tmp):
    nginx = serve(PROXY % "", backend=f"unix:{tmp}/none:/")
    nginx.allow("connect.. to unix:.* failed")
    nginx.get()
    [attempt] = attempts(1)
    assert attempt["error"] == "connect"
    assert attempt["peer"] == f"unix:{tmp}/none"
    assert attempt["upstream"] == f"unix:{tmp}/none"


def test_connect_timeout(serve, attempts, black_hole):
    attempt = fails(serve, attempts, "proxy_connect_timeout 200ms;",
                    backend=black_hole.address)
    assert peers([attempt]) == [(black_hole.address, "0", "connect_timeout")]
    assert int(attempt["dur"]) >= 199_000


def test_no_answer_in_time(serve, attempts, start_backend):
    attempt = fails(serve, attempts, "proxy_read_timeout 200ms;",
                    backend=start_backend(hang()).address)
    assert (attempt["status"], attempt["error"]) == ("0", "timeout")
    assert attempt["connect"] != "" and attempt["header"] == ""
    assert int(attempt["dur"]) >= 199_000


def test_body_stalls(serve, attempts, start_backend):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin"
    attempt = fails(serve, attempts, "proxy_read_timeout 200ms;",
                    backend=start_backend(hang(head)).address)
    assert (attempt["status"], attempt["error"]) == ("200", "timeout")
    assert attempt["header"] != ""


@pytest.mark.parametrize("action", [
    reset(), hang_up(), reset(b"HTTP/1.1 20"), raw(b"HTTP/1.1 200 OK\r\nA: "),
])
def test_closed_before_the_header(serve, attempts, start_backend, action):
    attempt = fails(serve, attempts, backend=start_backend(action).address)
    assert (attempt["status"], attempt["error"]) == ("0", "reset")


@pytest.mark.parametrize("buffering", ["on", "off"])
@pytest.mark.parametrize("action", [
    truncate(length=1000, sent=10),
    raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
    reset(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
])
def test_truncated(serve, requests, attempts, start_backend, action,
                   buffering):
    attempt = fails(serve, attempts,
                    f"proxy_http_version 1.1; proxy_buffering {buffering};",
                    backend=start_backend(action).address)
    assert (attempt["status"], attempt["error"]) == ("200", "truncated")
    assert requests(1)[0]["status"] == "200"


@pytest.mark.parametrize("action", [
    raw(b"HTTP/1.1 200 OK\r\nno colon\0here\r\n\r\n", close=False),
    raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n", close=False),
])
def test_invalid_header(serve, attempts, start_backend, action):
    attempt = fails(serve, attempts, backend=start_backend(action).address)
    assert (attempt["status"], attempt["error"]) == ("0", "invalid")


def test_invalid_body(serve, attempts, start_backend):
    action = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"zz\r\n", close=False)
    attempt = fails(serve, attempts, "proxy_http_version 1.1;",
                    backend=start_backend(action).address)
    assert (attempt["status"], attempt["error"]) == ("200", "invalid")


def test_tls_to_a_peer_that_speaks_none(serve, attempts, start_backend):
    backend = start_backend(raw(b"HTTP/1.0 400 Bad\r\n\r\n"))
    nginx = serve("location / { proxy_pass https://@backend@; }",
                  backend=backend.address)
    nginx.get()
    [attempt] = attempts(1)
    assert (attempt["status"], attempt["error"]) == ("0", "tls")


def test_tls_with_a_certificate_of_nobody(serve, attempts, certificate):
    nginx = serve("""
        location / {
            proxy_pass https://127.0.0.1:@ports@;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
        }
        location /trusted {
            proxy_pass https://127.0.0.1:@ports@;
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_session_reuse off;
            proxy_ssl_trusted_certificate @cert@;
        }
    """, extra="""
        server {
            listen @ports@ ssl; tocsin off;
            ssl_certificate @cert@; ssl_certificate_key @key@;
            return 204;
        }
    """, **certificate)
    nginx.get("/")
    nginx.get("/trusted")
    bad, good = attempts(2)
    assert (bad["status"], bad["error"]) == ("0", "tls")
    assert (good["status"], good["error"]) == ("204", "")
    assert int(good["connect"]) > 0


def test_the_client_leaves_first(serve, attempts, start_backend):
    backend = start_backend(hang())
    nginx = serve(PROXY % "", backend=backend.address)
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: backend.requests)
    [attempt] = attempts(1)
    assert (attempt["status"], attempt["error"]) == ("0", "aborted")


def test_the_client_leaves_within_the_body(serve, attempts, start_backend):
    backend = start_backend(drip(b"x" * 100, interval=0.05))
    nginx = serve(PROXY % "proxy_buffering off;", backend=backend.address)
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in s.recv(4096)
    [attempt] = attempts(1)
    assert (attempt["status"], attempt["error"]) == ("200", "aborted")


def test_the_client_sends_too_slowly(serve, attempts, start_backend):
    nginx = serve(PROXY % "proxy_request_buffering off;"
                          " proxy_http_version 1.1;"
                          " client_body_timeout 200ms;",
                  backend=start_backend(hang()).address)
    exchange(nginx.port, b"POST / HTTP/1.1\r\nHost: a\r\n"
                         b"Content-Length: 100\r\n\r\nabc")
    [attempt] = attempts(1)
    assert attempt["error"] == "aborted"


def test_no_live_upstreams(serve, requests, attempts, start_backend):
    a, b = start_backend(), start_backend()
    a.refuse(), b.refuse()
    nginx = serve(
        "location / { proxy_pass http://pool; }",
        extra="""upstream pool {
            server @a@ max_fails=1 fail_timeout=1m;
            server @b@ max_fails=1 fail_timeout=1m;
        } tocsin_cloud upstream:pool gcp europe-west4;""",
        a=a.address, b=b.address,
    )
    assert nginx.get().status == 502
    assert nginx.get().status == 502
    rows = attempts(3)
    assert {a["error"] for a in rows[:2]} == {"connect"}
    assert peers(rows[2:]) == [("", "0", "no_live")]
    assert rows[2]["upstream"] == "pool"
    assert rows[2]["attempt"] == "1"
    assert rows[2]["cloud"] == "gcp"
    assert [e["attempts"] for e in requests(2)] == ["2", "1"]


# ------------------------------------------------------------------ retries


def test_every_attempt_of_a_retried_request(serve, requests, attempts,
                                            start_backend, black_hole):
    refused, silent = start_backend(), start_backend(hang())
    failing, good = start_backend(answer(503)), start_backend()
    refused.refuse()
    nginx = serve("""
        location / {
            proxy_pass http://pool;
            proxy_next_upstream error timeout http_503;
            proxy_connect_timeout 200ms;
            proxy_read_timeout 200ms;
        }
    """, extra="""
        upstream pool {
            server @refused@; server @hole@; server @silent@;
            server @failing@; server @good@ backup;
        }
    """, refused=refused.address, hole=black_hole.address,
        silent=silent.address, failing=failing.address, good=good.address)
    assert nginx.get().status == 200

    [event] = requests(1)
    rows = attempts(5)
    assert event["attempts"] == "5"
    assert peers(rows) == [
        (refused.address, "0", "connect"),
        (black_hole.address, "0", "connect_timeout"),
        (silent.address, "0", "timeout"),
        (failing.address, "503", ""),
        (good.address, "200", ""),
    ]
    assert [a["attempt"] for a in rows] == ["1", "2", "3", "4", "5"]
    assert {a["req"] for a in rows} == {event["seq"]}
    ends = [int(a["ts"]) for a in rows]
    assert ends == sorted(ends) and ends[-1] <= int(event["ts"])
    # one after the other: each began when the one before had ended
    for before, after in zip(rows, rows[1:]):
        began = int(after["ts"]) - int(after["dur"])
        assert began >= int(before["ts"]) - 2
    assert sum(int(a["dur"]) for a in rows) <= int(event["dur"])


def test_not_found_elsewhere(serve, attempts, start_backend):
    a, b = start_backend(answer(404)), start_backend(answer(403))
    nginx = serve("location / { proxy_pass http://pool;"
                  " proxy_next_upstream http_404 http_403; }",
                  extra="upstream pool { server @a@; server @b@; }",
                  a=a.address, b=b.address)
    assert nginx.get().status == 403
    assert peers(attempts(2)) == [
        (a.address, "404", ""), (b.address, "403", "")
    ]


@pytest.mark.parametrize("balancer", [
    "", "ip_hash;", "least_conn;", "random;", "random two;",
    "hash $uri;", "hash $uri consistent;", "zone z 64k;",
])
def test_each_balancer(serve, attempts, start_backend, balancer):
    a, b = start_backend(), start_backend()
    a.refuse()
    nginx = serve(
        "location / { proxy_pass http://pool; }",
        extra="upstream pool { %s server @a@ max_fails=0;"
              " server @b@ max_fails=0; keepalive 2; }" % balancer,
        a=a.address, b=b.address,
    )
    for i in range(6):
        assert nginx.get(f"/{i}").status == 200
    rows = attempts(6, where=lambda a: a["status"] == "200")
    assert {a["peer"] for a in rows} == {b.address}


# --------------------------------------------------- connections kept alive


def test_kept_connections(serve, attempts, start_backend):
    backend = start_backend()
    nginx = serve("""
        location / {
            proxy_pass http://pool;
            proxy_http_version 1.1; proxy_set_header Connection "";
        }
    """, extra="upstream pool { server @backend@; keepalive 2; }",
        backend=backend.address)
    for _ in range(3):
        nginx.get()
    assert len({r.port for r in backend.requests}) == 1
    rows = attempts(3)
    # only what was connected has a time to connect
    assert [a["connect"] != "" for a in rows] == [True, False, False]
    assert all(int(a["header"]) > 0 for a in rows)


def test_a_kept_connection_that_was_closed(serve, attempts, start_backend):
    backend = start_backend()
    nginx = serve("""
        location / {
            proxy_pass http://pool;
            proxy_http_version 1.1; proxy_set_header Connection "";
        }
    """, extra="upstream pool { server @backend@; keepalive 2; }",
        backend=backend.address)
    nginx.get()
    backend.script(reset(), answer())
    assert nginx.get().status == 200
    assert [a["error"] for a in attempts(3)] == ["", "reset", ""]


# ----------------------------------------- redirects, subrequests, variables


def test_attempts_before_a_redirect(serve, requests, attempts, start_backend):
    accel = start_backend(answer(headers={"X-Accel-Redirect": "/second"}))
    broken, second = start_backend(answer(500)), start_backend(answer(200))
    nginx = serve("""
        location /accel { proxy_pass http://@accel@; }
        location /second { internal; proxy_pass http://@second@; }
        location /page { proxy_pass http://@broken@;
                         proxy_intercept_errors on; error_page 500 = /second; }
        location /down { proxy_pass http://127.0.0.1:1;
                         error_page 502 @other; }
        location @other { proxy_pass http://@second@; }
    """, accel=accel.address, second=second.address, broken=broken.address)
    for path in ("/accel", "/page", "/down"):
        nginx.get(path)
    events = requests(3)
    rows = attempts(6)
    assert [e["attempts"] for e in events] == ["2", "2", "2"]
    assert peers(rows) == [
        (accel.address, "200", ""), (second.address, "200", ""),
        (broken.address, "500", ""), (second.address, "200", ""),
        ("127.0.0.1:1", "0", "connect"), (second.address, "200", ""),
    ]
    assert [a["attempt"] for a in rows] == ["1", "2"] * 3
    assert [a["req"] for a in rows] == [e["seq"] for e in events for _ in "12"]
    assert [a["route"] for a in rows] == [e["route"] for e in events
                                          for _ in "12"]
    assert [a["upstream"] for a in rows] == [
        accel.address, second.address, broken.address, second.address,
        "127.0.0.1:1", second.address,
    ]


def test_attempts_of_subrequests(serve, requests, attempts, start_backend):
    auth, mirror = start_backend(answer(204, b"")), start_backend(answer())
    backend = start_backend()
    auth_down = start_backend()
    auth_down.refuse()
    nginx = serve("""
        location / {
            auth_request /auth; mirror /mirror; proxy_pass http://@backend@;
        }
        location /denied { auth_request /down; proxy_pass http://@backend@; }
        location = /auth { internal; proxy_pass http://@auth@; }
        location = /down { internal; proxy_pass http://@down@; }
        location = /mirror { internal; proxy_pass http://@mirror@; }
    """, auth=auth.address, mirror=mirror.address, backend=backend.address,
        down=auth_down.address)
    assert nginx.get("/").status == 200
    assert nginx.get("/denied").status == 500
    events = {e["seq"]: e for e in requests(5)}
    rows = attempts(4)
    found = {
        (events[a["req"]]["route"], a["peer"], a["error"],
         "subrequest" in flags(a)) for a in rows
    }
    assert found == {
        ("/", backend.address, "", False),
        ("= /auth", auth.address, "", True),
        ("= /mirror", mirror.address, "", True),
        ("= /down", auth_down.address, "connect", True),
    }
    denied = [e for e in events.values() if e["route"] == "/denied"]
    assert [e["attempts"] for e in denied] == ["0"]


def test_variable_proxy_pass(serve, requests, attempts, start_backend):
    a, b = start_backend(), start_backend(answer(delay=0.1))
    nginx = serve("""
        location /name { set $u pool; proxy_pass http://$u; }
        location /addr { set $u @b@; proxy_pass http://$u; }
        location /down { set $u 127.0.0.1:1; proxy_pass http://$u; }
        location /dns { set $u nowhere.invalid; proxy_pass http://$u; }
    """, extra="""
        upstream pool { server @a@; }
        tocsin_cloud 127.0.0.0/8 azure westeurope;
        resolver 127.0.0.1:1 valid=1s; resolver_timeout 200ms;
    """, a=a.address, b=b.address)
    for path in ("/name", "/addr", "/down", "/dns"):
        nginx.get(path)
    events, rows = requests(4), attempts(4)
    assert [e["attempts"] for e in events] == ["1"] * 4
    assert [e["cloud"] for e in events] == ["azure"] * 3 + [""]
    assert peers(rows) == [
        (a.address, "200", ""), (b.address, "200", ""),
        ("127.0.0.1:1", "0", "connect"), ("", "0", "local"),
    ]
    assert [a["upstream"] for a in rows] == [
        "pool", b.address, "127.0.0.1:1", "nowhere.invalid"
    ]
    assert [flags(a) for a in rows] == [set()] + [{"coarse"}] * 3
    assert int(rows[1]["dur"]) >= 90_000


def test_coarse_after_exact(serve, requests, attempts, start_backend):
    """Both kinds in one request keep their order."""
    a, b = start_backend(answer(500)), start_backend()
    nginx = serve("""
        location / { proxy_pass http://pool; proxy_intercept_errors on;
                     error_page 500 = /two; }
        location /two { set $u @b@; proxy_pass http://$u; }
    """, extra="upstream pool { server 127.0.0.1:1; server @a@; }",
        a=a.address, b=b.address)
    nginx.get("/")
    [event] = requests(1)
    rows = attempts(3)
    assert event["attempts"] == "3"
    assert peers(rows) == [
        ("127.0.0.1:1", "0", "connect"), (a.address, "500", ""),
        (b.address, "200", ""),
    ]
    assert [flags(a) for a in rows] == [set(), set(), {"coarse"}]


# -------------------------------------------------------------------- cache


def test_cache(serve, requests, attempts, start_backend, tmp):
    backend = start_backend(answer(headers={"Cache-Control": "max-age=1"}))
    nginx = serve("""
        location / {
            proxy_pass http://@backend@; proxy_cache c;
            proxy_cache_use_stale error updating;
            proxy_cache_background_update on;
            proxy_cache_bypass $arg_bypass;
        }
    """, extra="proxy_cache_path @cache@ keys_zone=c:1m;",
        backend=backend.address, cache=tmp / "cache")
    nginx.get("/a")
    nginx.get("/a")
    nginx.get("/a?bypass=1")
    events = requests(3)
    assert [e["cache"] for e in events] == ["MISS", "HIT", "BYPASS"]
    assert [e["attempts"] for e in events] == ["1", "0", "1"]
    attempts(2)

    backend.default = answer(headers={"Cache-Control": "max-age=100"},
                             delay=0.5)
    wait_until(lambda: nginx.get("/a").status == 200
               and len(backend.requests) == 3)

    def stale(event):
        return event["cache"] == "STALE"

    [event] = requests(1, where=stale)
    # the client was served at once, while the cache was refreshed
    assert event["attempts"] == "0"
    assert int(event["dur"]) < 400_000
    [update] = requests(1, where=lambda e: "subrequest" in flags(e))
    assert update["attempts"] == "1"
    [attempt] = attempts(1, where=lambda a: a["req"] == update["seq"])
    assert int(attempt["dur"]) >= 499_000
    assert flags(attempt) == {"subrequest"}


def test_stale_after_an_error(serve, requests, attempts, start_backend, tmp):
    backend = start_backend(answer(headers={"Cache-Control": "max-age=1"}))
    nginx = serve("""
        location / {
            proxy_pass http://@backend@; proxy_cache c;
            proxy_cache_use_stale error;
        }
    """, extra="proxy_cache_path @cache@ keys_zone=c:1m;",
        backend=backend.address, cache=tmp / "cache")
    nginx.get("/a")
    backend.refuse()
    wait_until(lambda: nginx.get("/a").status == 200 and requests_stale(nginx))
    rows = attempts(1, where=lambda a: a["error"] == "connect")
    [event] = requests(1, where=lambda e: e["seq"] == rows[0]["req"])
    assert (event["status"], event["cache"]) == ("200", "STALE")


def requests_stale(nginx):
    return "Connection refused" in nginx.log
