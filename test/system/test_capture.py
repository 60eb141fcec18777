"""Requests as events: each one once, and what is said of it is true."""

import os
import pathlib
import re
import socket
import threading
import time

import pytest

from backend import answer, drip, hang
from capturing import *  # noqa: F403 (fixtures)
from capturing import flags
from harness import exchange, fetch, wait_until

REQUEST_FIELDS = [
    "v", "src", "seq", "ts", "dur", "server", "route", "method", "proto",
    "status", "in", "out", "cache", "attempts", "grpc", "cloud", "region",
    "zone", "weight", "flags", "labels", "fields",
]


# ------------------------------------------------------------- one request


def test_everything_of_one_request(serve, requests):
    nginx = serve("location / { return 200 'hello'; }")
    sent = (b"GET /some/path?secret=1 HTTP/1.1\r\nHost: alias.example.org\r\n"
            b"Authorization: Basic c2VjcmV0\r\nConnection: close\r\n\r\n")
    before = time.time()
    received = exchange(nginx.port, sent)
    after = time.time()

    [event] = requests(1)
    event.pop("_id")
    assert list(event) == REQUEST_FIELDS
    assert event["server"] == "www.example.org"
    assert event["route"] == "/"
    assert event["method"] == "GET"
    assert event["proto"] == "1.1"
    assert event["status"] == "200"
    assert int(event["in"]) == len(sent)
    assert int(event["out"]) == len(received)
    assert before * 1e6 - 1000 <= int(event["ts"]) <= after * 1e6 + 1e6
    assert int(event["dur"]) < 5_000_000
    assert event["attempts"] == "0"
    assert event["weight"] == "1"
    for name in ("cache", "grpc", "cloud", "region", "zone", "flags",
                 "labels", "fields"):
        assert event[name] == "", name
    # nothing of the query, of headers, of the client
    text = " ".join(event.values())
    assert "secret" not in text and "path" not in text
    assert "127.0.0.1" not in text


def test_off_by_default(redis, start_nginx):
    nginx = start_nginx("""
        tocsin_redis @redis@;
        server {
            listen @port@;
            location / { return 200; }
            location /on { tocsin on; return 200; }
            location /on/off { tocsin off; return 200; }
        }
    """, redis=redis.url, workers=1)
    for path in ("/", "/on/off", "/nothing", "/on"):
        assert nginx.get(path).status == 200
    [event] = redis.wait_entries("tocsin:request", 1)
    assert event["route"] == "/on"


def test_routes_are_locations_as_written(serve, requests):
    nginx = serve(r"""
        location = / { return 200; }
        location / { return 200; }
        location /api/ { return 200; }
        location ^~ /static/ { return 200; }
        location ~ \.php$ { return 200; }
        location /outer/ { location /outer/inner { return 200; } return 200; }
    """)
    paths = ["/", "/x", "/api/v1", "/static/a.php", "/a.php", "/outer/x",
             "/outer/inner/x"]
    for path in paths:
        nginx.get(path)
    assert [e["route"] for e in requests(len(paths))] == [
        "= /", "/", "/api/", "/static/", r"~ \.php$", "/outer/",
        "/outer/inner",
    ]


def test_methods_and_protocols(serve, requests):
    nginx = serve("location / { return 200; }")
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "MKCOL", "COPY",
               "MOVE", "OPTIONS", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK",
               "PATCH", "BREW", "GE"]
    for method in methods:
        fetch(nginx.url(), method)
    exchange(nginx.port, b"GET / HTTP/1.0\r\n\r\n")
    exchange(nginx.port, b"GET /\r\n")
    events = requests(len(methods) + 2)
    assert [e["method"] for e in events] == (
        methods[:-2] + ["_OTHER", "_OTHER", "GET", "GET"]
    )
    assert [e["proto"] for e in events[-3:]] == ["1.1", "1.0", "0.9"]
    head = events[1]
    assert 0 < int(head["out"]) < 500


