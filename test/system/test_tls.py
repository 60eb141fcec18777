"""TLS from nginx to Redis: whom we trust, and what breaks in between."""

import re
import signal
import socket
import time

import pytest

import boards
import namespace
import tracing
from accounts import *  # noqa: F403 (the nginx fixture)
from accounts import assert_all_arrived, counters, settled
from certificates import (EXPIRED, Authority, authority, rediss, secure,
                          tls_options)
from harness import Load, free_port, wait_until
from relay import Relay

HTTP = """
tocsin on;
tocsin_redis @redis@;
@more@
server {
    listen @port@;
    location / { return 200 "ok"; }
    location /_alerts { tocsin off; tocsin_alerts write=on; }
}
"""
PAD = "".join(f"tocsin_field pad{n} {'x' * 240};" for n in range(4))


@pytest.fixture
def nginx(start_nginx):
    return lambda url, more="", **options: start_nginx(
        HTTP, redis=url, more=more, **options)


# ------------------------------------------------------------------ all is well


def test_events_alerts_and_commands(secure, nginx, authority):
    """Every link of a worker: that of the ring, of the feed, of silences."""
    redis = secure(durable=True)
    server = nginx(f"{rediss(redis)} ca={authority.path}")
    with Load(server.url("/")) as load:
        load.wait_for(500)
    assert_all_arrived(server, redis, load.sent)
    redis.client.xadd("tocsin:alerts", boards.alert(id="a-1"))
    wait_until(lambda: server.get("/_alerts/api/v2/alerts").json(),
               what="the alert")
    now = time.time()
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + later))
              for later in (0, 3600)]
    reply = server.get("/_alerts/api/v2/silences", method="POST", body=(
        '{"matchers":[{"name":"alertname","value":"x","isRegex":false}],'
        '"startsAt":"%s","endsAt":"%s","createdBy":"me","comment":"why"}'
        % tuple(stamps)), headers={"Content-Type": "application/json"})
    assert reply.status == 200, reply.text
    assert redis.wait_entries("tocsin:commands", 1)
    assert "[error]" not in server.log


def test_names_and_certificates_of_our_own(secure, nginx, authority):
    """A name instead of an address, tls=on, a Redis that asks who we are."""
    own, key = authority.issue("edge", "DNS:edge")
    redis = secure("DNS:*.shop.example", clients="yes")
    server = nginx(f"redis://127.0.0.1:{redis.tls_port}/3 tls=on "
                   f"tls_name=redis.shop.example ca={authority.path} "
                   f"cert={own} key={key}")
    server.get("/")
    client = redis.connect(db=3)
    wait_until(lambda: client.exists("tocsin:request"), what="db 3")


def test_a_name_that_the_url_holds(secure, nginx, authority):
    redis = secure("DNS:localhost")
    server = nginx(f"{rediss(redis, 'localhost')} ca={authority.path}")
    server.get("/")
    assert redis.wait_entries("tocsin:request", 1)


# ------------------------------------------------------------------ who is it?


def refused(server, said, level="error", sent=20, last=True):
    """Nothing was delivered, nobody was hurt, and the log says why."""
    server.wait_log(rf"\[{level}\] .*tocsin: redis \S+: .*" + said)
    for _ in range(sent):
        assert server.get("/").status == 200
    now = wait_until(lambda: settled(server, sent), what="the log")
    assert (now.delivered, now.buffered) == (0, sent)
    found = re.findall(r"tocsin: redis .*", server.log)
    assert len(found) <= 8, "once for each link, not for each attempt"
    if last:
        server.stop(signal.SIGTERM)


@pytest.mark.parametrize("alt, host, said", [
    ("IP:127.0.0.1", "127.0.0.1", r"certificate verify failed \(.*"
     r"(issuer|self.signed|first certificate).*\), expected one for "
     r'"127.0.0.1" by ".*other.pem"'),
    ("IP:127.0.0.2", "127.0.0.1", r"certificate verify failed "
     r'\(IP address mismatch\), expected one for "127.0.0.1" by'),
    ("DNS:elsewhere", "localhost", r"certificate verify failed "
     r'\(hostname mismatch\), expected one for "localhost" by'),
], ids=["authority", "address", "name"])
def test_another_one_is_refused(secure, nginx, authority, tmp, alt, host,
                                said):
    redis = secure(alt)
    other = Authority(tmp / "ca", "other") if "other" in said else authority
    refused(nginx(f"{rediss(redis, host)} ca={other.path}"), said)
    assert not redis.client.exists("tocsin:request")


def test_without_a_ca_the_system_decides(secure, nginx):
    refused(nginx(rediss(secure())), r"certificate verify failed \(.*\), "
            r"expected one for .* by a CA that the system trusts")


