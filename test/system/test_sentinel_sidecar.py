"""The sidecar finds its Redis by sentinels, and goes on after a fail-over."""

import json
import time

import pytest

from accounts import *  # noqa: F403 (the nginx fixture)
from accounts import distinct, drained, numbers
from harness import Load, Sidecar, free_port, tocsin, wait_until
from sentinels import *  # noqa: F403 (the fixtures)
from streams import beat, request
from test_intake import Tail
from test_killed import CONFIG, Story


@pytest.fixture
def check(tmp):
    """check(url, **keys of redis) -> `tocsin check --redis`"""
    def run(url, **keys):
        path = tmp / "check.yaml"
        path.write_text(json.dumps(
            {"redis": {"url": url, "timeout": "500ms", **keys}}))
        return tocsin("check", "--config-only", "--redis", "-c", path, cwd=tmp)

    return run


def board(redis):
    found = redis.client.xrevrange("tocsin:board", count=1)
    return found[0][1] if found else {}


def events(redis):
    return int(board(redis).get("events", 0))


# ------------------------------------------------------------------- finding


def test_the_next_sentinel_is_asked(check, oracle, pair):
    master, replica = pair
    dumb, stale, good = (oracle(), oracle().name(replica),
                         oracle().name(master))
    hosts = ",".join(f"127.0.0.1:{port}" for port in
                     (free_port(), dumb.port, stale.port, good.port))
    done = check(f"sentinel://bells@{hosts}/2")
    assert done.returncode == 0, done.stderr
    assert dumb.asked == stale.asked == good.asked == 1
    assert "cmdstat_ping" in master.client.info("commandstats")
    assert "cmdstat_ping" not in replica.client.info("commandstats")


def test_a_password_is_for_the_master(check, oracle, start_redis, tmp):
    master = start_redis("--requirepass", "bim")
    secret = tmp / "secret"
    secret.write_text("bim\n")
    secret.chmod(0o600)
    url = f"sentinel://bells@127.0.0.1:{oracle().name(master).port}"
    assert check(url, password_file=str(secret)).returncode == 0
    done = check(url)
    assert done.returncode == 1 and "NOAUTH" in done.stderr


