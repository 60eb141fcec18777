#!/usr/bin/python3
"""Open-loop load: requests come when they come, whatever the answers do.

Standard input takes one JSON object a line. The first is
    {"seed": 1, "port": 8080, "rate": 400, "day": 240, "rhythm": 0.25,
     "routes": [{"server", "path", "weight"}, ...]}
and the following change factors of routes by number: {"2": 0.0}. Every second
a line of JSON tells what was answered. The process ends with its input.
"""

import asyncio
import json
import math
import random
import sys
import time

STEP = 0.005  # seconds between two looks at the clock


class Client(asyncio.Protocol):
    """One keep-alive connection; serves one request at a time."""

    def __init__(self, load):
        self.load = load
        self.received = b""
        self.begun = None
        self.need = None
        self.status = 0

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        if self.begun is not None:
            self.done(0)
        self.load.idle.discard(self)

    def send(self, request):
        self.begun = time.monotonic()
        self.received, self.need = b"", None
        self.transport.write(request)

    def data_received(self, data):
        self.received += data
        if self.need is None:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            self.parse(self.received[:end].lower(), end + 4)
        if self.need is not None and len(self.received) >= self.need:
            self.done(self.status)

    def parse(self, head, length):
        self.status = int(head[9:12])
        at = head.find(b"content-length:")
        if at >= 0:
            size = head[at + 15:].split(b"\r\n", 1)[0]
            self.need = length + int(size)
        else:
            self.need = sys.maxsize  # ends with the connection

    def done(self, status):
        self.load.answered(status, time.monotonic() - self.begun)
        self.begun = None
        if not self.transport.is_closing():
            self.load.idle.add(self)


class Load:
    def __init__(self, spec):
        self.random = random.Random(spec["seed"])
        self.port, self.rate = spec["port"], spec["rate"]
        self.day, self.rhythm = spec["day"], spec["rhythm"]
        self.routes = spec["routes"]
        self.factors = [1.0] * len(self.routes)
        total = sum(route["weight"] for route in self.routes)
        self.shares = [route["weight"] / total for route in self.routes]
        self.requests = [
            f"GET {route['path']} HTTP/1.1\r\nHost: {route['server']}\r\n"
            "User-Agent: load\r\n\r\n".encode() for route in self.routes
        ]
        self.idle = set()
        self.forget()

    def forget(self):
        self.sent, self.statuses, self.times = 0, {}, []

    def answered(self, status, seconds):
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.times.append(seconds)

    def arrivals(self, mean):
        """A Poisson number (Knuth's way; means are small)."""
        limit, product, count = math.exp(-mean), self.random.random(), 0
        while product > limit:
            product *= self.random.random()
            count += 1
        return count

    async def one(self, request):
        self.sent += 1
        while self.idle:
            client = self.idle.pop()
            if not client.transport.is_closing():
                client.send(request)
                return
        try:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(self), "127.0.0.1", self.port)
        except OSError:
            self.answered(0, 0.0)
            return
        client.send(request)

    async def run(self):
        start = last = time.monotonic()
        while True:
            await asyncio.sleep(STEP)
            now = time.monotonic()
            phase = 2 * math.pi * (now - start) / self.day
            mean = self.rate * (now - last) * (
                1 + self.rhythm * math.sin(phase))
            last = now
            for share, factor, request in zip(self.shares, self.factors,
                                              self.requests):
                for _ in range(self.arrivals(mean * share * factor)):
                    asyncio.ensure_future(self.one(request))

    async def report(self):
        while True:
            await asyncio.sleep(1)
            times = sorted(self.times)
            print(json.dumps({
                "sent": self.sent,
                "statuses": self.statuses,
                "p50": times[len(times) // 2] if times else None,
                "p95": times[int(len(times) * 0.95)] if times else None,
            }), flush=True)
            self.forget()


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    load = Load(json.loads(await lines.readline()))
    tasks = [asyncio.ensure_future(load.run()),
             asyncio.ensure_future(load.report())]
    while line := await lines.readline():
        for number, factor in json.loads(line).items():
            load.factors[int(number)] = factor
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
