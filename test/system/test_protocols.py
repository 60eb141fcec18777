"""Every protocol that nginx speaks, to clients and to upstreams."""

import os
import shutil
import socket
import subprocess
import threading

import h2.config
import h2.connection
import pytest

from backend import answer, hang, hang_up, raw
from capturing import *  # noqa: F403 (fixtures)
from capturing import flags
from harness import Process, exchange, free_port, wait_until


def curl(*argv, refused=False):
    """What came. A refusal may reset the stream, and curl complains."""
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *argv],
                          capture_output=True, check=False)
    assert done.returncode == 0 or refused, done.stderr
    return done.stdout


class Program(Process):
    """An application server of somebody else."""

    name = "program"

    def stop(self):
        self.kill()


# ------------------------------------------------------------------ HTTP/2


H2 = """
    listen @porth@ http2;
    location / { return 200 hello; }
    location /proxy { proxy_pass http://@backend@; }
    location /post { client_max_body_size 10; proxy_pass http://@backend@; }
"""


@pytest.fixture
def start_h2(serve, start_backend):
    backend = start_backend()
    nginx = serve(H2, backend=backend.address)
    nginx.h2 = f"http://127.0.0.1:{nginx.ports['porth']}"
    nginx.backend = backend
    return nginx


def test_http2(start_h2, requests, attempts):
    for path, body in (("/", b"hello"), ("/proxy", b"ok\n")):
        assert curl("--http2-prior-knowledge", start_h2.h2 + path) == body
    one, two = requests(2)
    assert (one["proto"], one["status"], one["route"]) == ("2", "200", "/")
    assert (two["proto"], two["attempts"]) == ("2", "1")
    assert int(one["in"]) > 0 and int(one["out"]) > 5
    [attempt] = attempts(1)
    assert attempt["req"] == two["seq"]


def test_http2_streams_at_once(start_h2, requests, attempts):
    if not shutil.which("h2load"):
        pytest.skip("h2load is not installed")
    done = subprocess.run(
        ["h2load", "-n", "200", "-c", "2", "-m", "20", f"{start_h2.h2}/proxy"],
        capture_output=True, text=True, check=True,
    )
    assert "200 succeeded" in done.stdout
    events, rows = requests(200), attempts(200)
    assert {e["proto"] for e in events} == {"2"}
    assert {a["req"] for a in rows} == {e["seq"] for e in events}
    assert {a["error"] for a in rows} == {""}


def test_http2_refusals(start_h2, requests):
    curl("--http2-prior-knowledge", f"{start_h2.h2}/post", "-d", "x" * 100,
         refused=True)
    curl("--http2-prior-knowledge", f"{start_h2.h2}/", "-H",
         "X: " + "y" * 40000, refused=True)
    first, second = requests(2)
    assert (first["status"], first["method"]) == ("413", "POST")
    assert "early" in flags(first)
    assert second["status"] in ("0", "400", "431")
    assert "early" in flags(second)
    assert second["proto"] == "2"


def test_http2_reset_by_the_client(start_h2, requests, attempts):
    start_h2.backend.default = hang()
    conn = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=True))
    with socket.create_connection(
            ("127.0.0.1", start_h2.ports["porth"])) as s:
        conn.initiate_connection()
        conn.send_headers(1, [(":method", "GET"), (":path", "/proxy"),
                              (":scheme", "http"), (":authority", "a")],
                          end_stream=True)
        s.sendall(conn.data_to_send())
        wait_until(lambda: start_h2.backend.requests)
        conn.reset_stream(1, error_code=8)
        s.sendall(conn.data_to_send())
        [event] = requests(1)
        [attempt] = attempts(1)
    assert event["status"] == "499"
    assert "aborted" in flags(event)
    assert attempt["error"] == "aborted"


# --------------------------------------------------------------------- TLS


def test_tls_clients(serve, requests, certificate):
    nginx = serve("""
        listen @ports@ ssl http2;
        ssl_certificate @cert@; ssl_certificate_key @key@;
        location / { return 200 hello; }
    """, **certificate)
    url = f"https://127.0.0.1:{nginx.ports['ports']}/"
    curl("-k", "--http1.1", url)
    curl("-k", "--http2", url)
    assert [e["proto"] for e in requests(2)] == ["1.1", "2"]


