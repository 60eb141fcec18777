"""Backends that behave as a test tells them to.

A Backend listens on loopback and speaks http, fastcgi, scgi or uwsgi, one
thread a connection. What it does with a request is an action: a function of
(connection, request) that returns True if the connection may stay open.

    backend = Backend(answer(200, b"hello"))
    backend.script(reset(), answer(503), hang())  # the next three, in order
    backend.default = truncate(length=1000, sent=10)
"""

import collections
import dataclasses
import socket
import struct
import threading
import time

from waiting import free_port


@dataclasses.dataclass
class Request:
    method: str
    target: str
    headers: dict  # names in lower case; CGI variables for the other protocols
    body: bytes
    port: int  # of the client's end, tells connections apart


# ---------------------------------------------------------------- actions


def answer(status=200, body=b"ok\n", headers=None, delay=0, close=False):
    """A whole answer, `delay` seconds after the request."""

    def act(conn, request):
        time.sleep(delay)
        conn.answer(status, body, headers or {}, close)
        return not close

    return act


def truncate(length=1000, sent=10, status=200):
    """Announces `length` bytes of body, sends fewer, closes."""

    def act(conn, request):
        conn.answer(status, b"x" * sent, {"Content-Length": str(length)}, True)
        return False

    return act


def reset(after=b""):
    """Sends `after`, then a TCP reset."""

    def act(conn, request):
        conn.send(after)
        if after:
            time.sleep(0.05)  # let it arrive: a reset discards what is unread
        conn.reset()
        return False

    return act


def hang_up():
    """Closes before the first byte of an answer."""
    return lambda conn, request: False


def raw(data, close=True):
    """Sends these very bytes: garbage, odd headers, half an answer."""

    def act(conn, request):
        conn.send(data)
        return not close

    return act


def hang(header=b""):
    """Sends `header`, then nothing more until the backend stops."""

    def act(conn, request):
        conn.send(header)
        conn.backend.stopping.wait()
        return False

    return act


def drip(body=b"0123456789", interval=0.1):
    """A whole answer, one byte of the body every `interval` seconds."""

    def act(conn, request):
        conn.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        for byte in body:
            if conn.backend.stopping.wait(interval):
                return False
            conn.send(bytes([byte]))
        return True

    return act


# ---------------------------------------------------------------- protocols


class _Connection:
    """HTTP/1.1; the other protocols replace read() and answer()."""

    def __init__(self, backend, sock):
        self.backend = backend
        self.sock = sock
        self.file = sock.makefile("rb")
        self.keep = True

    def send(self, data):
        if data:
            self.sock.sendall(data)

    def reset(self):
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def close(self):
        # the file holds a reference that would keep the socket open
        self.file.close()
        self.sock.close()

    def read(self):
        line = self.file.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = {}
        while (line := self.file.readline().rstrip(b"\r\n")) != b"":
            name, value = line.decode("latin-1").split(":", 1)
            headers[name.strip().lower()] = value.strip()
        self.keep = headers.get("connection", "").lower() != "close"
        return self.request(method, target, headers, self.body(headers))

    def body(self, headers):
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return self.file.read(int(headers.get("content-length", 0)))
        chunks = []
        while (size := int(self.file.readline(), 16)) != 0:
            chunks.append(self.file.read(size))
            self.file.readline()
        self.file.readline()
        return b"".join(chunks)

    def request(self, method, target, headers, body):
        return Request(
            method, target, headers, body, self.sock.getpeername()[1]
        )

    def head(self, status, body, headers, first):
        headers = {"Content-Length": str(len(body)), **headers}
        lines = [first] + [f"{n}: {v}" for n, v in headers.items()]
        return "\r\n".join(lines + ["", ""]).encode("latin-1")

    def answer(self, status, body, headers, close):
        if close or not self.keep:
            headers = {"Connection": "close", **headers}
        first = f"HTTP/1.1 {status} Scripted"
        self.send(self.head(status, body, headers, first) + body)


class _CgiConnection(_Connection):
    """What fastcgi, scgi and uwsgi share: CGI variables, one request."""

    def from_cgi(self, env, body):
        return self.request(
            env.get("REQUEST_METHOD", ""), env.get("REQUEST_URI", ""), env, body
        )

    def answer(self, status, body, headers, close):
        self.keep = False
        first = f"Status: {status} Scripted"
        self.send(self.frame(self.head(status, body, headers, first) + body))

    def frame(self, data):
        return data


