"""From the log phase to Redis, through everything that can happen between.

The yardstick is the same everywhere: what the module says it emitted,
delivered, dropped and still holds adds up, and the streams hold exactly the
delivered ones, told apart by (src, seq).
"""

import collections
import os
import re
import socket
import threading

import pytest

from accounts import *  # noqa: F403 (the nginx fixture)
from accounts import (
    assert_all_arrived, assert_no_gap, counters, distinct, drained, numbers,
    settled,
)
from harness import Load, wait_until
from relay import Relay, byte_by_byte, far_away

MODULES = "/usr/lib/nginx/modules"


# ------------------------------------------------------------------ all is well


def test_every_event_once(redis, nginx):
    server = nginx(redis.url)
    with Load(server.url("/")) as load:
        load.wait_for(2000)
    now = assert_all_arrived(server, redis, load.sent)
    seqs = numbers(redis)
    assert sum(len(s) for s in seqs.values()) == now.emitted, "no repeats"
    for src, s in seqs.items():
        assert s == sorted(s)
        assert re.fullmatch(r"[\w.-]+/\d+/[0-9a-f]+-[0-9a-f]+", src)


def test_events_arrive_without_further_ones(redis, nginx):
    server = nginx(redis.url, workers=1)
    server.get("/")
    redis.wait_entries("tocsin:request", 1)
    assert drained(server, 1).delivered == 1


def test_counters_add_up_in_every_look(redis, nginx):
    server = nginx(redis.url)
    with Load(server.url("/")) as load:
        for _ in range(300):
            counters(server)
        load.wait_for(1)
    assert_all_arrived(server, redis, load.sent)


def test_beats_tell_the_counters(redis, nginx):
    server = nginx(redis.url, workers=1)
    for _ in range(5):
        server.get("/")
    (beat, *_) = redis.wait_entries(
        "tocsin:beat", 1, where=lambda e: e["delivered"] == "5")
    assert beat["request_seq"] == beat["emitted"] == "5"
    assert (beat["upstream_seq"], beat["dropped"], beat["buffered"]) == (
        "0", "0", "0")
    assert beat["src"] in numbers(redis)


def test_unix_socket_and_database(start_redis, nginx):
    redis = start_redis(unix=True)
    server = nginx(f"unix:{redis.socket}?db=3")
    server.get("/")
    client = redis.connect(db=3)
    wait_until(lambda: client.exists("tocsin:request"), what="db 3")
    assert not redis.client.exists("tocsin:request")


def test_database_over_tcp(redis, nginx):
    server = nginx(f"redis://localhost:{redis.port}/7")
    server.get("/")
    client = redis.connect(db=7)
    wait_until(lambda: client.exists("tocsin:request"), what="db 7")


def test_shards_keep_a_route_together(redis, nginx):
    server = nginx(redis.url, "tocsin_stream bells maxlen=5000 shards=4;")
    for _ in range(20):
        for path in ("/", "/b", "/c", "/error"):
            server.get(path)
    assert drained(server, 80).delivered == 80
    routes = collections.defaultdict(set)
    for n in range(4):
        for entry in redis.entries(f"bells:request:{{{n}}}"):
            routes[entry["route"]].add(n)
    assert len(routes) == 4
    assert all(len(shards) == 1 for shards in routes.values())
    assert redis.client.exists("bells:beat")
    assert not redis.client.exists("tocsin:request", "bells:request")


def test_streams_are_capped(redis, nginx):
    server = nginx(redis.url, "tocsin_stream tocsin maxlen=1000;")
    with Load(server.url("/")) as load:
        load.wait_for(4000)
    drained(server)
    # "~" leaves up to one node of the stream more
    assert redis.client.xlen("tocsin:request") < 1400