def test_server_names(redis, start_nginx):
    nginx = start_nginx("""
        tocsin on;
        tocsin_redis @redis@;
        server { listen @port@; return 200; }
        server { listen @port@; server_name a.test; return 200; }
        server { listen @port@; server_name .b.test; return 200; }
        server { listen @port@; server_name ~^c\\d+\\.test$; return 200; }
    """, redis=redis.url, workers=1)
    hosts = ["other.test", "a.test", "x.b.test", "c12.test"]
    for host in hosts:
        nginx.get("/", headers={"Host": host})
    rows = redis.wait_entries("tocsin:request", 4)
    assert [row["server"] for row in rows] == [
        "", "a.test", "b.test", "~^c\\d+\\.test$"
    ]
    assert [row["status"] for row in rows] == ["200"] * 4


def test_keep_alive_and_pipelining(serve, requests):
    nginx = serve("location / { return 200; } location /b { return 404; }")
    one = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    received = exchange(nginx.port, one % b"a" + one % b"b" + last)
    assert received.count(b"HTTP/1.1 ") == 3

    events = requests(3)
    assert [e["status"] for e in events] == ["200", "404", "404"]
    assert [int(e["in"]) for e in events] == [
        len(one) - 1, len(one) - 1, len(last)
    ]
    assert sum(int(e["out"]) for e in events) == len(received)


def test_duration_counts_from_the_first_byte(serve, requests):
    nginx = serve("location / { return 200; }")
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\n")
        time.sleep(0.3)
        s.sendall(b"Host: a\r\nConnection: close\r\n\r\n")
        while s.recv(4096):
            pass
    [event] = requests(1)
    # the first byte is known in ms, by the clock of the event loop
    assert int(event["dur"]) >= 200_000


def test_durations_have_microseconds(serve, requests):
    nginx = serve("location / { return 200; }")
    for _ in range(20):
        nginx.get()
    durations = [int(e["dur"]) for e in requests(20)]
    assert any(d % 1000 for d in durations)
    assert all(0 <= d < 5_000_000 for d in durations)


def test_a_slow_client_is_in_the_duration(serve, requests, tmp):
    (tmp / "big").write_bytes(b"x" * 20_000_000)
    nginx = serve("root @tmp@;", tmp=tmp)
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        s.recv(1)
        time.sleep(0.3)
        while s.recv(1 << 20):
            pass
    [event] = requests(1)
    assert int(event["dur"]) >= 200_000
    assert int(event["out"]) > 20_000_000


def test_ranges(serve, requests, tmp):
    (tmp / "file").write_bytes(b"x" * 1000)
    nginx = serve("root @tmp@;", tmp=tmp)
    one = nginx.get("/file", headers={"Range": "bytes=0-9"})
    nginx.get("/file", headers={"Range": "bytes=0-9,20-29"})
    nginx.get("/file", headers={"Range": "bytes=5000-"})
    nginx.get("/file", headers={"If-None-Match": one.headers["etag"]})
    assert [e["status"] for e in requests(4)] == ["206", "206", "416", "304"]


# ---------------------------------------------------------- early refusals


EARLY = [
    # (sent, status)
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
    (b"no request at all\r\n\r\n", "400"),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "414"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", "400"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n", "413"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", "501"),
]


@pytest.mark.parametrize("sent, status", EARLY)
@pytest.mark.parametrize("page", ["", "error_page 400 413 414 501 /sorry;"])
def test_early_refusals(serve, requests, sent, status, page):
    nginx = serve("""
        client_max_body_size 1k;
        large_client_header_buffers 2 8k;
        %s
        location / { return 200; }
        location = /sorry { internal; return 200 sorry; }
    """ % page)
    exchange(nginx.port, sent)
    [event] = requests(1)
    assert event["status"] == status
    assert "early" in flags(event)
    assert event["route"] == ("/" if status == "413" and not page else "")
    assert event["server"] == "www.example.org"