class _ScgiConnection(_CgiConnection):
    def read(self):
        size = b""
        while (byte := self.file.read(1)) not in (b":", b""):
            size += byte
        if not size:
            return None
        parts = self.file.read(int(size)).decode("latin-1").split("\0")
        self.file.read(1)
        env = dict(zip(parts[0::2], parts[1::2]))
        return self.from_cgi(env, self.file.read(int(env["CONTENT_LENGTH"])))


class _UwsgiConnection(_CgiConnection):
    def read(self):
        head = self.file.read(4)
        if len(head) < 4:
            return None
        data = self.file.read(struct.unpack("<BHB", head)[1])
        texts, at = [], 0
        while at < len(data):
            (size,) = struct.unpack_from("<H", data, at)
            texts.append(data[at + 2 : at + 2 + size].decode("latin-1"))
            at += 2 + size
        env = dict(zip(texts[0::2], texts[1::2]))
        body = self.file.read(int(env.get("CONTENT_LENGTH") or 0))
        return self.from_cgi(env, body)


class _FastcgiConnection(_CgiConnection):
    BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6

    def read(self):
        params = body = b""
        while True:
            head = self.file.read(8)
            if len(head) < 8:
                return None
            _, kind, self.id, size, pad, _ = struct.unpack(">BBHHBB", head)
            data = self.file.read(size)
            self.file.read(pad)
            if kind == self.BEGIN:
                self.keep = bool(data[2] & 1)
            elif kind == self.PARAMS:
                params += data
            elif kind == self.STDIN and size:
                body += data
            elif kind == self.STDIN:
                return self.from_cgi(self.pairs(params), body)

    @staticmethod
    def pairs(data):
        env, at = {}, 0

        def length():
            nonlocal at
            if data[at] < 128:
                at += 1
                return data[at - 1]
            at += 4
            return struct.unpack(">I", data[at - 4 : at])[0] & 0x7FFFFFFF

        while at < len(data):
            name, value = length(), length()
            key = data[at : at + name].decode("latin-1")
            env[key] = data[at + name : at + name + value].decode("latin-1")
            at += name + value
        return env

    def record(self, kind, data):
        return struct.pack(">BBHHBB", 1, kind, self.id, len(data), 0, 0) + data

    def frame(self, data):
        cut = 32768
        out = b"".join(
            self.record(self.STDOUT, data[i : i + cut])
            for i in range(0, len(data), cut)
        )
        return out + self.record(self.STDOUT, b"") + self.record(
            self.END, b"\0" * 8
        )

    def answer(self, status, body, headers, close):
        keep = self.keep
        super().answer(status, body, headers, close)
        self.keep = keep and not close


_PROTOCOLS = {
    "http": _Connection,
    "fastcgi": _FastcgiConnection,
    "scgi": _ScgiConnection,
    "uwsgi": _UwsgiConnection,
}


# ------------------------------------------------------------------ servers


class Backend:
    def __init__(self, default=None, host="127.0.0.1", port=0, protocol="http"):
        self.default = default or answer()
        self.host, self.port = host, port or free_port(host)
        self.protocol = _PROTOCOLS[protocol]
        self.requests = []
        self.stopping = threading.Event()
        self._script = collections.deque()
        self._open = set()
        self._lock = threading.Lock()
        self._listener = None
        self.listen()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def script(self, *actions):
        """What to do with the next requests; then `default` again."""
        self._script.extend(actions)

    def listen(self):
        """Accept connections; again after refuse()."""
        self._listener = socket.create_server(
            (self.host, self.port), backlog=1024
        )
        threading.Thread(
            target=self._accept, args=(self._listener,), daemon=True
        ).start()

    def refuse(self):
        """Refuse connections, and close those that are open."""
        listener, self._listener = self._listener, None
        if listener:
            # close() alone would leave accept() of the other thread waiting
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        self.stopping.set()
        self.refuse()

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(sock)
            threading.Thread(
                target=self._serve, args=(sock,), daemon=True
            ).start()

    def _serve(self, sock):
        conn = self.protocol(self, sock)
        try:
            while (request := conn.read()) is not None:
                with self._lock:
                    self.requests.append(request)
                    action = (
                        self._script.popleft() if self._script else self.default
                    )
                if not action(conn, request) or not conn.keep:
                    break
        except (OSError, ValueError):
            pass  # the client went away, or talks nonsense
        finally:
            with self._lock:
                self._open.discard(sock)
            conn.close()


class BlackHole:
    """An address where connecting takes for ever: its backlog is full."""

    def __init__(self, host="127.0.0.1"):
        self._listener = socket.create_server((host, 0), backlog=0)
        self.host, self.port = self._listener.getsockname()
        self._fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((self.host, self.port))
            self._fill.append(s)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def stop(self):
        for s in self._fill + [self._listener]:
            s.close()