# --------------------------------------------------- protocols of upstreams


CGI = {
    "fastcgi": "fastcgi_pass {}; include /etc/nginx/fastcgi_params;",
    "scgi": "scgi_pass {}; include /etc/nginx/scgi_params;",
    "uwsgi": "uwsgi_pass {}; include /etc/nginx/uwsgi_params;",
}


@pytest.mark.parametrize("protocol", sorted(CGI))
def test_cgi_protocols(serve, requests, attempts, start_backend, protocol):
    good = start_backend(answer(201, b"body"), protocol=protocol)
    bad = start_backend(hang_up(), protocol=protocol)
    pass_to = CGI[protocol]
    nginx = serve(
        "location /pool { %s %s_next_upstream error timeout; }"
        "location /bad { %s }" % (pass_to.format("pool"), protocol,
                                  pass_to.format("@bad@")),
        extra="upstream pool { server @bad@; server @good@; }",
        good=good.address, bad=bad.address)
    assert nginx.get("/pool").status == 201
    assert nginx.get("/bad").status == 502
    events, rows = requests(2), attempts(3)
    assert [e["attempts"] for e in events] == ["2", "1"]
    assert [(a["upstream"], a["peer"], a["status"], a["error"])
            for a in rows] == [
        ("pool", bad.address, "0", "reset"),
        ("pool", good.address, "201", ""),
        (bad.address, bad.address, "0", "reset"),
    ]


def test_invalid_fastcgi(serve, attempts, start_backend):
    backend = start_backend(raw(b"this is not FastCGI at all", close=False),
                            protocol="fastcgi")
    nginx = serve("location / { %s }" % CGI["fastcgi"].format("@backend@"),
                  backend=backend.address)
    nginx.get()
    [attempt] = attempts(1)
    assert (attempt["status"], attempt["error"]) == ("0", "invalid")


def test_real_fcgiwrap(serve, requests, attempts, tmp, running):
    program = shutil.which("fcgiwrap") or "/usr/sbin/fcgiwrap"
    if not os.path.exists(program):
        pytest.skip("fcgiwrap is not installed")
    script = tmp / "script"
    script.write_text("#!/bin/sh\nprintf 'Status: 202 Yes\\r\\n\\r\\nbody'\n")
    script.chmod(0o755)
    sock = tmp / "fcgi.sock"
    running(Program(tmp / "fcgi")).spawn([program, "-s", f"unix:{sock}"])
    wait_until(sock.exists)
    nginx = serve("""
        location / {
            fastcgi_pass unix:@sock@;
            fastcgi_param SCRIPT_FILENAME @script@;
            fastcgi_param REQUEST_METHOD $request_method;
        }
    """, sock=sock, script=script)
    assert nginx.get().status == 202
    [attempt] = attempts(1)
    assert (attempt["peer"], attempt["status"], attempt["error"]) == (
        f"unix:{sock}", "202", "")


def test_real_uwsgi(serve, attempts, tmp, running):
    program = shutil.which("uwsgi")
    if not program:
        pytest.skip("uwsgi is not installed")
    sock = tmp / "uwsgi.sock"
    (tmp / "app.py").write_text(
        "def application(env, start):\n"
        "    start('203 Maybe', [('Content-Length', '2')])\n"
        "    return [b'hi']\n")
    running(Program(tmp / "uwsgi")).spawn(
        [program, "--plugin", "python3", "--socket", sock, "--die-on-term",
         "--wsgi-file", tmp / "app.py"])
    wait_until(sock.exists)
    nginx = serve("location / { uwsgi_pass unix:@sock@;"
                  " include /etc/nginx/uwsgi_params; }", sock=sock)
    assert nginx.get().status == 203
    [attempt] = attempts(1)
    assert (attempt["status"], attempt["error"]) == ("203", "")