def test_plain_http_to_https(serve, requests, certificate):
    nginx = serve("""
        listen @ports@ ssl;
        ssl_certificate @cert@; ssl_certificate_key @key@;
        location / { return 200; }
    """, **certificate)
    exchange(nginx.ports["ports"], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    [event] = requests(1)
    assert event["status"] == "400"
    assert "early" in flags(event)


def test_header_timeout(serve, requests):
    nginx = serve("client_header_timeout 300ms; location / { return 200; }")
    exchange(nginx.port, b"GET / HTTP/1.1\r\nHost: a\r\n")
    [event] = requests(1)
    assert event["status"] == "408"
    assert "early" in flags(event)
    assert int(event["dur"]) >= 200_000


def test_server_level_return_is_no_refusal(serve, requests):
    nginx = serve("return 301 https://$host$request_uri;")
    nginx.get("/x")
    [event] = requests(1)
    assert (event["status"], event["route"], event["flags"]) == (
        "301", "", ""
    )


# ------------------------------------------------------ internal redirects


def test_the_original_location_stays(serve, requests, tmp, start_backend):
    backend = start_backend(answer(headers={"X-Accel-Redirect": "/hidden"}))
    (tmp / "index.html").write_text("index")
    nginx = serve("""
        error_page 404 /404.html;
        error_page 503 @named;
        location /try { try_files /none /target; }
        location /rewritten { rewrite ^ /target last; }
        location /missing { return 404; }
        location /busy { return 503; }
        location /accel { proxy_pass http://@backend@; }
        location /index/ { alias @tmp@/; }
        location = /index/index.html { return 200 found; }
        location = /404.html { return 200 no; }
        location /target { return 200 target; }
        location /hidden { internal; return 200 hidden; }
        location @named { return 200 named; }
    """, tmp=tmp, backend=backend.address)
    paths = ["/try", "/rewritten", "/missing", "/busy", "/accel", "/index/"]
    for path in paths:
        nginx.get(path)
    events = requests(len(paths))
    assert [e["route"] for e in events] == paths
    assert [e["status"] for e in events] == [
        "200", "200", "404", "503", "200", "200"
    ]
    assert [flags(e) for e in events] == [{"internal"}] * len(paths)
    assert [e["attempts"] for e in events] == ["0", "0", "0", "0", "1", "0"]


def test_the_method_before_an_error_page(serve, requests):
    nginx = serve("""
        location / { error_page 405 =200 /page; return 405; }
        location /page { return 200; }
    """)
    nginx.get("/", method="POST", body=b"x")
    [event] = requests(1)
    assert event["method"] == "POST"
    assert event["status"] == "200"


def test_the_first_location_decides_whether(serve, requests):
    nginx = serve("""
        location /off { tocsin off; rewrite ^ /on last; }
        location /on { return 200; }
        location /switch { rewrite ^ /off2 last; }
        location /off2 { tocsin off; return 200; }
    """)
    nginx.get("/off")
    nginx.get("/switch")
    [event] = requests(1)
    assert event["route"] == "/switch"


# ------------------------------------------------------ clients that leave


def test_a_client_that_leaves(serve, requests, start_backend):
    backend = start_backend(hang())
    nginx = serve("location / { proxy_pass http://@backend@; }",
                  backend=backend.address)
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: backend.requests)
    [event] = requests(1)
    assert event["status"] == "499"
    assert "aborted" in flags(event)


def test_a_client_that_leaves_within_the_body(serve, requests, start_backend):
    backend = start_backend(drip(b"x" * 100, interval=0.05))
    nginx = serve("location / { proxy_pass http://@backend@;"
                  " proxy_buffering off; }", backend=backend.address)
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in s.recv(4096)
    [event] = requests(1)
    assert event["status"] == "200"
    assert "aborted" in flags(event)


def test_closed_without_an_answer(serve, requests):
    nginx = serve("location / { return 444; }")
    assert exchange(nginx.port, b"GET / HTTP/1.0\r\n\r\n") == b""
    [event] = requests(1)
    assert event["status"] == "444"
    assert flags(event) == set()


