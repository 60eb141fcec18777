"""A relay that stands between nginx and Redis, and does as it likes with what
Redis says."""

import socket
import threading
import time


class Relay:
    """`change` gets each piece of a reply and returns the pieces to send, or
    None to hang up; it may be replaced at any time."""

    def __init__(self, port, change, listen=0):
        self.change = change
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", listen))
        self.listen = self.listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.listen}"
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                down, _ = self.listener.accept()
            except OSError:
                return
            up = socket.create_connection(("127.0.0.1", self.port))
            for s in (down, up):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open += [down, up]
            for a, b, change in (
                (down, up, lambda data: [data]),
                (up, down, lambda data: self.change(data)),
            ):
                threading.Thread(target=self._carry, args=(a, b, change),
                                 daemon=True).start()

    @staticmethod
    def _carry(source, sink, change):
        try:
            while data := source.recv(65536):
                for piece in change(data):
                    if piece is None:
                        raise OSError("hangs up")
                    sink.sendall(piece)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        # close() alone would leave accept() of the other thread waiting
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.cut()

    def cut(self):
        """End every connection; new ones may come."""
        cut, self.open = self.open, []
        for s in cut:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def byte_by_byte(data):
    return [data[i:i + 1] for i in range(len(data))]


def far_away(data):
    time.sleep(0.1)
    return [data]
