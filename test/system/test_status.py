"""What /_alerts serves: JSON, Prometheus text, events, health; to whom."""

import json
import subprocess

import pytest

import boards
from alerting import (
    alerts, metrics, pretend, state, states, stream,  # noqa: F401
    wait_feed, wait_states, watch,  # noqa: F401
)
from harness import Load, exchange, wait_until

HOSTILE = "<script>alert(1)</script>\"'\\\n\r\t\u2028\u202e\x00\x7f&é🔔"
LABELS = boards.pairs(upstream="shop", cloud_provider="aws",
                      cloud_region="eu-west-1")


def tell(redis, **fields):
    redis.client.xadd("tocsin:alerts", boards.alert(**fields))


# -------------------------------------------------------------------- alerts

def test_an_alert_in_the_shape_of_alertmanager(redis, watch):
    tell(redis, id="a-1", labels=LABELS, started=1700000000123456,
         updated=1700000010000000, summary="slow", description="very slow",
         evidence="1700000000000000=1.5=0.1=0.05=0.2,1700000001000000=2===",
         parts=boards.part("p1", 80.5, "errors", peer="10.0.0.1:80", a="b,c"))
    nginx = watch(redis)
    wait_states(nginx, {"a-1": "firing"})
    assert nginx.get("/_alerts/api/v2/alerts").json() == [{
        "labels": {"alertname": "LatencyHigh", "severity": "critical",
                   "upstream": "shop", "cloud_provider": "aws",
                   "cloud_region": "eu-west-1"},
        "annotations": {"summary": "slow", "description": "very slow",
                        "observed": "1.25 s", "expected": "0.1 s"},
        "startsAt": "2023-11-14T22:13:20.123Z",
        "updatedAt": "2023-11-14T22:13:30.000Z",
        "endsAt": "2023-11-14T22:18:30.000Z",
        "fingerprint": "f00d",
        "receivers": [{"name": "tocsin"}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": [],
                   "mutedBy": []},
        "generatorURL": "",
        "tocsin": {
            "id": "a-1", "state": "firing", "score": 97.5,
            "feature": "latency_p95", "unit": "s", "observed": 1.25,
            "expected": 0.1, "low": 0.05, "high": 0.2,
            "evidence": [[1700000000.0, 1.5, 0.1, 0.05, 0.2],
                         [1700000001.0, 2, None, None, None]],
            "parts": [{"fingerprint": "p1", "score": 80.5,
                       "feature": "errors",
                       "labels": {"peer": "10.0.0.1:80", "a": "b,c"}}],
            "model": "7",
        },
    }]


@pytest.mark.parametrize("query, expected", [
    ("", "fire pend"),
    ("active=false", "pend"),
    ("unprocessed=false", "fire"),
    ("active=true&inhibited=false&silenced=false&unprocessed=false", "fire"),
    ("resolved=true", "fire past pend"),
    ("resolved=true&active=false&unprocessed=false", "past"),
    ('filter=alertname="LatencyHigh"', "fire pend"),
    ("filter=severity%3D%22info%22", "pend"),
    ("filter=severity!=info", "fire"),
    ('filter=severity=~"crit.*|nothing"', "fire"),
    ("filter=severity=~crit", ""),
    ("filter=upstream!~sh.p", "pend"),
    ("filter=upstream=", "pend"),
    ('filter=upstream="shop"&filter=severity="info"', ""),
    ('filter=+upstream+%3D+%22shop%22+', "fire"),
    ('filter=route="/a b,c=d%25"', "pend"),
    ("receiver=tocsin", "fire pend"),
    ("receiver=toc.*", "fire pend"),
    ("receiver=pager", ""),
    ("unknown=1", "fire pend"),
])
def test_filters(redis, watch, query, expected):
    tell(redis, id="fire", labels=LABELS)
    tell(redis, id="pend", state="pending", severity="info",
         labels=boards.pairs(route="/a b,c=d%"))
    tell(redis, id="past", state="resolved", ended=boards.now())
    nginx = watch(redis)
    wait_until(lambda: len(states(nginx)) == 3)
    assert sorted(alerts(nginx, query.replace(" ", "%20"))) == expected.split()