POST = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize("sent, then", [
    (POST % b"/", "sends the rest"), (POST % b"/", "leaves"),
    (POST % b"/", "waits"), (POST % b"/proxy", "leaves"),
    (b"GET /always HTTP/1.0\r\n\r\n", "waits"),
])
def test_what_comes_after_the_answer(serve, requests, sent, then):
    """The rest of a body is no latency, and who does not send it no abort."""
    nginx = serve("""
        lingering_timeout 1s;
        location / { return 503; }
        location /always { lingering_close always; return 503; }
        location /proxy { proxy_request_buffering off;
                          proxy_pass http://127.0.0.1:@port2@; }
        location /alive { tocsin off; return 200; }
    """, extra="server { tocsin off; listen @port2@; return 503; }")
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(sent)
        assert b" 503 " in s.recv(4096)
        nginx.get("/alive")  # what the one worker has done after the answer
        answered = time.time()
        if then == "sends the rest":
            s.sendall(b"x" * 9)
        elif then == "leaves":
            s.close()
        [event] = requests(1)
    assert event["status"] == "503"
    assert flags(event) == set()
    assert int(event["ts"]) < answered * 1e6


# -------------------------------------------------------------- long-lived


def test_server_sent_events(serve, requests, start_backend):
    backend = start_backend(answer(
        headers={"Content-Type": "text/event-stream; charset=utf-8"}))
    nginx = serve("location / { proxy_pass http://@backend@; }",
                  backend=backend.address)
    nginx.get()
    [event] = requests(1)
    assert flags(event) == {"long_lived"}


# ------------------------------------------------------------- subrequests


def test_auth_request(serve, requests, start_backend):
    good = start_backend(answer(204, b""))
    bad = start_backend(answer(401))
    nginx = serve("""
        location /in { auth_request /good; return 200; }
        location /try { auth_request /bad; try_files /x /ok; }
        location /ok { return 200; }
        location = /good { internal; proxy_pass http://@good@;
                           proxy_pass_request_body off; }
        location = /bad { internal; proxy_pass http://@bad@; }
        location /file { auth_request /static; try_files /x /ok; }
        location = /static { internal; return 403; }
    """, good=good.address, bad=bad.address)
    assert nginx.get("/try").status == 401
    assert nginx.get("/file").status == 403
    events = requests(4)
    subs = [e for e in events if "subrequest" in flags(e)]
    mains = [e for e in events if "subrequest" not in flags(e)]
    assert [e["route"] for e in mains] == ["/try", "/file"]
    assert [e["status"] for e in mains] == ["401", "403"]
    assert [e["attempts"] for e in mains] == ["0", "0"]
    assert [e["route"] for e in subs] == ["= /bad", "= /static"]
    assert [e["status"] for e in subs] == ["401", "403"]
    assert [e["attempts"] for e in subs] == ["1", "0"]
    assert [(e["in"], e["out"]) for e in subs] == [("0", "0")] * 2


@pytest.mark.parametrize("log", ["off", "on"])
def test_subrequests_once(serve, requests, tmp, start_backend, log):
    backend = start_backend(answer(body=b"part"))
    (tmp / "page.html").write_text(
        '<!--#include virtual="/part?1" --><!--#include virtual="/part?2" -->'
        '<!--#include virtual="/file" -->')
    (tmp / "file").write_text("file")
    nginx = serve("""
        log_subrequest %s;
        location / { root @tmp@; ssi on; ssi_types *; }
        location /part { proxy_pass http://@backend@; }
        location /file { root @tmp@; }
    """ % log, tmp=tmp, backend=backend.address)
    assert nginx.get("/page.html").body == b"partpartfile"
    events = requests(4)
    subs = [e for e in events if "subrequest" in flags(e)]
    assert sorted(e["route"] for e in subs) == ["/file", "/part", "/part"]
    assert [e["status"] for e in subs] == ["200"] * 3
    [main] = [e for e in events if "subrequest" not in flags(e)]
    assert main["route"] == "/"
    assert main["attempts"] == "0"


def test_a_slow_mirror_is_not_the_latency(serve, requests, start_backend):
    mirror = start_backend(answer(delay=0.5))
    nginx = serve("""
        location / { mirror /mirror; return 200 fast; }
        location /static { mirror /mirror;
                           root /etc; try_files /hostname =404; }
        location = /mirror { internal; proxy_pass http://@mirror@; }
    """, mirror=mirror.address)
    assert nginx.get("/static").status == 200
    events = requests(2)
    [sub] = [e for e in events if "subrequest" in flags(e)]
    [main] = [e for e in events if "subrequest" not in flags(e)]
    assert sub["route"] == "= /mirror"
    assert int(sub["dur"]) >= 499_000
    assert main["route"] == "/static"
    assert int(main["dur"]) < 400_000
    assert int(main["ts"]) <= int(sub["ts"]) - 100_000


