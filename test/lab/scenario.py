"""Scenarios: who is there, how it behaves, and what breaks when.

    name, seed
    like:    another scenario, beside this one: what is not given is as there,
             except its faults
    seconds: how long it lasts; default: until all has settled after the last
             fault
    hard:    true for a fault that nobody should miss or wait for
    load:    rate (requests a second), day (seconds), rhythm (share of rate)
    clouds:  provider -> region -> {latency (ms), spread, errors, peers}
    routes:  [{server, path, cloud, weight}]; each is served by an upstream in
             every region of its cloud (or those of `regions`)
    faults:  [{name, at, where, phases: [{for, ...}], expect}], or a single
             phase written into the fault itself

`where` holds any of cloud, region, server, path, peer (0, 1, ...); what it
leaves out, it means all of. A phase lasts `for` seconds and changes any of

    latency   factor              spread    replaces the spread
    errors    share of status     status    of those errors, default 503
    reset     share               truncate  share that ends within the body
    hang      share never answered          drip  seconds for one answer's body
    refuse    true: connections are refused
    black_hole  true: connecting gets no answer at all
    rate      factor of the load on the routes meant (0: silence)

`expect` is what an alert should name: labels and a list of features. Left
out, it is the cloud and region of `where`. `quiet`: there should be none.
"""

import dataclasses
import math
import pathlib

import yaml

BEHAVIOUR = {
    "latency": 1.0, "spread": None, "errors": 0.0, "status": 503,
    "reset": 0.0, "truncate": 0.0, "hang": 0.0, "drip": 0.0,
    "refuse": False, "black_hole": False, "rate": 1.0,
}


class ScenarioError(Exception):
    pass


@dataclasses.dataclass
class Peer:
    """One server process of a service: an address in a region."""

    number: int
    cloud: str
    region: str
    server: str
    path: str
    index: int  # within its upstream
    upstream: str
    host: str
    port: int
    latency: float  # ms, median
    spread: float
    errors: float


@dataclasses.dataclass
class Route:
    server: str
    path: str
    cloud: str
    weight: float = 1.0
    regions: list = None

    @property
    def name(self):
        return f"{self.server}{self.path}"

    @property
    def slug(self):
        return "".join(c if c.isalnum() else "_" for c in
                       self.path.strip("/"))


@dataclasses.dataclass
class Fault:
    name: str
    at: float
    where: dict
    phases: list  # of (seconds, behaviour)
    expect: dict
    quiet: bool = False  # nobody should be told

    @property
    def end(self):
        return self.at + sum(seconds for seconds, _ in self.phases)

    def phase(self, t):
        """Number of the phase that is on at t, or None."""
        start = self.at
        for number, (seconds, _) in enumerate(self.phases):
            if start <= t < start + seconds:
                return number
            start += seconds
        return None

    def meets(self, **what):
        """True if `where` does not speak against any of these."""
        return all(self.where.get(key, value) == value
                   for key, value in what.items())

    def describe(self, number):
        words = []
        for key, value in self.phases[number][1].items():
            if key in ("latency", "rate"):
                words.append(f"{key} × {value:g}")
            elif isinstance(value, bool):
                words.append(key.replace("_", " "))
            elif key in ("errors", "reset", "truncate", "hang"):
                words.append(f"{key} {value:.0%}")
            else:
                words.append(f"{key} {value}")
        where = " ".join(map(str, self.where.values())) or "everything"
        return f"{where}: {', '.join(words) or 'as ever'}"