@pytest.mark.parametrize("query", [
    "active=maybe", "filter=", "filter=severity", "filter=9a=b",
    'filter=a="b', 'filter=a="b"c', "filter=a=~(", "filter=a=~b)(",
    "receiver=(", "&".join(["filter=a=b"] * 33),
])
def test_bad_filters_are_refused(redis, watch, query):
    nginx = watch(redis)
    reply = nginx.get("/_alerts/api/v2/alerts?" + query)
    assert reply.status == 400
    assert isinstance(reply.json(), str) and reply.json()


def test_a_costly_pattern_ends_soon(redis, watch):
    tell(redis, id="a", labels=boards.pairs(route="a" * 200 + "!"))
    nginx = watch(redis)
    wait_states(nginx, {"a": "firing"})
    query = "/_alerts/api/v2/alerts?filter=route=~(a*)*(a*)*(a*)*b"
    assert nginx.get(query, timeout=10).json() == []


def test_hostile_texts_are_whole_and_harmless(redis, watch):
    bad = b"\xff\xfe<\xc0\xaf\xed\xa0\x80\xf5"
    tell(redis, id="h", summary=HOSTILE, description=HOSTILE,
         alertname=HOSTILE, severity=HOSTILE, unit=HOSTILE, feature=HOSTILE,
         labels=boards.pairs(route=HOSTILE, upstream=HOSTILE * 3))
    tell(redis, id="b", summary=bad, labels=boards.pairs(
        route=bad.decode(errors="surrogateescape")))
    nginx = watch(redis)
    wait_until(lambda: len(states(nginx)) == 2)
    raw = nginx.get("/_alerts/api/v2/alerts").body
    assert b"<" not in raw and b">" not in raw and b"\x00" not in raw
    found = alerts(nginx)
    assert found["h"]["annotations"]["summary"] == HOSTILE
    assert found["h"]["labels"]["route"] == HOSTILE
    assert found["h"]["labels"]["upstream"] == HOSTILE * 3
    assert found["b"]["annotations"]["summary"].startswith("\ufffd\ufffd<")
    assert found["b"]["labels"]["route"].startswith("\ufffd\ufffd<")


def test_amtool_reads_it(redis, watch):
    tell(redis, id="a", labels=LABELS, summary="slow in eu-west-1")
    tell(redis, id="b", severity="info", summary="another", alertname="Other")
    nginx = watch(redis)
    wait_until(lambda: len(states(nginx)) == 2)

    def amtool(*args):
        done = subprocess.run(
            ["amtool", f"--alertmanager.url={nginx.url('/_alerts')}", *args],
            capture_output=True, text=True, check=True)
        return done.stdout

    said = amtool("alert", "query")
    assert "slow in eu-west-1" in said and "another" in said
    said = amtool("alert", "query", "severity=~crit.*", "-o", "json")
    (alert,) = json.loads(said)
    assert alert["labels"]["cloud_region"] == "eu-west-1"
    assert "slow" not in amtool("alert", "query", "Other")
    assert amtool("silence", "query", "-o", "json").strip() == "[]"


# ------------------------------------------------------------ series, status

