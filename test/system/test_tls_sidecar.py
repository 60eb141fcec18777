"""TLS from the sidecar to Redis, where it was built with it; and what it says
where it was not."""

import json

import pytest

from certificates import EXPIRED, Authority, authority, rediss, secure
from harness import tocsin, wait_until
from streams import request
from test_intake import Tail


@pytest.fixture(scope="module")
def why_not(tmp_path_factory):
    """What a sidecar without TLS says of a URL that wants it, or ""."""
    path = tmp_path_factory.mktemp("tls") / "tocsin.yaml"
    path.write_text('{"redis": {"url": "rediss://127.0.0.1:1"}}')
    done = tocsin("alerts", "-c", path, cwd=path.parent)
    assert done.returncode != 0
    return done.stderr if "without TLS" in done.stderr else ""


@pytest.fixture
def alerts(tmp, why_not):
    """alerts(**keys of redis) -> `tocsin alerts`, which asks Redis once"""
    if why_not:
        pytest.skip("this tocsin was built without TLS")

    def run(**keys):
        path = tmp / "alerts.yaml"
        path.write_text(json.dumps({"redis": keys}))
        return tocsin("alerts", "-c", path, cwd=tmp)

    return run


def test_without_tls_the_configuration_is_refused(why_not):
    if not why_not:
        pytest.skip("this tocsin was built with TLS")
    assert "tocsin.yaml:1:19: redis.url: rediss://: " in why_not
    assert "unix socket, loopback or a tunnel" in why_not


def test_events_are_read(secure, authority, running, directory, alerts):
    """Many at once: TLS has read more than was asked of it."""
    redis = secure()
    pipe = redis.client.pipeline(transaction=False)
    for seq in range(1, 5001):
        pipe.xadd("tocsin:request", request(seq, labels="x" * 200))
    pipe.execute()
    tail = running(Tail(directory("tail"), redis, "--back", "1000",
                        url=rediss(redis), tls_ca=str(authority.path)))
    tail.start()
    assert len(tail.wait(5000)) == 5000
    redis.client.xadd("tocsin:request", request(5001))
    wait_until(lambda: tail.events[-1]["seq"] == 5001, what="the last one")


def test_the_whole_sidecar(secure, authority, start_sidecar, alerts):
    redis = secure()
    sidecar = start_sidecar(redis, {"redis": {
        "url": rediss(redis), "tls_ca": str(authority.path)}})
    sidecar.wait_board()
    assert sidecar.run("status").returncode == 0


def test_who_is_trusted(secure, authority, tmp, alerts):
    redis = secure(clients="yes")
    own, key = authority.issue("edge", "DNS:edge")
    here = {"url": rediss(redis), "tls_ca": str(authority.path),
            "tls_cert": str(own), "tls_key": str(key)}
    assert alerts(**here).returncode == 0
    other = Authority(tmp / "ca", "other")
    for change, said in (
        ({"tls_ca": str(other.path)}, "certificate verify failed"),
        ({"tls_ca": ""}, "by a CA that the system trusts"),
        ({"tls_name": "elsewhere"}, 'mismatch), expected one for "elsewhere"'),
        ({"tls_key": ""}, "needs its key"),
        ({"tls_ca": str(key)}, f"TLS: {key}"),
        ({"url": redis.url.replace("redis://", "rediss://"),
          "timeout": "200ms"}, "TLS: "),
        ({"tls_cert": "", "tls_key": ""}, "redis: "),
    ):
        done = alerts(**{**here, **change})
        assert done.returncode == 1 and said in done.stderr, (change, done)


def test_an_expired_certificate(secure, authority, alerts):
    redis = secure(valid=EXPIRED)
    done = alerts(url=rediss(redis), tls_ca=str(authority.path))
    assert done.returncode == 1
    assert "certificate verify failed (certificate has expired)" in done.stderr


def test_a_name(secure, authority, alerts):
    redis = secure("DNS:localhost")
    done = alerts(url=rediss(redis, "localhost"), tls_ca=str(authority.path))
    assert done.returncode == 0, done.stderr