@pytest.mark.skipif(not os.path.isdir(MODULES), reason="no nginx-extras")
def test_beside_all_modules_of_debian(redis, nginx):
    """nchan brings symbols of a patched hiredis, and is loaded first."""
    names = sorted(n for n in os.listdir(MODULES) if n.startswith("ngx_"))
    first = ["ndk_http_module.so", "ngx_stream_module.so"]
    loads = [f"{MODULES}/{n}" for n in first + [
        n for n in names if n not in first]]
    assert any("nchan" in n for n in loads)
    redis.client.set("tocsin:upstream", "so that errors are parsed as well")
    server = nginx(redis.url, modules=loads)
    with Load(server.url("/")) as load:
        load.wait_for(200)
    assert_all_arrived(server, redis, load.sent)


# -------------------------------------------------------------- faults of Redis


def test_redis_killed_under_load(start_redis, nginx):
    redis = start_redis(durable=True)
    server = nginx(redis.url)
    with Load(server.url("/")) as load:
        load.wait_for(300)
        for _ in range(3):
            redis.kill()
            load.wait_for(300)
            assert counters(server).buffered > 0
            redis.start()
            load.wait_for(300)
    assert load.failed == 0
    assert_all_arrived(server, redis, load.sent)
    said = re.findall(r"tocsin: redis .*", server.log)
    assert said and len(said) < 60, "once per change of state"


def test_redis_down_at_start(start_redis, nginx):
    redis = start_redis()
    redis.kill()
    server = nginx(redis.url)
    with Load(server.url("/")) as load:
        load.wait_for(500)
    assert load.failed == 0
    wait_until(lambda: settled(server, load.sent), what="the log")
    assert counters(server).buffered == load.sent
    redis.start()
    assert_all_arrived(server, redis, load.sent)


