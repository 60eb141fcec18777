#!/usr/bin/python3
"""Simulated servers in simulated clouds: one process, one event loop.

Standard input takes one JSON object a line. The first is
    {"seed": 1, "day": 240, "rhythm": 0.25, "peers": [{number, host, port,
     latency, spread, errors}, ...]}
and the following change how peers behave: {"3": {"latency": 5.0}, "4": {}}.
"ready" is printed when all listen. The process ends with its input.
"""

import asyncio
import json
import math
import random
import socket
import struct
import sys
import time

BODY = b"simulated\n" * 200
HEAD = (b"HTTP/1.1 %d Simulated\r\nContent-Type: text/plain\r\n"
        b"Content-Length: %d\r\n\r\n")


class Server:
    """One peer: its nature, its present behaviour, its listening socket."""

    def __init__(self, spec, world):
        self.world = world
        self.address = (spec["host"], spec["port"])
        self.median = spec["latency"] / 1000
        self.spread, self.errors = spec["spread"], spec["errors"]
        self.behaviour = {}
        self.connections = set()
        self.listener = None
        self.fill = []

    async def listen(self):
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(self.address)
        self.listener = await loop.create_server(
            lambda: Connection(self), sock=sock, backlog=512)

    async def close(self):
        """Refuse: no listener, and what is open is reset."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        for connection in list(self.connections):
            connection.reset()
        self.drain_hole()

    def drain_hole(self):
        for sock in self.fill:
            sock.close()
        self.fill = []

    async def dig_hole(self):
        """A listener that nobody serves and whose backlog is full: further
        connects get no answer. Open connections go silent (see answer())."""
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(self.address)
        sock.listen(0)
        self.fill = [sock]
        for _ in range(2):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self.address)
            self.fill.append(client)

    async def behave(self, behaviour):
        closed = self.behaviour.get("refuse") or self.behaviour.get(
            "black_hole")
        self.behaviour = behaviour
        if behaviour.get("refuse"):
            await self.close()
        elif behaviour.get("black_hole"):
            await self.dig_hole()
        elif closed:
            self.drain_hole()
            await self.listen()

    def draw(self, key):
        share = self.behaviour.get(key, 0.0)
        return share > 0 and self.world.random.random() < share

    def latency(self):
        spread = self.behaviour.get("spread") or self.spread
        factor = self.behaviour.get("latency", 1.0) * self.world.strain()
        return self.median * factor * math.exp(
            self.world.random.gauss(0, spread))


class Connection(asyncio.Protocol):
    """A keep-alive connection; requests have no body and do not overlap."""

    def __init__(self, server):
        self.server = server
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport
        self.server.connections.add(self)

    def connection_lost(self, exc):
        self.server.connections.discard(self)

    def reset(self):
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        self.transport.abort()

    def data_received(self, data):
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            self.received = self.received[end + 4:]
            self.request()

    def request(self):
        server = self.server
        if server.behaviour.get("black_hole") or server.draw("hang"):
            return
        loop = asyncio.get_running_loop()
        loop.call_later(server.latency(), self.answer)

    def answer(self):
        server = self.server
        if self.transport.is_closing() or server.behaviour.get("black_hole"):
            return
        if server.draw("reset"):
            self.reset()
        elif server.draw("errors"):
            self.send(server.behaviour.get("status", 503), b"fault\n")
        elif server.world.random.random() < server.errors:
            self.send(500, b"now and then\n")
        elif server.draw("truncate"):
            self.transport.write(HEAD % (200, len(BODY)) + BODY[:100])
            self.transport.close()
        elif server.behaviour.get("drip"):
            asyncio.ensure_future(self.drip(server.behaviour["drip"]))
        else:
            self.send(200, BODY)

    async def drip(self, seconds):
        self.transport.write(HEAD % (200, len(BODY)))
        step = len(BODY) // 10
        for at in range(0, len(BODY), step):
            await asyncio.sleep(seconds / 10)
            if self.transport.is_closing():
                return
            self.transport.write(BODY[at : at + step])

    def send(self, status, body):
        self.transport.write(HEAD % (status, len(body)) + body)


class World:
    def __init__(self, spec):
        self.random = random.Random(spec["seed"])
        self.day, self.rhythm = spec["day"], spec["rhythm"]
        self.start = time.monotonic()
        self.servers = {
            str(peer["number"]): Server(peer, self) for peer in spec["peers"]
        }

    def strain(self):
        """Servers are a little slower at noon than at night."""
        phase = 2 * math.pi * (time.monotonic() - self.start) / self.day
        return 1 + 0.3 * self.rhythm * math.sin(phase)


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    world = World(json.loads(await lines.readline()))
    for server in world.servers.values():
        await server.listen()
    print("ready", flush=True)
    while line := await lines.readline():
        for number, behaviour in json.loads(line).items():
            await world.servers[number].behave(behaviour)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
