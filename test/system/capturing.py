"""What the tests of capture share: one nginx before a Redis, its events."""

import subprocess

import pytest

__all__ = ["attempts", "certificate", "flags", "pairs", "requests", "serve"]

HTTP = """
    tocsin on;
    tocsin_redis @redis@;
    %(extra)s
    server {
        listen @port@;
        server_name www.example.org alias.example.org;
        %(server)s
    }
"""


def flags(event):
    return set(filter(None, event["flags"].split(",")))


def pairs(text):
    return dict(item.split("=", 1) for item in text.split(",")) if text else {}


@pytest.fixture
def serve(redis, start_nginx):
    """serve(server block, extra http text, **values) -> Nginx, one worker"""
    def start(server, extra="", **values):
        text = HTTP % {"server": server, "extra": extra}
        return start_nginx(text, redis=redis.url, **{"workers": 1, **values})
    return start


def _events(redis, stream):
    def wait(count, where=None):
        rows = redis.wait_entries(f"tocsin:{stream}", count, where=where)
        rows = [row for row in rows if not where or where(row)]
        assert len(rows) == count, rows
        return sorted(rows, key=lambda row: int(row["seq"]))
    return wait


@pytest.fixture
def requests(redis):
    """requests(n) waits for n events, the only ones, in order of seq."""
    return _events(redis, "request")


@pytest.fixture
def attempts(redis):
    """attempts(n) waits for n events, the only ones, in order of seq."""
    return _events(redis, "upstream")


@pytest.fixture
def certificate(tmp):
    """{"cert": path, "key": path} of a certificate for localhost."""
    cert, key = tmp / "cert.pem", tmp / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
         "-keyout", key, "-out", cert, "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )
    return {"cert": str(cert), "key": str(key)}
