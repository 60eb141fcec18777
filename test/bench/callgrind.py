#!/usr/bin/python3
"""Instructions that a request costs, counted by callgrind.

    callgrind.py [-n REQUESTS] [--keep DIR] [variant...]

One nginx process serves keep-alive connections under callgrind; counting
begins after a warm-up and ends when Redis has acknowledged every event, so
encoding, sending and acknowledgements are in it, and the beats as well. Each
variant is compared with bare nginx doing the same.
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

from harness import MODULE, Redis, free_port, is_listening  # noqa: E402
from harness import wait_until  # noqa: E402

CONF = """
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
user root;
{load}
events {{ worker_connections 512; }}
http {{
    {log}
    keepalive_requests 100000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    {http}
    upstream app {{ server 127.0.0.1:{backend}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        server_name shop.example;
        location / {{ return 200 "ok"; }}
        location /app {{
            proxy_pass http://app/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

LOG = "access_log {dir}/access.log combined buffer=64k flush=1s;"
TOCSIN = "tocsin on; tocsin_redis {redis};"

# name: (path, http block, compared with, at most so many more)
VARIANTS = {
    "return 200, bare": ("/", "", None, None),
    "return 200, access_log": ("/", LOG, "return 200, bare", None),
    "return 200, tocsin": ("/", TOCSIN, "return 200, bare", 1500),
    "  with a constant label": (
        "/", TOCSIN + "tocsin_label team payments;",
        "return 200, tocsin", 30),
    "  with a variable label": (
        "/", TOCSIN + "tocsin_label tenant $host;",
        "return 200, tocsin", 350),
    "proxied, bare": ("/app", "", None, None),
    "proxied, access_log": ("/app", LOG, "proxied, bare", None),
    "proxied, tocsin": ("/app", TOCSIN, "proxied, bare", 2800),
}

CONNECTIONS = 10

# Timers fire by the clock: the slower the machine is, the more of them fall
# between two requests. The run with the fewest instructions had the fewest.
RUNS = 3

# malloc() gives memory at the top of the heap back and asks for it again, or
# does not, depending on what happens to lie there: up to two hundred
# instructions a request of pure chance. It keeps it, in all variants.
NO_TRIM = "glibc.malloc.trim_threshold=1073741824"


class Clients:
    """Keep-alive connections; a round is one request on each."""

    def __init__(self, port, path):
        request = (f"GET {path} HTTP/1.1\r\nHost: shop.example\r\n"
                   "User-Agent: bench/1.0\r\nAccept: */*\r\n\r\n")
        self.request = request.encode()
        self.sockets = [
            socket.create_connection(("127.0.0.1", port))
            for _ in range(CONNECTIONS)
        ]
        for s in self.sockets:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.length = None

    def _answer(self, s):
        data = b""
        while self.length is None or len(data) < self.length:
            data += s.recv(65536)
            if self.length is None and b"\r\n\r\n" in data:
                head, body = data.split(b"\r\n\r\n", 1)
                size = re.search(rb"Content-Length: (\d+)", head)
                if len(body) == int(size.group(1)):
                    self.length = len(data)
        if not data.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data[:100])

    def rounds(self, n):
        for _ in range(n):
            for s in self.sockets:
                s.sendall(self.request)
            for s in self.sockets:
                self._answer(s)

    def close(self):
        for s in self.sockets:
            s.close()


def start(argv, port):
    process = subprocess.Popen(
        [str(word) for word in argv], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "GLIBC_TUNABLES": NO_TRIM})
    wait_until(lambda: is_listening(("127.0.0.1", port)), 60, argv[0])
    return process


def stop(process):
    process.terminate()
    process.wait(60)


def control(option, process):
    subprocess.run(["callgrind_control", option, str(process.pid)],
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def total(directory):
    """Instructions of the one dump that was asked for."""
    (dump,) = directory.glob("callgrind.out.1")
    return int(re.search(r"^(?:totals|summary): (\d+)", dump.read_text(),
                         re.M).group(1))


def count(directory, path, http, redis, backend, requests):
    """Instructions per request."""
    port = free_port()
    (directory / "nginx.conf").write_text(CONF.format(
        dir=directory, port=port, backend=backend,
        load=f"load_module {MODULE};" if "tocsin" in http else "",
        log="" if "access_log" in http else "access_log off;",
        http=http.format(dir=directory, redis=redis.url)))
    nginx = start(
        ["valgrind", "--tool=callgrind", "--dump-instr=yes",
         f"--callgrind-out-file={directory}/callgrind.out", "nginx", "-p", directory, "-c",
         directory / "nginx.conf", "-e", directory / "error.log"], port)
    try:
        clients = Clients(port, path)
        clients.rounds(50)
        before = redis.client.xlen("tocsin:request")
        control("--zero", nginx)
        clients.rounds(requests // CONNECTIONS)
        if "tocsin" in http:
            done = before + requests // CONNECTIONS * CONNECTIONS
            wait_until(lambda: redis.client.xlen("tocsin:request") >= done,
                       60, "all events")
        control("--dump", nginx)
        clients.close()
    finally:
        stop(nginx)
    return total(directory) / (requests // CONNECTIONS * CONNECTIONS)


def start_backend(directory):
    port = free_port()
    directory.mkdir()
    (directory / "nginx.conf").write_text(CONF.format(
        dir=directory, port=port, backend=port, load="", http="",
        log="access_log off;"))
    return start(["nginx", "-p", directory, "-c", directory / "nginx.conf",
                  "-e", directory / "error.log"], port), port


def wanted(names):
    """The variants asked for and those that they are compared with."""
    if not names:
        return list(VARIANTS)
    found = [n for n in VARIANTS if any(w in n for w in names)]
    for name in list(found):
        base = VARIANTS[name][2]
        while base and base not in found:
            found.insert(0, base)
            base = VARIANTS[base][2]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--requests", type=int, default=10000)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("variant", nargs="*")
    args = parser.parse_args()

    top = args.keep or pathlib.Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    top.mkdir(exist_ok=True)
    redis = Redis(top / "redis").start()
    backend, port = start_backend(top / "backend")
    figures, missed = {}, 0
    print(f"\ninstructions a request, {args.requests} requests each\n")
    try:
        for name in wanted(args.variant):
            path, http, base, most = VARIANTS[name]
            counts = []
            for run in range(RUNS):
                directory = top / (re.sub(r"\W+", "-", name.strip())
                                   + f"-{run}")
                directory.mkdir()
                counts.append(count(directory, path, http, redis, port,
                                    args.requests))
                redis.client.flushall()
            figures[name] = min(counts)
            line = f"  {name:<28}{figures[name]:>10,.0f}"
            if base:
                more = figures[name] - figures[base]
                line += f"{more:>+10,.0f}"
                if most:
                    missed += more > most
                    verdict = "reached" if more <= most else "MISSED"
                    line += f"   at most {most:+,}: {verdict}"
            print(line, flush=True)
    finally:
        stop(backend)
        redis.stop()
        if not args.keep:
            shutil.rmtree(top, ignore_errors=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