def test_series_are_the_rows_of_the_snapshot(redis, watch):
    nginx = watch(redis)
    wait_feed(nginx)
    row = {"labels": boards.pairs(server="a,b", route="/=%"), "score": 12.5,
           "feature": "odd%20name", "observed": 1, "expected": 2, "low": "",
           "high": 4, "rate": 0.125, "errors": 0, "latency_p50": 1e-05,
           "latency_p95": 3, "inflight": 7, "spark": "1,,3"}
    redis.client.xadd("tocsin:board", boards.board(
        rollups=boards.row(labels=boards.pairs(cloud_provider="aws"), rate=9),
        rows=boards.row(**row) + boards.row(labels="server=second"),
        lag=1500000, series=77))
    wait_until(lambda: state(nginx)["sidecar"].get("series") == 77)
    said = nginx.get("/_alerts/api/v1/series").json()
    assert said["series"][0] == {
        "labels": {"server": "a,b", "route": "/=%"}, "score": 12.5,
        "feature": "odd name", "observed": 1, "expected": 2, "low": None,
        "high": 4, "rate": 0.125, "errors": 0, "latency_p50": 1e-05,
        "latency_p95": 3, "inflight": 7, "spark": [1, None, 3]}
    assert said["series"][1]["labels"] == {"server": "second"}
    assert said["rollups"][0]["labels"] == {"cloud_provider": "aws"}
    assert said["state"]["sidecar"]["lag"] == 1.5
    assert said["state"]["sidecar"]["model"] == "7"
    limited = nginx.get("/_alerts/api/v1/series?limit=1").json()
    assert len(limited["series"]) == 1 and len(limited["rollups"]) == 1
    assert nginx.get("/_alerts/api/v1/series?limit=x").status == 400


def test_health_says_why_not(redis, watch, pretend):
    nginx = watch(redis)
    wait_until(lambda: nginx.get("/_alerts/healthz").json()["reasons"]
               == ["the sidecar was never heard of"])
    assert nginx.get("/_alerts/healthz").status == 503
    pretend(redis)
    wait_until(lambda: nginx.get("/_alerts/healthz").status == 200)
    said = nginx.get("/_alerts/healthz").json()
    assert said["healthy"] is True and said["reasons"] == []


# ------------------------------------------------------------------- metrics

