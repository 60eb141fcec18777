"""Made-up traffic, written straight into Redis in the time of the stream.

What nginx would have written, without nginx, and as fast as Redis takes it:
minutes pass in seconds, because ticks close by the ids of entries.

    town = Traffic(redis, [Route("/shop", "shop", "aws", "us-east-1")])
    town.run(300)                          # five quiet minutes
    town.peers["shop"][0].latency = 0.5    # a fault
    town.run(10)
"""

import dataclasses
import math
import random
import time

SRC = "test/1/1"


@dataclasses.dataclass
class Peer:
    name: str
    latency: float = 0.02  # median, s
    errors: float = 0.0    # share of 502
    refuses: bool = False  # and nginx tries the next one


@dataclasses.dataclass
class Route:
    path: str
    upstream: str
    cloud: str
    region: str
    rate: int = 20   # requests a tick
    peers: int = 3
    errors: float = 0.0  # of its own, whichever the peer
    server: str = "www"


class Traffic:
    def __init__(self, redis, routes, seed=1, back=400):
        self.redis = redis.client
        self.routes = routes
        self.random = random.Random(seed)
        self.began = self.now = int(time.time() - back) * 1000
        self.seq = {"request": 0, "upstream": 0}
        self.silent = False
        self.skew = 0  # us by which the clock of nginx' host is ahead
        self.extra = None  # extra(pipe, at): what else comes in a tick
        self.peers = {}
        for r in routes:
            self.peers.setdefault(r.upstream, [
                Peer(f"10.0.0.{i + 1}:80") for i in range(r.peers)
            ])

    def _add(self, pipe, stream, at, fields):
        pipe.xadd(f"tocsin:{stream}", fields, id=f"{at}-*")

    def _event(self, stream, at, **fields):
        self.seq[stream] += 1
        return {"v": 1, "src": SRC, "seq": self.seq[stream],
                "ts": at * 1000 + self.skew, "weight": 1, "flags": "", "labels": "", **fields}

    def _attempt(self, pipe, route, peer, at, number):
        ok = not peer.refuses
        median = peer.latency if ok else 0.0005
        took = median * math.exp(self.random.gauss(0, 0.2))
        bad = self.random.random() < peer.errors + route.errors
        status = 0 if not ok else 502 if bad else 200
        self._add(pipe, "upstream", at, self._event(
            "upstream", at, req=self.seq["request"] + 1, dur=int(took * 1e6),
            server=route.server, route=route.path, upstream=route.upstream,
            peer=peer.name, attempt=number, status=status,
            error="" if ok else "connect", connect=300 if ok else "",
            header=int(took * 0.9e6) if ok else "", out=200,
            cloud=route.cloud, region=route.region, zone="",
            **{"in": 1000}))
        return ok, status, took

    def _request(self, pipe, route, at):
        peers = self.peers[route.upstream]
        first = self.random.randrange(len(peers))
        total, number, status = 0.0, 0, 502
        for peer in peers[first:] + peers[:first]:
            number += 1
            ok, status, took = self._attempt(pipe, route, peer, at, number)
            total += took
            if ok or number == 2:
                break
        self._add(pipe, "request", at, self._event(
            "request", at, dur=int(total * 1e6), server=route.server,
            route=route.path, method="GET", proto="1.1", status=status or 502,
            out=1000, cache="", attempts=number, cloud=route.cloud,
            region=route.region, zone="", **{"in": 200}))

    def _beat(self, pipe, at):
        inflight = ",".join(
            f"{r.upstream}={p.name}=1=20000={r.cloud}={r.region}="
            for r in self.routes for p in self.peers[r.upstream])
        total = sum(self.seq.values())
        self._add(pipe, "beat", at, {
            "v": 1, "src": SRC, "ts": at * 1000 + self.skew,
            "request_seq": self.seq["request"],
            "upstream_seq": self.seq["upstream"], "emitted": total,
            "delivered": total, "dropped": 0, "buffered": 0,
            "inflight": inflight})

    def run(self, ticks):
        """Let so many seconds of the stream pass."""
        for _ in range(ticks):
            pipe = self.redis.pipeline(transaction=False)
            moments = [] if self.silent else sorted(
                (self.random.randrange(990), index)
                for index, route in enumerate(self.routes)
                for _ in range(route.rate))
            for offset, index in moments:
                self._request(pipe, self.routes[index], self.now + offset)
            if self.extra:
                self.extra(pipe, self.now + 991)
            self._beat(pipe, self.now + 995)
            self.now += 1000
            pipe.execute()

    def follow(self, until, most=60):
        """Run tick by tick until it is true; returns the ticks it took."""
        for ticks in range(1, most + 1):
            self.run(1)
            time.sleep(0.05)
            if until():
                return ticks
        raise AssertionError(f"not within {most} ticks of the stream")