@pytest.mark.parametrize("reply, said", [
    (b"*-1\r\n", 'knows no master "bells"'),
    (b"*2\r\n$3\r\na b\r\n$4\r\n6379\r\n", "what is no address"),
    (b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n", "what is no address"),
    (b"*1\r\n$9\r\n127.0.0.1\r\n", "what is no address"),
    (b"-NOAUTH Authentication required.\r\n", "NOAUTH"),
    (b"HTTP/1.1 400\r\n", "Protocol error"),
    (b"", "temporarily unavailable"),
])
def test_a_sentinel_that_talks_nonsense(check, oracle, reply, said):
    sentinel = oracle(reply)
    done = check(f"sentinel://bells@127.0.0.1:{sentinel.port}")
    assert done.returncode == 1
    assert f"redis: sentinel 127.0.0.1:{sentinel.port}: " in done.stderr
    assert said in done.stderr


def test_who_is_no_master_is_not_used(check, oracle, pair):
    _, replica = pair
    sentinel = oracle().name(replica)
    done = check(f"sentinel://bells@127.0.0.1:{sentinel.port}")
    assert done.returncode == 1
    assert (f"sentinel 127.0.0.1:{sentinel.port}: its master 127.0.0.1:"
            f'{replica.port}: is not the master "bells" (any more): its role '
            'is "slave"') in done.stderr


@pytest.mark.parametrize("url, said", [
    ("sentinel://127.0.0.1", "redis.url: sentinel://: no name of a master"),
    ("sentinel://@127.0.0.1", "no name of a master, expected "
     "sentinel://master@host:port,host:port/db"),
    ("sentinel://m@127.0.0.1,", "no host"),
    ("sentinel://m@127.0.0.1:0", '"0": not a port'),
    ("sentinel://m@h/x", '"x": not a database number'),
])
def test_a_bad_url(check, url, said):
    done = check(url)
    assert done.returncode == 1
    assert "check.yaml:1:19: " in done.stderr and said in done.stderr


def test_tls_is_never_left_out(check):
    """Where it was asked for, or half of it, nothing goes without it."""
    url = "sentinel://m@127.0.0.1:1"
    done = check(url, tls_ca="/etc/ssl/certs/ca-certificates.crt")
    assert done.returncode == 1 and "redis.tls_name is missing" in done.stderr
    done = check(url, tls_name="redis")
    assert done.returncode == 1
    assert "without TLS" in done.stderr or "refused" in done.stderr


# ----------------------------------------------------------------- fail-over


def test_the_master_dies_under_load(pair, start_sentinel, nginx,
                                    start_sidecar):
    """Both programs find the new one. What only the old one had, and had not
    been read there, is what is missed; nothing counts twice."""
    master, replica = pair
    sentinel = start_sentinel(master)
    url = f"sentinel://bells@127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}"
    server = nginx(url + " timeout=500ms")
    sidecar = start_sidecar(master, {"redis": {"url": url,
                                               "timeout": "500ms"}})
    with Load(server.url("/")) as load:
        wait_until(lambda: distinct(replica) >= 200, what="the replica")
        wait_until(lambda: events(replica) >= 200, what="the sidecar")
        master.kill()
        wait_until(lambda: "+switch-master" in sentinel.log, 30, "a new one")
        sidecar.redis = replica
        before = events(replica)
        wait_until(lambda: events(replica) >= before + 200, 30, "the sidecar")
    assert load.failed == 0
    drained(server, load.sent)
    last = wait_until(
        lambda: distinct(replica) == distinct(replica, "tocsin:request")
        and board(replica), what="the board")
    master.start()
    old, new = numbers(master), numbers(replica)
    lost = sum(len(set(old[src]) - set(new[src])) for src in new)

    def adds_up():
        # requests alone: `return 200` asks no upstream
        return int(board(replica)["gaps"]) <= lost and events(replica) > load.sent

    wait_until(adds_up, what=f"{lost} at most lost: {last}")
    sidecar.stop()
    assert f"connected to {url} (127.0.0.1:{replica.port})" in sidecar.log


def keys(alerts):
    return [(a["id"], a["state"], a["updated"]) for a in alerts]


def test_a_replica_without_the_last_events(pair, oracle, running, directory):
    """It is promoted when its master is further: the sidecar has read what is
    lost now, and alerts of it were written; they are written again. Events
    that come with ids below what was read are read nevertheless."""
    master, replica = pair
    sentinel = oracle().name(master)
    url = f"sentinel://bells@127.0.0.1:{sentinel.port}"
    sidecar = running(Sidecar(directory("sidecar"), master, {
        **CONFIG, "redis": {"url": url, "timeout": "500ms"}}))
    begin = int(time.time() - 460) * 1000
    story = Story(master, begin)
    sidecar.start(ready=False)

    def caught_up(redis, count):
        return wait_until(lambda: events(redis) == count, 30,
                          f"{count} events, {board(redis).get('events')}")

    def sent():
        return sum(story.seq.values()) + story.tick

    story.go_on(200)  # and the first alert
    caught_up(master, sent())
    wait_until(lambda: replica.client.xlen("tocsin:alerts")
               == master.client.xlen("tocsin:alerts") > 0, what="replication")
    replica.client.replicaof("no", "one")
    known = keys(replica.entries("tocsin:alerts"))
    story.go_on(250)  # and the second
    caught_up(master, sent())
    told = wait_until(
        lambda: (found := keys(master.entries("tocsin:alerts"))) != known
        and found, what="another alert")
    sidecar.pause()
    # what it still asks is not answered: all of this is lost
    master.client.client_kill_filter(_type="normal", skipme=True)
    before = sent()
    story.go_on(255)
    lost = sent() - before
    master.kill()
    story.redis, sidecar.redis = replica.client, replica
    early = begin + 220_000  # below what was read
    for seq in (1, 2, 3):
        replica.client.xadd("tocsin:request", request(
            seq, src="late/1/1", server="www", route="/pay"), id=f"{early}-*")
    replica.client.xadd("tocsin:beat", beat(3, src="late/1/1"),
                        id=f"{early + 1}-*")
    sentinel.name(replica)
    sidecar.resume()
    caught_up(replica, before + 4)
    story.go_on()
    caught_up(replica, sent() - lost + 4)
    now = board(replica)
    assert int(now["gaps"]) == lost - 5, now  # beats have no numbers
    sidecar.stop()
    alerts = keys(replica.entries("tocsin:alerts"))
    assert len(alerts) == len(set(alerts))
    assert [key for key in told if key not in alerts] == []
    fired = {id for id, state, _ in alerts if state == "firing"}
    over = {id for id, state, _ in alerts if state == "resolved"}
    assert len(fired) >= 3 and fired == over
    assert "does not have" in sidecar.log
    assert "alerts that were written: they are written again" in sidecar.log


def test_the_master_becomes_a_replica(pair, oracle, running, directory):
    """By hand, so that nobody closes the connection: it is left all the
    same, within a second or so."""
    master, replica = pair
    sentinel = oracle().name(master)
    tail = running(Tail(
        directory("tail"), master, "--back", "1000",
        url=f"sentinel://bells@127.0.0.1:{sentinel.port}")).start()
    master.client.xadd("tocsin:request", request(1))
    tail.wait(1)
    wait_until(lambda: replica.client.xlen("tocsin:request") == 1,
               what="replication")
    replica.client.replicaof("no", "one")
    replica.client.xadd("tocsin:request", request(2))
    sentinel.name(replica)
    master.client.replicaof("127.0.0.1", replica.port)
    # it is no replica that is read: this one is cut off from its master
    master.client.replicaof("127.0.0.1", free_port())
    assert [e["seq"] for e in tail.wait(2)] == [1, 2]
    replica.client.xadd("tocsin:request", request(3))
    assert tail.wait(3)[2]["seq"] == 3