def test_grpc(serve, requests, attempts):
    nginx = serve("""
        listen @portg@ http2;
        location / { grpc_pass grpc://127.0.0.1:@portb@; }
        location /down { grpc_pass grpc://127.0.0.1:1; }
    """, extra="""
        server {
            listen @portb@ http2; tocsin off;
            location /ok { add_trailer grpc-status 0; return 200 x; }
            location /sad { add_header grpc-status 14; return 200; }
            location /none { return 503; }
        }
    """)
    for path in ("ok", "sad", "none", "down"):
        curl("--http2-prior-knowledge", "-H", "TE: trailers",
             f"http://127.0.0.1:{nginx.ports['portg']}/{path}")
    events, rows = requests(4), attempts(4)
    assert [a["grpc"] for a in rows] == ["0", "14", "", ""]
    assert [e["grpc"] for e in events] == ["0", "14", "", ""]
    assert [(a["status"], a["error"]) for a in rows] == [
        ("200", ""), ("200", ""), ("503", ""), ("0", "connect")
    ]


def test_grpc_to_a_peer_that_speaks_http1(serve, attempts, start_backend):
    backend = start_backend(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n",
                                close=False))
    nginx = serve("listen @portg@ http2;"
                  " location / { grpc_pass grpc://@backend@; }",
                  backend=backend.address)
    curl("--http2-prior-knowledge",
         f"http://127.0.0.1:{nginx.ports['portg']}/")
    [attempt] = attempts(1)
    assert (attempt["status"], attempt["error"]) in (
        ("0", "invalid"), ("0", "reset"))


class Memcached:
    """As much of memcached as a "get" needs."""

    def __init__(self):
        port = free_port()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{port}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock:
                line = sock.recv(4096)
                if b"known" in line:
                    sock.sendall(b"VALUE /known 0 5\r\nhello\r\nEND\r\n")
                else:
                    sock.sendall(b"END\r\n")

    def stop(self):
        # close() alone would leave accept() of the other thread waiting
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_memcached(serve, requests, attempts, running):
    server = running(Memcached())
    nginx = serve("location / { set $memcached_key $uri;"
                  " memcached_pass @server_@; }", server_=server.address)
    assert nginx.get("/known").body == b"hello"
    assert nginx.get("/other").status == 404
    assert [(a["status"], a["error"]) for a in attempts(2)] == [
        ("200", ""), ("404", "")
    ]
    assert [e["status"] for e in requests(2)] == ["200", "404"]


# ---------------------------------------------------------------- upgrades


def test_websocket(serve, requests, attempts, start_backend):
    def echo(conn, request):
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\n"
                  b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        conn.send(conn.file.read(5))
        return False

    backend = start_backend(echo)
    nginx = serve("""
        location / {
            proxy_pass http://@backend@; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    """, backend=backend.address)
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                  b"Connection: upgrade\r\n\r\n")
        assert b"101 Switching" in s.recv(4096)
        s.sendall(b"hello")
        received = b""
        while chunk := s.recv(4096):
            received += chunk
        assert received == b"hello"
    [event], [attempt] = requests(1), attempts(1)
    assert event["status"] == attempt["status"] == "101"
    assert flags(event) == flags(attempt) == {"long_lived", "upgraded"}
    assert attempt["error"] == ""


def test_an_open_websocket_is_not_waited_for(serve, redis, start_backend):
    def accept(conn, request):
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        conn.backend.stopping.wait()
        return False

    backend = start_backend(accept)
    nginx = serve("location / { proxy_pass http://@backend@;"
                  " proxy_http_version 1.1;"
                  " proxy_set_header Upgrade $http_upgrade;"
                  " proxy_set_header Connection upgrade; }",
                  backend=backend.address)
    with socket.create_connection(("127.0.0.1", nginx.port)) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                  b"Connection: upgrade\r\n\r\n")
        assert b"101 Switching" in s.recv(4096)
        wait_until(lambda: any(
            f"={backend.address}=1=0=" in e["inflight"].replace("%3A", ":")
            for e in redis.entries("tocsin:beat")))


def test_http09_has_no_header(serve, requests):
    nginx = serve("location / { return 200 hello; }")
    assert exchange(nginx.port, b"GET /\r\n") == b"hello"
    [event] = requests(1)
    assert (event["proto"], event["status"], event["out"]) == (
        "0.9", "200", "5")
