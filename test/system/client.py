"""Clients: one request, raw bytes, steady load."""

import collections
import dataclasses
import http.client
import json
import socket
import threading
import time
import urllib.parse


@dataclasses.dataclass
class Response:
    status: int
    headers: dict  # names in lower case
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def fetch(url, method="GET", headers=None, body=None, timeout=20):
    """One request over a connection of its own; redirects are not followed."""
    parts = urllib.parse.urlsplit(url)
    conn = http.client.HTTPConnection(
        parts.hostname, parts.port, timeout=timeout
    )
    try:
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        conn.request(method, target, body=body, headers=headers or {})
        reply = conn.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return Response(reply.status, found, reply.read())
    finally:
        conn.close()


def exchange(port, data, timeout=10, host="127.0.0.1"):
    """Send these bytes, return all that comes until the server closes."""
    with socket.create_connection((host, port), timeout=timeout) as s:
        s.sendall(data)
        received = b""
        while chunk := s.recv(65536):
            received += chunk
        return received


class Load:
    """Keep-alive clients in threads, until stopped.

        with Load(nginx.url("/a"), threads=4) as load:
            redis.kill()
        assert load.failed == 0

    `statuses` counts answers by status, `errors` requests without an answer.
    A keep-alive connection that the server closed between two requests is
    opened anew and is not an error, as for any client.
    """

    def __init__(self, url, threads=2, pause=0.0, headers=None):
        self.parts = urllib.parse.urlsplit(url)
        self.pause, self.headers = pause, headers or {}
        self.statuses = collections.Counter()
        self.errors = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, daemon=True)
            for _ in range(threads)
        ]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()

    @property
    def sent(self):
        return sum(self.statuses.values()) + len(self.errors)

    @property
    def failed(self):
        """Requests without an answer, or with one of the 5xx."""
        bad = sum(n for status, n in self.statuses.items() if status >= 500)
        return bad + len(self.errors)

    def wait_for(self, more):
        """Wait until so many more requests have been answered."""
        from waiting import wait_until

        target = self.sent + more
        wait_until(lambda: self.sent >= target, 60, f"{more} more requests")

    def _connect(self):
        conn = http.client.HTTPConnection(
            self.parts.hostname, self.parts.port, timeout=30
        )
        conn.connect()
        conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return conn

    def _run(self):
        conn, served = None, 0
        while not self._stopping.is_set():
            try:
                if conn is None:
                    conn, served = self._connect(), 0
                conn.request("GET", self.parts.path, headers=self.headers)
                reply = conn.getresponse()
                reply.read()
                served += 1
                with self._lock:
                    self.statuses[reply.status] += 1
                if reply.will_close:
                    conn = None
            except (http.client.RemoteDisconnected, ConnectionResetError,
                    BrokenPipeError) as e:
                if served == 0:
                    self._failed(e)
                conn = None
            except (OSError, http.client.HTTPException) as e:
                self._failed(e)
                conn = None
            if self.pause:
                time.sleep(self.pause)
        if conn is not None:
            conn.close()

    def _failed(self, e):
        with self._lock:
            self.errors.append(repr(e))
        time.sleep(0.01)