def test_a_link_that_fails_is_not_to_be_seen(start_nginx):
    """It takes no number of a client's connection, and is no error yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = listener.getsockname()[1]
        server = start_nginx(
            "tocsin on; tocsin_redis @redis@; "
            "server { listen @port@; return 200 $connection; }",
            redis=f"redis://127.0.0.1:{port}", workers=1)
        before = int(server.get("/").text)
        for _ in range(5):
            listener.accept()[0].close()
        assert int(server.get("/").text) == before + 1
    server.wait_log(r"\[warn\].*tocsin: redis 127.0.0.1:\d+: ")
    assert "[error]" not in server.log


def test_redis_stopped_and_continued(redis, nginx):
    server = nginx(f"{redis.url} timeout=200ms")
    with Load(server.url("/")) as load:
        load.wait_for(200)
        redis.pause()
        load.wait_for(200)
        wait_until(lambda: "did not" in server.log, what="a timeout")
        load.wait_for(200)
        redis.resume()
        load.wait_for(200)
    assert load.failed == 0
    now = drained(server, load.sent)
    assert distinct(redis) == now.emitted == load.sent
    assert_no_gap(redis)


def test_redis_full(redis, nginx):
    server = nginx(redis.url)
    server.get("/")
    drained(server, 1)
    redis.client.config_set("maxmemory", 1)
    with Load(server.url("/")) as load:
        load.wait_for(500)
    assert load.failed == 0
    now = wait_until(lambda: settled(server, load.sent + 1), what="the log")
    assert (now.delivered, now.buffered) == (1, load.sent)
    assert redis.client.xlen("tocsin:request") == 1
    redis.client.config_set("maxmemory", 0)
    now = assert_all_arrived(server, redis, load.sent + 1)
    assert redis.client.xlen("tocsin:request") == now.emitted, "no repeats"
    warnings = re.findall(r"tocsin: redis takes no entries now.*OOM",
                          server.log)
    assert 1 <= len(warnings) <= 2, "once for each worker"


def test_redis_with_a_script_that_never_ends(redis, nginx):
    redis.client.config_set("busy-reply-threshold", 1)
    server = nginx(redis.url)
    server.get("/")
    drained(server, 1)
    looping = threading.Thread(
        target=lambda: pytest.raises(
            Exception, redis.connect().eval, "while true do end", 0))
    looping.start()
    other = redis.connect()
    with Load(server.url("/")) as load:
        load.wait_for(300)
        wait_until(lambda: "BUSY" in server.log, what="BUSY")
    assert load.failed == 0
    wait_until(lambda: other.script_kill(), what="an end")
    looping.join()
    assert_all_arrived(server, redis, load.sent + 1)


def test_an_entry_that_is_refused_does_not_block_the_rest(redis, nginx):
    redis.client.set("tocsin:request", "not a stream")
    server = nginx(redis.url)
    for _ in range(10):
        server.get("/")
    now = drained(server, 10)
    assert (now.delivered, now.dropped["refused"]) == (0, 10)
    assert redis.wait_entries("tocsin:beat", 3), "beats go on"
    redis.client.delete("tocsin:request")
    for _ in range(10):
        server.get("/")
    now = drained(server, 20)
    assert (now.delivered, now.dropped["refused"]) == (10, 10)
    assert distinct(redis) == 10
    refused = re.findall(r"tocsin: redis refuses entries.*WRONGTYPE",
                         server.log)
    assert 1 <= len(refused) <= 2


def test_replica_is_left_for_the_master(start_redis, nginx):
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", master.port)
    wait_until(
        lambda: replica.client.info("replication")["master_link_status"]
        == "up", what="replication")
    server = nginx(f"{replica.url} {master.url}")
    with Load(server.url("/")) as load:
        load.wait_for(300)
    assert_all_arrived(server, master, load.sent)
    assert "READONLY" in server.log


def test_fail_over(start_redis, nginx):
    master = start_redis()
    replica = start_redis("--replicaof", "127.0.0.1", master.port)
    wait_until(
        lambda: replica.client.info("replication")["master_link_status"]
        == "up", what="replication")
    server = nginx(f"{master.url} {replica.url}")
    with Load(server.url("/")) as load:
        load.wait_for(300)
        replica.client.replicaof("NO", "ONE")
        master.client.replicaof("127.0.0.1", replica.port)
        load.wait_for(300)
    assert load.failed == 0
    now = drained(server, load.sent)
    assert now.delivered == now.emitted == load.sent
    assert distinct(replica) > 0


def test_password_corrected_by_reload(start_redis, nginx, tmp):
    redis = start_redis("--requirepass", "right and proper")
    client = redis.connect(password="right and proper")
    redis._client = client
    secret = tmp / "password"
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    server = nginx(f"{redis.url} password_file={secret}")
    for _ in range(10):
        server.get("/")
    wait_until(lambda: "WRONGPASS" in server.log, what="a complaint")
    wait_until(lambda: settled(server, 10), what="the log")
    assert counters(server).buffered == 10
    secret.write_text("right and proper\r\n# its first line counts\n")
    old = server.reload()
    server.wait_drained(old)
    assert_all_arrived(server, redis, 10)
    for word in ("wrong", "right and proper"):
        assert f"{word}\n" not in server.log
        assert f" {word} " not in server.log


def test_user_with_too_few_rights(redis, nginx, tmp):
    redis.client.acl_setuser(
        "shipper", enabled=True, passwords=["+secret"], keys=["tocsin:*"],
        commands=["+select"])
    secret = tmp / "password"
    secret.write_text("secret")
    server = nginx(f"{redis.url} user=shipper password_file={secret}")
    for _ in range(10):
        server.get("/")
    wait_until(lambda: "NOPERM" in server.log, what="a complaint")
    wait_until(lambda: settled(server, 10), what="the log")
    assert counters(server).buffered == 10
    redis.client.acl_setuser(
        "shipper", enabled=True,
        commands=["+xadd", "+xread", "+xrange", "+xrevrange"])
    assert_all_arrived(server, redis, 10)


@pytest.fixture
def between(redis):
    made = []

    def make(reply):
        made.append(Relay(redis.port, reply))
        return made[-1]

    yield make
    for relay in made:
        relay.close()


def test_replies_byte_by_byte(redis, nginx, between):
    relay = between(byte_by_byte)
    server = nginx(relay.url)
    redis.client.config_set("maxmemory", 1)
    with Load(server.url("/")) as load:
        load.wait_for(200)
    redis.client.config_set("maxmemory", 0)
    now = assert_all_arrived(server, redis, load.sent)
    assert redis.client.xlen("tocsin:request") == now.emitted


def test_redis_full_and_far_away(redis, nginx, between):
    """What it did not take goes again, though there is always more to send."""
    server = nginx(between(far_away).url, workers=1)
    with Load(server.url("/"), pause=0.01) as load:
        load.wait_for(50)
        redis.client.config_set("maxmemory", 1)
        server.wait_log("redis takes no entries now.*OOM")
        redis.client.config_set("maxmemory", 0)
        known = counters(server).emitted
        wait_until(
            lambda: set(range(1, known + 1)) <= set(
                sum(numbers(redis).values(), [])), what="what was kept")
    now = assert_all_arrived(server, redis, load.sent)
    assert redis.client.xlen("tocsin:request") == now.emitted, "no repeats"


@pytest.mark.parametrize("garbage", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x00" * 100,
    b"$5\r\n0-1\r\n\r\n\r\n",
    b"$-5\r\n",
    b"$3\r\n0-1\r\n" * 5000,
    b"*100000000\r\n",
    b":1\r\n",
    b"*-1\r\n",
    b"$2000000\r\n" + b"x" * 1000000,
    b"*1\r\n" * 20,
], ids=["http", "zeros", "trailing", "length", "unasked", "array", "integer",
        "nil", "long", "deep"])
def test_garbage_is_not_an_acknowledgement(redis, nginx, between, garbage):
    spoiled = threading.Event()
    spoiled.set()
    relay = between(lambda data: [garbage] if spoiled.is_set() else [data])
    server = nginx(f"{relay.url} timeout=300ms", workers=1)
    with Load(server.url("/"), threads=1, pause=0.01) as load:
        wait_until(lambda: re.search(r"\[error\].*tocsin: redis", server.log),
                   what="a complaint")
        load.wait_for(10)
    assert load.failed == 0
    spoiled.clear()
    now = drained(server, load.sent)
    assert now.emitted == load.sent
    assert distinct(redis) == now.emitted, "nothing was taken for delivered"


@pytest.mark.parametrize("said, logged", [
    (b"-\r\n", "sent an error without words"),
    (b"-NOAUTH a\nb\x1b[31m\r\n", r"NOAUTH a\.b\.\[31m"),
], ids=["nothing", "lines"])
def test_what_redis_says_makes_no_lines_in_the_log(redis, nginx, between,
                                                   said, logged):
    relay = between(lambda data: [said])
    server = nginx(f"{relay.url}/1", workers=1)  # SELECT is answered so
    server.wait_log(r"\[error\] .*tocsin: redis \S+: " + logged + "$")
    assert all(re.match(r"\d{4}/\d\d/\d\d ", line)
               for line in server.log.splitlines())


# -------------------------------------------------------------------- full ring


def test_full_ring_counts_what_it_drops(start_redis, nginx):
    redis = start_redis()
    redis.kill()
    server = nginx(redis.url, "tocsin_buffer 64k;", workers=1)
    with Load(server.url("/")) as load:
        load.wait_for(1500)
    now = wait_until(lambda: settled(server, load.sent), what="the log")
    assert 200 < now.buffered < 600
    assert now.dropped["full"] == load.sent - now.buffered

    for _ in range(20):
        assert server.get("/error").status == 500
    errors = wait_until(lambda: settled(server, load.sent + 20), what="log")
    assert errors.buffered == now.buffered + 20, "errors are kept longest"

    redis.start()
    last = drained(server)
    assert last.delivered == distinct(redis) == errors.buffered
    assert max(max(s) for s in numbers(redis).values()) == load.sent + 20