@pytest.mark.parametrize("path", ["/", "/proxy"])
def test_a_post_action_is_not_the_answer(serve, requests, attempts,
                                         start_backend, path):
    go = threading.Event()

    def slow(conn, request):
        go.wait(20)
        return answer(500)(conn, request)

    good, backend = start_backend(), start_backend(slow)
    nginx = serve("""
        location / { post_action /done; return 200 ok; }
        location /proxy { post_action /done; proxy_pass http://@good@; }
        location = /done { proxy_pass http://@backend@; }
    """, good=good.address, backend=backend.address)
    assert nginx.get(path).status == 200
    wait_until(lambda: backend.requests)
    answered = time.time()
    go.set()
    [event] = requests(1)
    assert (event["route"], event["status"], event["proto"]) == (
        path, "200", "1.1")
    assert event["attempts"] == str(len(good.requests))
    assert flags(event) == set()
    assert int(event["ts"]) < answered * 1e6
    *before, action = attempts(len(good.requests) + 1)
    assert [a["flags"] for a in before] == [""] * len(before)
    assert (action["peer"], action["attempt"], action["status"]) == (
        backend.address, "1", "500")
    assert flags(action) == {"subrequest"}
    assert action["req"] == event["seq"]


# ----------------------------------------------- with all modules of Debian


def test_with_all_modules_of_nginx_extras(redis, start_nginx, start_backend):
    enabled = pathlib.Path("/etc/nginx/modules-enabled")
    modules = []
    for conf in sorted(enabled.glob("*.conf")):
        modules += re.findall(r"load_module (\S+);", conf.read_text())
    if len(modules) < 15:
        pytest.skip("nginx-extras is not installed")
    backend = start_backend()
    nginx = start_nginx("""
        tocsin on;
        tocsin_redis @redis@;
        lua_shared_dict d 1m;
        upstream lua {
            server 0.0.0.1;
            balancer_by_lua_block {
                assert(require("ngx.balancer").set_current_peer(
                    "127.0.0.1", @bport@))
            }
            keepalive 4;
        }
        upstream fair { server @backend@; fair; }
        server {
            listen @port@;
            location /plain { return 200; }
            location /lua { content_by_lua_block {
                local a = ngx.location.capture("/sub")
                local b = ngx.location.capture("/sub",
                    {share_all_vars = true, vars = {x = "1"}})
                ngx.say(a.body, b.body)
            } set $x 0; }
            location /exec { rewrite_by_lua_block { ngx.exec("/sub") } }
            location /sub { proxy_pass http://@backend@; }
            location /balanced { proxy_pass http://lua; }
            location /fair { proxy_pass http://fair; }
            location /echo { echo_location /sub; echo done; }
            location /pub { nchan_publisher; nchan_channel_id a; }
        }
    """, redis=redis.url, backend=backend.address,
        bport=backend.port, modules=[
            os.path.join("/usr/share/nginx", m) for m in modules
        ], workers=1)
    for path in ("/plain", "/lua", "/exec", "/balanced", "/fair", "/echo"):
        assert nginx.get(path).status == 200, nginx.log
    assert nginx.get("/pub", method="POST", body=b"x").status in (201, 202)

    rows = redis.wait_entries("tocsin:request", 10)
    mains = [e for e in rows if "subrequest" not in flags(e)]
    assert [e["route"] for e in mains] == [
        "/plain", "/lua", "/exec", "/balanced", "/fair", "/echo", "/pub"
    ]
    subs = [e for e in rows if "subrequest" in flags(e)]
    assert [e["route"] for e in subs] == ["/sub"] * 3
    attempts = redis.wait_entries("tocsin:upstream", 6)
    assert {a["peer"] for a in attempts} == {backend.address}
    assert [a["error"] for a in attempts] == [""] * 6
