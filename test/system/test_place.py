"""Where a peer lives, and what is under way there."""

import contextlib
import socket

from backend import hang
from capturing import *  # noqa: F403 (fixtures)
from harness import wait_until


# -------------------------------------------------------------------- cloud


def test_the_longest_prefix_wins(serve, requests, attempts, start_backend):
    hosts = ["127.1.0.1", "127.1.2.3", "127.2.0.1", "127.3.0.1"]
    backends = [start_backend(host=host) for host in hosts]
    server = "".join(
        f"location /{i} {{ proxy_pass http://{b.address}; }}"
        for i, b in enumerate(backends)
    ) + "location /4 { proxy_pass http://[::1]:1; }"
    nginx = serve(server, extra=f"""
        tocsin_cloud 127.1.0.0/16 aws us-east-1;
        tocsin_cloud 127.1.2.0/24 gcp us-central1 us-central1-a;
        tocsin_cloud 127.2.0.1 azure;
        tocsin_cloud upstream:{backends[3].address} alibaba_cloud cn-hangzhou;
        tocsin_cloud ::/8 tencent_cloud ap-1;
    """)
    expected = [
        ("aws", "us-east-1", ""), ("gcp", "us-central1", "us-central1-a"),
        ("azure", "", ""), ("alibaba_cloud", "cn-hangzhou", ""),
        ("tencent_cloud", "ap-1", ""),
    ]
    for i in range(4):
        assert nginx.get(f"/{i}").status == 200
    assert nginx.get("/4").status == 502
    for rows in (requests(5), attempts(5)):
        assert [(r["cloud"], r["region"], r["zone"]) for r in rows] == expected


def test_the_cloud_of_the_last_attempt(serve, requests, attempts,
                                       start_backend):
    good = start_backend(host="127.2.0.1")
    nginx = serve(
        "location / { proxy_pass http://pool; }",
        extra="""
            upstream pool { server 127.1.0.1:1; server @good@ backup; }
            tocsin_cloud 127.1.0.0/16 aws; tocsin_cloud 127.2.0.0/16 gcp;
        """, good=good.address)
    nginx.get()
    assert [a["cloud"] for a in attempts(2)] == ["aws", "gcp"]
    assert requests(1)[0]["cloud"] == "gcp"


# ---------------------------------------------------------------- in flight


def inflight(redis):
    """{(upstream, peer): (count, oldest)} of the last beat."""
    text = redis.entries("tocsin:beat")[-1]["inflight"]
    found = {}
    for item in filter(None, text.split(",")):
        upstream, peer, count, oldest, cloud, region, zone = item.split("=")
        found[upstream, peer] = (int(count), int(oldest), cloud, region, zone)
    return found


def test_in_flight(serve, redis, start_backend):
    stuck, body = start_backend(hang()), start_backend(
        hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123"))
    nginx = serve("""
        location /stuck { proxy_pass http://pool; }
        location /body { proxy_pass http://@body@; proxy_buffering off; }
    """, extra="""
        upstream pool { server @stuck@; }
        tocsin_cloud 127.0.0.0/8 aws eu-west-1 a;
    """, stuck=stuck.address, body=body.address)
    clients = []
    for path in (b"stuck", b"stuck", b"body"):
        s = socket.create_connection(("127.0.0.1", nginx.port))
        s.sendall(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path)
        clients.append(s)

    def grown():
        found = inflight(redis)
        waiting = found.get(("pool", stuck.address))
        return waiting and waiting[:1] == (2,) and waiting[1] > 1_000_000

    wait_until(lambda: redis.entries("tocsin:beat"))
    wait_until(grown)
    found = inflight(redis)
    assert found["pool", stuck.address][2:] == ("aws", "eu-west-1", "a")
    # its header has come: counted, but nobody waits for the peer
    assert found[body.address, body.address][:2] == (1, 0)

    for s in clients:
        s.close()
    wait_until(lambda: inflight(redis) == {})


def test_what_is_in_flight_beyond_the_room_of_a_beat(serve, redis,
                                                     start_backend):
    """What has no room is one item without a name: none is lost."""
    names = [f"{i:02}" + "x" * 238 for i in range(40)]
    backend = start_backend(hang())
    nginx = serve(
        "".join(f"location /{name} {{ proxy_pass http://{name}; }}"
                for name in names),
        extra="".join(f"upstream {name} {{ server @backend@; }}"
                      for name in names), backend=backend.address)
    with contextlib.ExitStack() as stack:
        for name in names:
            s = stack.enter_context(
                socket.create_connection(("127.0.0.1", nginx.port)))
            s.sendall(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
        wait_until(lambda: redis.entries("tocsin:beat"))
        wait_until(lambda: sum(
            item[0] for item in inflight(redis).values()) == len(names))
        found = inflight(redis)
    rest = found.pop(("", ""))[0]
    assert set(found) <= {(name, backend.address) for name in names}
    assert len(found) > 20 and len(found) + rest == len(names)
