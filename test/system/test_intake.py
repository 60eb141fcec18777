"""Intake against a real Redis, seen through `tocsin tail --json`."""

import json
import os
import signal
import subprocess
import time

import pytest

from harness import TOCSIN, Process, sanitizer_env
from streams import beat, request, upstream
from waiting import wait_until


class Tail(Process):
    """`tocsin tail --json`, what it printed as dicts."""

    name = "tail"

    def __init__(self, directory, redis, *args, **config):
        super().__init__(directory)
        self.path = self.dir / "tocsin.yaml"
        keys = {"url": redis.url, **config}
        self.path.write_text(json.dumps({"redis": keys}))
        self.out = self.dir / "out"
        self.args = args

    def start(self):
        env = {**os.environ, **sanitizer_env(self.dir, leaks=True)}
        with open(self.out, "wb") as out, open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(TOCSIN), "tail", "-c", str(self.path), "--json",
                 *self.args, "request", "upstream", "beat"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                cwd=self.dir, env=env,
            )
        return self

    def stop(self):
        """SIGTERM ends it well."""
        if self.running:
            self.resume()
            assert self.end(signal.SIGTERM) == 0, self.log
        self.check_reports()

    @property
    def events(self):
        lines = self.out.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait(self, count):
        wait_until(lambda: len(self.events) >= count, what=f"{count} events")
        return self.events


@pytest.fixture
def tail(running, directory):
    """tail(redis, *args, **keys of redis) -> Tail from 1000 s ago"""
    return lambda redis, *args, **config: running(
        Tail(directory("tail"), redis, "--back", "1000", *args, **config)
    ).start()


def add(redis, stream, fields, **options):
    return redis.client.xadd(f"tocsin:{stream}", fields, **options)


def names(events):
    return [(e["stream"], e.get("seq", e.get("request_seq"))) for e in events]


def test_streams_are_merged_in_the_order_of_ids(redis, tail):
    base = int(time.time() * 1000) - 10000
    for at, stream, fields in [
        (0, "upstream", upstream(1)),
        (1, "request", request(1)),
        (2, "beat", beat(1, 1)),
        (3, "request", request(2)),
        (3, "upstream", upstream(2)),
        (3, "request", request(3)),
        (4, "beat", beat(3, 2)),
    ]:
        add(redis, stream, fields, id=f"{base + at}-*")
    events = tail(redis).wait(7)
    assert names(events) == [
        ("upstream", 1), ("request", 1), ("beat", 1), ("request", 2),
        ("request", 3), ("upstream", 2), ("beat", 3)]
    assert [e["id_ms"] - base for e in events] == [0, 1, 2, 3, 3, 3, 4]


def test_the_order_of_a_replay_is_that_of_life(redis, tail):
    live = tail(redis)
    pipe = redis.client.pipeline(transaction=False)
    total = 0
    for _ in range(20):
        for _ in range(150):
            total += 1
            pipe.xadd("tocsin:request", request(total))
            if total % 2:
                pipe.xadd("tocsin:upstream", upstream(total // 2 + 1))
        pipe.execute()
    add(redis, "beat", beat(total, total // 2))
    count = total + total // 2 + 1
    lived = live.wait(count)
    replayed = tail(redis).wait(count)
    assert lived == replayed
    ids = [e["id_ms"] for e in lived]
    assert ids == sorted(ids)


def test_more_than_one_reply_holds(redis, tail):
    pipe = redis.client.pipeline(transaction=False)
    for seq in range(1, 5001):
        pipe.xadd("tocsin:request", request(seq))
    pipe.execute()
    for seq in range(1, 11):
        add(redis, "beat", beat(5000))
    events = tail(redis).wait(5010)
    assert [e["seq"] for e in events[:5000]] == list(range(1, 5001))


def test_a_lone_entry_is_not_held_for_ever(redis, tail):
    add(redis, "request", request(1))
    assert names(tail(redis).wait(1)) == [("request", 1)]


def test_repeats_are_told_once(redis, tail):
    for seq in (1, 2, 3, 2, 3, 4):
        add(redis, "request", request(seq))
    add(redis, "request", request(2, src="web/1/1"))
    add(redis, "beat", beat(4))
    events = tail(redis).wait(6)
    assert [e["seq"] for e in events if e["stream"] == "request"] == [
        1, 2, 3, 4, 2]


@pytest.mark.parametrize("fields", [
    {"v": 1},
    {"v": "x", "src": "a", "seq": 1},
    {**request(1), "status": "many"},
    {**request(1), "src": ""},
    {**request(1), "server": "s" * 100000},
    {**request(1), "labels": "x" * 1024},
    {f"field{i}": i for i in range(300)},
])
def test_malformed_entries_are_left_out(redis, tail, fields):
    add(redis, "request", fields)
    add(redis, "request", request(7))
    add(redis, "beat", beat(7))
    assert names(tail(redis).wait(2)) == [("request", 7), ("beat", 7)]


def test_unknown_fields_and_newer_versions_are_taken(redis, tail):
    add(redis, "request", {**request(1, v=2), "new": "thing"})
    add(redis, "beat", beat(1))
    assert tail(redis).wait(2)[0]["v"] == 2


def test_shards(redis, tail):
    for shard in range(3):
        add(redis, f"request:{{{shard}}}", request(shard + 1))
        add(redis, f"upstream:{{{shard}}}", upstream(shard + 1))
    add(redis, "beat", beat(3, 3))
    events = tail(redis, shards=3).wait(7)
    assert sorted(names(events)[:6]) == sorted(
        (kind, seq) for kind in ("request", "upstream") for seq in (1, 2, 3))


def test_redis_restarted(start_redis, tail):
    redis = start_redis(durable=True)
    follower = tail(redis)
    add(redis, "request", request(1))
    add(redis, "beat", beat(1))
    follower.wait(2)
    redis.restart()
    wait_until(lambda: redis.log.count("Ready to accept") == 2, what="Redis")
    add(redis, "request", request(2))
    add(redis, "beat", beat(2))
    assert [e["stream"] for e in follower.wait(4)] == [
        "request", "beat", "request", "beat"]


def test_everything_flushed_and_ids_gone_back(redis, tail):
    ahead = int(time.time() * 1000) + 3600000
    follower = tail(redis)
    add(redis, "request", request(1), id=f"{ahead}-0")
    add(redis, "request", request(2), id=f"{ahead + 1}-0")
    follower.wait(2)
    redis.client.flushall()
    add(redis, "request", request(3))
    assert names(follower.wait(3))[-1] == ("request", 3)
    wait_until(lambda: "began anew" in follower.log, what="a warning")


def test_trimmed_below_what_was_read(redis, tail):
    follower = tail(redis)
    add(redis, "request", request(1))
    add(redis, "request", request(2))
    follower.wait(2)
    follower.pause()
    # the connection is closed, so that nothing answers what it still asks
    redis.client.client_kill_filter(_type="normal", skipme=True)
    for seq in range(3, 1000):
        add(redis, "request", request(seq))
    redis.client.xtrim("tocsin:request", maxlen=10, approximate=False)
    follower.resume()
    wait_until(lambda: names(follower.events)[-1] == ("request", 999),
               what="the end of the stream")
    wait_until(lambda: "trimmed up to" in follower.log, what="a warning")


def test_wrong_type_is_said_and_survived(redis, tail):
    redis.client.set("tocsin:beat", "no stream")
    follower = tail(redis)
    wait_until(lambda: not follower.running, what="the end")
    assert "WRONGTYPE" in follower.log