def test_metrics_please_promtool(redis, watch, pretend):
    tell(redis, id="a", state="pending", severity="warning")
    tell(redis, id="b", severity=HOSTILE)
    nginx = watch(redis)
    for _ in range(2):  # before and after the sidecar was heard of
        reply = nginx.get("/_alerts/metrics")
        kind = reply.headers["content-type"]
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        done = subprocess.run(["promtool", "check", "metrics"],
                              input=reply.body, capture_output=True,
                              check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        pretend(redis, version=HOSTILE, lag=1250000, active="a,b")
        wait_until(lambda: "version" in state(nginx)["sidecar"])
    found = metrics(nginx)
    assert found['tocsin_alerts{state="pending",severity="warning"}'] == 1
    assert found['tocsin_alerts{state="firing",severity="other"}'] == 1
    assert found["tocsin_lag_seconds"] == 1.25
    assert found["tocsin_series"] == 124
    assert found["tocsin_sidecar_heartbeat_age_seconds"] < 60
    assert found["tocsin_sidecar_up"] == 1
    assert found["tocsin_feed_up"] == 1


BOTH = """
tocsin on;
tocsin_redis @redis@ timeout=1s;
server {
    listen @port@;
    location / { return 204; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""


def test_counters_add_up_under_load(redis, watch):
    nginx = watch(redis, http=BOTH)
    with Load(nginx.url("/"), threads=2) as load:
        for _ in range(20):
            load.wait_for(20)
            found = metrics(nginx)
            dropped = sum(value for name, value in found.items()
                          if name.startswith("tocsin_events_dropped_total"))
            assert found["tocsin_events_emitted_total"] == (
                found["tocsin_events_delivered_total"] + dropped
                + found["tocsin_events_buffered"])
    assert found["tocsin_events_emitted_total"] > 0
    assert found["tocsin_workers_connected"] == found["tocsin_workers"] == 2


# -------------------------------------------------------------------- events

def test_the_stream_tells_what_changes(redis, watch, pretend):
    tell(redis, id="a")
    nginx = watch(redis)
    wait_states(nginx, {"a": "firing"})
    with stream(nginx) as events:
        assert next(events) == ("reset", {})
        name, alert = next(events)
        assert (name, alert) == ("alert", alerts(nginx)["a"])
        name, said = next(events)
        assert name == "state" and said["alerts"]["firing"] == 1

        tell(redis, id="b", state="pending", summary="line\nfeed")
        name, alert = next(e for e in events if e[0] == "alert")
        assert alert["tocsin"]["id"] == "b"
        assert alert["annotations"]["summary"] == "line\nfeed"
        pretend(redis, active="")
        changed = {}
        while len(changed) < 2:
            name, alert = next(e for e in events if e[0] == "alert")
            changed[alert["tocsin"]["id"]] = alert["tocsin"]["state"]
        assert changed == {"a": "resolved", "b": "resolved"}
        assert next(e for e in events if e[1]["healthy"])[0] == "state"


def test_many_streams_are_bounded_and_leave_nothing(redis, watch):
    nginx = watch(redis, workers=1)
    wait_feed(nginx)
    opened = []
    try:
        for _ in range(256):
            opened.append(stream(nginx))
            next(opened[-1].__enter__())
        assert nginx.get("/_alerts/stream").status == 503
    finally:
        for one in opened:
            one.__exit__(None, None, None)

    def again():
        with stream(nginx) as events:
            return next(events)

    wait_until(again)


def test_a_client_that_does_not_read_holds_up_nobody(redis, watch):
    for i in range(40):
        tell(redis, id=f"a{i}", evidence=boards.points(
            [(1, 1, 1, 1)] * 120), description="x" * 8000)
    nginx = watch(redis, workers=1)
    wait_until(lambda: len(states(nginx)) == 40)
    import socket
    lazy = socket.create_connection(("127.0.0.1", nginx.port))
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.sendall(b"GET /_alerts/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    with stream(nginx) as events:
        next(events)
        tell(redis, id="news", state="firing")
        seen = (e for e in events if e[0] == "alert")
        while next(seen)[1]["tocsin"]["id"] != "news":
            pass
    nginx.wait_drained(nginx.reload())
    lazy.close()


def test_the_stream_over_http2_ends_with_its_worker(redis, watch, running):
    http = BOTH.replace("listen @port@;", "listen @port@ http2;")
    nginx = watch(redis, http=http)
    curl = subprocess.Popen(
        ["curl", "-sN", "--http2-prior-knowledge", "--max-time", "60",
         nginx.url("/_alerts/stream")], stdout=subprocess.PIPE)
    try:
        assert curl.stdout.readline().startswith(b"retry:")
        nginx.wait_drained(nginx.reload())
        curl.stdout.read()  # ends
    finally:
        curl.kill()
        curl.wait()


# --------------------------------------------------------- paths and methods

@pytest.mark.parametrize("path", [
    "/_alerts", "/_alerts/", "/_alerts/api/v2/alerts", "/_alerts/metrics",
    "/_alerts/api/v1/series", "/_alerts/api/v2/status", "/_alerts/healthz",
    "/_alerts/stream", "/_alerts/page.js", "/_alerts/api/v2/receivers",
])
def test_only_get_and_head(redis, watch, path):
    nginx = watch(redis)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        reply = nginx.get(path, method=method)
        assert reply.status == 405
        assert reply.headers["allow"] == "GET, HEAD"
    head = nginx.get(path, method="HEAD")
    assert head.body == b"" and head.status in (200, 503)
    assert head.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [
    "/_alerts/api", "/_alerts/api/v2", "/_alerts/api/v2/alerts/x",
    "/_alerts/page.html", "/_alerts/../_alerts/nothing",
    "/_alerts/embed.sh", "/_alerts/metricsx", "/_alertsx", "/_alerts%00",
])
def test_nothing_else_is_there(redis, watch, path):
    assert watch(redis).get(path).status in (400, 404)


def test_a_body_with_get_does_no_harm(redis, watch):
    nginx = watch(redis)
    reply = exchange(nginx.port, b"GET /_alerts/healthz HTTP/1.1\r\nHost: a\r\n"
                     b"Content-Length: 5\r\n\r\nhelloGET /_alerts/api/v2/silences"
                     b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert reply.endswith(b"[]")


@pytest.mark.parametrize("name", ["/", "/ops/alerts/", "/a b/", "/x"])
def test_paths_are_relative_to_the_location(redis, watch, name):
    nginx = watch(redis, http="""
        tocsin_redis @redis@;
        server { listen @port@; location "@name@" { tocsin_alerts; } }
        """, name=name)
    base = name.rstrip("/").replace(" ", "%20")
    assert nginx.get(base + "/api/v2/silences").json() == []
    assert nginx.get(base + "/healthz").status == 503
    page = nginx.get(base + "/").text
    assert 'src="page.js"' in page
    assert nginx.get(base + "/page.js").status == 200
    if not name.endswith("/"):
        assert 'src="x/page.js"' in nginx.get(base).text


@pytest.mark.parametrize("accept, kind", [
    (None, "text/html"),
    ("*/*", "text/html"),
    ("application/json", "application/json"),
    ("text/html,application/xhtml+xml,application/json;q=0.9", "text/html"),
    ("text/html;q=0.2, application/json;q=0.8", "application/json"),
    ("application/json;q=0, */*", "text/html"),
    ("application/json; q=0.5,text/html", "text/html"),
])
def test_people_get_a_page_and_programs_json(redis, watch, accept, kind):
    nginx = watch(redis)
    reply = nginx.get("/_alerts", headers={"Accept": accept} if accept else {})
    assert reply.headers["content-type"].startswith(kind)
    assert reply.headers["vary"] == "Accept"
    if kind == "application/json":
        assert set(reply.json()) == {"state", "alerts"}


def test_headers_forbid_what_is_not_needed(redis, watch):
    nginx = watch(redis)
    page = nginx.get("/_alerts").headers
    policy = dict(
        (part.split() + [""])[:2]
        for part in page["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'none'"
    assert "unsafe" not in page["content-security-policy"]
    for path in ("/_alerts", "/_alerts/healthz", "/_alerts/metrics",
                 "/_alerts/api/v2/alerts", "/_alerts/nothing"):
        headers = nginx.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        if not path.endswith("nothing"):
            assert headers["cache-control"] == "no-store"


def test_files_of_the_page_are_validated_by_tag(redis, watch):
    nginx = watch(redis)
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css"),
                       ("icon-quiet.svg", "image/svg+xml")):
        reply = nginx.get("/_alerts/" + name)
        assert reply.headers["content-type"].startswith(kind)
        tag = reply.headers["etag"]
        again = nginx.get("/_alerts/" + name, headers={"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        other = nginx.get("/_alerts/" + name, headers={"If-None-Match": '"x"'})
        assert (other.status, other.body) == (200, reply.body)


# ------------------------------------------------------------- configuration

@pytest.mark.parametrize("location, said", [
    ("location /a { tocsin_alerts write=yes; }",
     'it may be "write=on" or "write=off"'),
    ("location /a { tocsin_alerts; tocsin_alerts; }", "is duplicate"),
    ("location ~ ^/a { tocsin_alerts; }", "needs a location with a prefix"),
    ("location @a { tocsin_alerts; }", "needs a location with a prefix"),
])
def test_bad_directives_are_refused(redis, nginx_test, location, said):
    code, text = nginx_test(
        "tocsin_redis @redis@; server { listen @port@; " + location + " }",
        redis=redis.url)
    assert code != 0 and said in text


def test_write_off_is_the_default_spelled_out(redis, watch):
    nginx = watch(redis, http="""
        tocsin_redis @redis@;
        server { listen @port@;
                 location /_alerts { tocsin_alerts write=off; } }
        """)
    assert nginx.get("/_alerts/api/v2/silences", method="POST").status == 405