class Scenario:
    def __init__(self, data, origin="scenario"):
        self.origin = origin
        self._known(data, {"name", "seed", "seconds", "hard", "load", "clouds",
                           "routes", "faults"}, "a scenario")
        self.seconds, self.hard = data.get("seconds"), data.get("hard", False)
        self.name = data["name"]
        self.seed = data.get("seed", 1)
        load = {"rate": 400, "day": 240, "rhythm": 0.0, **data.get("load", {})}
        self._known(load, {"rate", "day", "rhythm"}, "load")
        self.rate, self.day = load["rate"], load["day"]
        self.rhythm = load["rhythm"]
        self.clouds = data["clouds"]
        self.routes = [self._route(row) for row in data["routes"]]
        self.faults = [self._fault(row) for row in data.get("faults", [])]

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            data = yaml.safe_load(f)
        if "like" in data:
            like = pathlib.Path(path).parent / data.pop("like")
            with open(like, encoding="utf-8") as f:
                data = {**yaml.safe_load(f), "faults": [], **data}
        return cls(data, str(path))

    def _known(self, row, names, what):
        unknown = set(row) - set(names)
        if unknown:
            raise ScenarioError(
                f"{self.origin}: {what} has no {', '.join(sorted(unknown))}; "
                f"it may have {', '.join(sorted(names))}")

    def _route(self, row):
        self._known(row, {"server", "path", "cloud", "weight", "regions"},
                    "a route")
        if row["cloud"] not in self.clouds:
            raise ScenarioError(f"{self.origin}: no cloud {row['cloud']}")
        return Route(**row)

    def _fault(self, row):
        row = dict(row)
        phases = row.pop("phases", None)
        if phases is None:
            inline = {key: row.pop(key) for key in list(row)
                      if key in BEHAVIOUR or key == "for"}
            phases = [inline]
        self._known(row, {"name", "at", "where", "expect"}, "a fault")
        self._known(row["where"],
                    {"cloud", "region", "server", "path", "peer"}, "where")
        for phase in phases:
            self._known(phase, set(BEHAVIOUR) | {"for"}, "a phase")
        where = row["where"]
        quiet = row.get("expect") == "quiet"
        expect = {} if quiet else row.get("expect") or {
            label: where[key] for key, label in (
                ("cloud", "cloud_provider"), ("region", "cloud_region"))
            if key in where
        }
        return Fault(row["name"], row["at"], where, [
            (p["for"], {k: v for k, v in p.items() if k != "for"})
            for p in phases
        ], expect, quiet)

    # -- the network

    def network(self, provider, region):
        """The /24 on loopback in which a region's peers live."""
        cloud = list(self.clouds).index(provider)
        return f"127.{11 + cloud}." \
               f"{1 + list(self.clouds[provider]).index(region)}"

    def peers(self, port_of):
        """All peers; port_of(route number) gives the port of a service."""
        peers = []
        for route_number, route in enumerate(self.routes):
            for region in route.regions or self.clouds[route.cloud]:
                base = self.clouds[route.cloud][region]
                for index in range(base.get("peers", 2)):
                    peers.append(Peer(
                        len(peers), route.cloud, region, route.server,
                        route.path, index, self.upstream(route, region),
                        f"{self.network(route.cloud, region)}.{index + 1}",
                        port_of(route_number), base["latency"],
                        base.get("spread", 0.3), base.get("errors", 0.0)))
        return peers

    @staticmethod
    def upstream(route, region):
        return f"{route.slug}_{route.cloud}_{region}".replace("-", "_")

    # -- behaviour over time

    def rhythm_at(self, t):
        """Factor of the load at t: a day in fast motion."""
        return 1 + self.rhythm * math.sin(2 * math.pi * t / self.day)

    def behaviour(self, peer, t, shift=0):
        """What a peer does at t beyond its nature; faults add up."""
        merged = {}
        for fault in self.faults:
            number = fault.phase(t - shift)
            if number is None or not fault.meets(
                    cloud=peer.cloud, region=peer.region, server=peer.server,
                    path=peer.path, peer=peer.index):
                continue
            for key, value in fault.phases[number][1].items():
                if key == "latency":
                    value *= merged.get(key, 1.0)
                if key != "rate":
                    merged[key] = value
        return merged

    def rate_factor(self, route, t, shift=0):
        factor = 1.0
        for fault in self.faults:
            number = fault.phase(t - shift)
            if number is not None and fault.meets(
                    cloud=route.cloud, server=route.server, path=route.path):
                factor *= fault.phases[number][1].get("rate", 1.0)
        return factor