def test_an_authority_that_the_system_knows(secure, nginx, authority,
                                            monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    redis = secure()
    nginx(rediss(redis)).get("/")
    assert redis.wait_entries("tocsin:request", 1)


def test_an_expired_certificate_until_it_is_renewed(secure, nginx, authority):
    redis = secure(valid=EXPIRED)
    server = nginx(f"{rediss(redis)} ca={authority.path}")
    refused(server, r"certificate verify failed \(certificate has expired\)",
            last=False)
    new, _ = authority.issue("new", "IP:127.0.0.1")
    redis.client.config_set("tls-cert-file", str(new))
    assert_all_arrived(server, redis, 20)
    assert "serves again" in server.log


def test_plain_text_where_tls_is_due(redis, nginx, authority):
    refused(nginx(f"rediss://127.0.0.1:{redis.port} ca={authority.path}"),
            "did not shake hands by TLS in time, it may not speak TLS", "warn")


def test_a_redis_that_wants_to_know_us(secure, nginx, authority):
    refused(nginx(f"{rediss(secure(clients='yes'))} ca={authority.path}"),
            "TLS failed: .*certificate required")


def test_nobody_gets_the_password_before_he_proved_himself(
        nginx, authority, tmp):
    """Neither where there is no TLS, nor by a certificate of somebody."""
    secret = tmp / "password"
    secret.write_text("open sesame")
    secret.chmod(0o600)
    heard = b""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = listener.getsockname()[1]
        server = nginx(f"rediss://127.0.0.1:{port} ca={authority.path} "
                       f"timeout=300ms password_file={secret}", workers=1)
        for _ in range(2):
            peer = listener.accept()[0]
            peer.settimeout(20)
            while data := peer.recv(4096):
                heard += data
        server.wait_log("did not shake hands by TLS in time")
    assert heard and b"sesame" not in heard and b"AUTH" not in heard


# ---------------------------------------------------------------------- faults


@pytest.mark.skipif(not tracing.possible(), reason="cannot be traced here")
def test_redis_dies_in_the_middle(secure, authority, running, directory):
    """While it serves, and while hands are shaken, for which nobody waits."""
    redis = secure(durable=True)
    server = running(tracing.Nginx(
        directory("nginx"), HTTP, more="",
        redis=f"{rediss(redis)} ca={authority.path} timeout=200ms")).start()
    with Load(server.url("/")) as load:
        load.wait_for(200)
        for _ in range(2):
            said = len(server.log)
            redis.pause()
            wait_until(lambda: "did not shake hands" in server.log[said:],
                       what="a handshake that takes too long")
            load.wait_for(100)
            redis.kill()
            load.wait_for(100)
            assert counters(server).buffered > 0
            redis.start()
            load.wait_for(100)
    assert load.failed == 0
    assert_all_arrived(server, redis, load.sent)
    server.stop()
    tracing.assert_nothing_waits(server, redis.tls_port, 5)


def test_a_handshake_that_breaks_off(secure, nginx, authority):
    """Wherever it does: after so many bytes from Redis the line is cut."""
    redis = secure()
    with Relay(redis.tls_port, lambda data: [data]) as relay:
        server = nginx(f"rediss://127.0.0.1:{relay.listen} timeout=300ms "
                       f"ca={authority.path}", workers=1)
        server.get("/")
        assert_all_arrived(server, redis, 1)
        for most in (0, 1, 5, 100, 500):
            said = len(server.log)
            relay.change = lambda data: [data[:most], None]
            relay.cut()
            wait_until(lambda: re.search("tocsin: redis", server.log[said:]),
                       what="a word about it")
            assert server.get("/").status == 200
            relay.change = lambda data: [data]
            wait_until(lambda: counters(server).buffered == 0, what="TLS")
    assert_all_arrived(server, redis, 6)


@pytest.mark.skipif(not namespace.available(), reason="no namespaces")
def test_a_line_that_is_stuck(directory, running, nginx, authority):
    """What could not be written is written from another place of the buffer
    when the line moves again: nothing comes twice, the link was not lost. The
    cable between namespaces holds much less than the loopback device."""
    network = running(namespace.Namespace()).start()
    port = free_port()
    redis = running(namespace.Far(directory("redis"), network,
                                  *tls_options(authority, port,
                                               f"IP:{network.far}"))).start()
    server = nginx(f"rediss://{network.far}:{port} timeout=60s "
                   f"ca={authority.path}",
                   "tocsin_buffer 16m flush=1s;" + PAD, workers=1)
    server.get("/")
    assert_all_arrived(server, redis, 1)
    redis.pause()
    with Load(server.url("/")) as load:
        load.wait_for(1500)
    assert counters(server).buffered > 1000
    redis.resume()
    now = assert_all_arrived(server, redis, load.sent + 1)
    assert redis.client.xlen("tocsin:request") == now.emitted, "no repeats"


def test_the_rest_is_sent_at_the_end(secure, nginx, authority):
    """Without an event loop, and with what TLS has read ahead."""
    redis = secure()
    server = nginx(f"{rediss(redis)} ca={authority.path}",
                   "tocsin_buffer 16m flush=10s;" + PAD, workers=1)
    server.get("/")
    wait_until(lambda: counters(server).emitted == 1)
    for _ in range(300):
        server.get("/")
    server.stop()
    assert "could not be sent" not in server.log
    assert redis.client.xlen("tocsin:request") == 301
