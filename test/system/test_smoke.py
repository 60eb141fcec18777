"""The whole way once: a request, its events, the sidecar, the page."""

import subprocess

from backend import answer
from harness import Load, wait_until

HTTP = """
tocsin on;
tocsin_redis @redis@;
tocsin_cloud 127.0.0.0/8 aws eu-west-1;
upstream app { server @backend@; keepalive 8; }
server {
    listen @port@;
    server_name shop.example;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location /cart { proxy_pass http://app; }
    location /static { return 204; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""


def metrics(nginx):
    """Samples of /_alerts/metrics as {name{labels}: value}."""
    found = {}
    for line in nginx.get("/_alerts/metrics").text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def test_a_request_becomes_events(redis, start_nginx, start_backend):
    backend = start_backend(answer(200, b"x" * 1000))
    nginx = start_nginx(HTTP, redis=redis.url, backend=backend.address)
    assert nginx.get("/cart?secret=1").status == 200
    assert nginx.get("/static").status == 204

    requests = redis.wait_entries("tocsin:request", 2)
    (attempt,) = redis.wait_entries("tocsin:upstream", 1)
    # two connections may be two workers, so the order in the stream is open
    cart, static = sorted(requests, key=lambda entry: entry["route"])

    assert cart["server"] == "shop.example" and cart["route"] == "/cart"
    assert (cart["status"], cart["attempts"]) == ("200", "1")
    assert cart["cloud"] == "aws" and cart["region"] == "eu-west-1"
    assert (static["status"], static["attempts"]) == ("204", "0")
    assert static["cloud"] == ""
    assert (attempt["upstream"], attempt["peer"]) == ("app", backend.address)
    assert (attempt["status"], attempt["error"]) == ("200", "")
    assert (attempt["req"], attempt["src"]) == (cart["seq"], cart["src"])
    assert int(attempt["in"]) >= 1000
    for entry in requests + [attempt]:
        assert "secret" not in str(entry), "no query string leaves nginx"


def test_counters_add_up(redis, start_nginx, start_backend):
    backend = start_backend(answer(200))
    nginx = start_nginx(HTTP, redis=redis.url, backend=backend.address)
    with Load(nginx.url("/cart"), threads=2) as load:
        load.wait_for(500)
    assert load.failed == 0

    def settled():
        return metrics(nginx)["tocsin_events_buffered"] == 0

    wait_until(settled, what="an empty ring")
    found = metrics(nginx)
    dropped = sum(v for k, v in found.items()
                  if k.startswith("tocsin_events_dropped_total"))
    assert dropped == 0
    assert found["tocsin_events_emitted_total"] == 2 * load.sent
    assert found["tocsin_events_delivered_total"] == 2 * load.sent

    entries = redis.entries("tocsin:request")
    assert len(entries) == load.sent
    assert len({(e["src"], e["seq"]) for e in entries}) == load.sent


def test_the_whole_way(redis, start_nginx, start_backend, start_sidecar):
    backend = start_backend(answer(200))
    nginx = start_nginx(HTTP, redis=redis.url, backend=backend.address)
    sidecar = start_sidecar(redis)
    with Load(nginx.url("/cart"), threads=1, pause=0.01):
        board = wait_until(
            lambda: (b := sidecar.wait_board()) and int(b["events"]) > 100
            and int(b["series"]) >= 5 and b, 60, "a board with our series")
        wait_until(lambda: metrics(nginx).get("tocsin_series", 0) >= 5,
                   what="the board in nginx")
        page = nginx.get("/_alerts", headers={"Accept": "text/html"})
    assert board["malformed"] == "0" and board["gaps"] == "0"
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src" in page.headers["content-security-policy"]
    assert nginx.get("/_alerts/api/v2/alerts").json() == []


def test_promtool_likes_the_metrics(redis, start_nginx, start_backend,
                                    start_sidecar):
    backend = start_backend(answer(200))
    nginx = start_nginx(HTTP, redis=redis.url, backend=backend.address)
    start_sidecar(redis)
    nginx.get("/cart")
    text = nginx.get("/_alerts/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text,
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), text
