"""A scenario set up for real: Redis, nginx, the sidecar, clouds and load."""

import json
import pathlib
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import harness  # noqa: E402
from waiting import free_port, wait_until  # noqa: E402

SERVER = """
server {{
    listen 127.0.0.1:@port@;
    server_name {name};
{locations}
}}
"""

LOCATION = """\
    location {path} {{
        proxy_pass http://${slug};
    }}
"""

HTTP = """
    tocsin on;
    tocsin_redis @redis@;
    tocsin_stream tocsin maxlen=200000;
{clouds}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_connect_timeout 1s;
    proxy_read_timeout 3s;
    proxy_next_upstream error timeout http_502 http_503;
    proxy_next_upstream_tries 2;
    keepalive_requests 1000000;
{upstreams}
{splits}
{servers}
    server {{
        listen 127.0.0.1:@port@ default_server;
        server_name _;
        tocsin off;
        location /_alerts {{ tocsin_alerts; }}
        location = / {{ return 302 /_alerts; }}
    }}
"""


def nginx_http(scenario, peers):
    """The http {} of an nginx in front of a scenario's clouds."""
    clouds = [
        f"    tocsin_cloud {scenario.network(provider, region)}.0/24 "
        f"{provider} {region};"
        for provider, regions in scenario.clouds.items() for region in regions
    ]
    upstreams, splits = [], []
    for route in scenario.routes:
        mine = [p for p in peers
                if (p.server, p.path) == (route.server, route.path)]
        names = list(dict.fromkeys(p.upstream for p in mine))
        for name in names:
            servers = "\n".join(
                f"        server {p.host}:{p.port} max_fails=0;"
                for p in mine if p.upstream == name)
            upstreams.append(
                f"    upstream {name} {{\n{servers}\n"
                "        keepalive 64;\n    }")
        shares = "".join(
            f" {100 / len(names):.2f}% {name};" for name in names[:-1])
        splits.append(
            f'    split_clients "$connection.$connection_requests" '
            f"${route.slug} {{{shares} * {names[-1]}; }}")
    servers = [
        SERVER.format(name=name, locations="".join(
            LOCATION.format(path=r.path, slug=r.slug)
            for r in scenario.routes if r.server == name))
        for name in dict.fromkeys(r.server for r in scenario.routes)
    ]
    return HTTP.format(clouds="\n".join(clouds), splits="\n".join(splits),
                       upstreams="\n".join(upstreams),
                       servers="\n".join(servers))


class Script:
    """A helper process of the lab that takes JSON lines on its input."""

    def __init__(self, program, first):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / program)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.tell(first)

    def tell(self, data):
        self.process.stdin.write(json.dumps(data) + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Stack:
    """All processes of a running scenario.

    Time `t` is in seconds since the load began; `shift` moves the faults of
    the scenario (the demo repeats them).
    """

    def __init__(self, scenario, directory, port=0, config=None):
        self.scenario = scenario
        self.dir = pathlib.Path(directory)
        self.shift = 0.0
        self.traffic = {}  # the last second, as load.py reports it
        self.totals = {"sent": 0, "failed": 0}
        self.config = config or {}
        self._parts = []
        self._stopping = threading.Event()
        self._port = port
        self.ports = [free_port() for _ in scenario.routes]
        self.peers = scenario.peers(self.ports.__getitem__)

    def start(self):
        s = self.scenario
        self.redis = self._add(harness.Redis(self.dir / "redis")).start()
        self.cloud = self._add(Script("cloud.py", {
            "seed": s.seed, "day": s.day, "rhythm": s.rhythm,
            "peers": [{key: getattr(p, key) for key in (
                "number", "host", "port", "latency", "spread", "errors")}
                for p in self.peers],
        }))
        ready = self.cloud.process.stdout.readline()
        assert ready == "ready\n", "the simulated clouds did not start"
        values = {"port": self._port} if self._port else {}
        self.nginx = harness.Nginx(
            self.dir / "nginx", nginx_http(s, self.peers), level="error",
            redis=self.redis.url, **values)
        if self._port:
            self.nginx.ports["port"] = self._port
        self._add(self.nginx).start()
        self.sidecar = self._add(harness.Sidecar(
            self.dir / "sidecar", self.redis, self.config))
        self.sidecar.start(ready=False)
        self.load = self._add(Script("load.py", {
            "seed": s.seed, "port": self.nginx.port, "rate": s.rate,
            "day": s.day, "rhythm": s.rhythm,
            "routes": [{"server": r.server, "path": r.path,
                        "weight": r.weight} for r in s.routes],
        }))
        self.began, self.began_at = time.monotonic(), time.time()
        threading.Thread(target=self._listen, daemon=True).start()
        self._director = threading.Thread(target=self._direct, daemon=True)
        self._director.start()
        wait_until(lambda: self.redis.client.xlen("tocsin:board"), 60,
                   "the sidecar's first board")
        return self

    def _add(self, part):
        self._parts.append(part)
        return part

    @property
    def t(self):
        return time.monotonic() - self.began

    @property
    def url(self):
        return self.nginx.url("/_alerts")

    def stop(self):
        """Stop everything; raises if something ended badly."""
        self._stopping.set()
        if hasattr(self, "_director"):
            self._director.join()
        trouble = []
        for part in reversed(self._parts):
            try:
                part.stop()
            except AssertionError as e:
                trouble.append(str(e))
        assert not trouble, "\n".join(trouble)

    def _listen(self):
        for line in self.load.process.stdout:
            self.traffic = json.loads(line)
            self.totals["sent"] += self.traffic["sent"]
            self.totals["failed"] += sum(
                count for status, count in self.traffic["statuses"].items()
                if status == "0" or status >= "500")

    def _direct(self):
        """Make clouds and load behave as the scenario has it now."""
        told, factors = {}, {}
        while not self._stopping.wait(0.1):
            t, news = self.t, {}
            for peer in self.peers:
                want = self.scenario.behaviour(peer, t, self.shift)
                if told.get(peer.number, {}) != want:
                    told[peer.number] = news[peer.number] = want
            rates = {}
            for number, route in enumerate(self.scenario.routes):
                want = self.scenario.rate_factor(route, t, self.shift)
                if factors.get(number, 1.0) != want:
                    factors[number] = rates[number] = want
            if news:
                self.cloud.tell(news)
            if rates:
                self.load.tell(rates)
