"""The feed and the board: what nginx knows of alerts, whatever happens."""

import os
import pathlib
import signal

import pytest

import boards
from alerting import (
    alerts, descriptors, metrics, pretend, state, states, stream,  # noqa: F401
    wait_feed, wait_states, watch, zombies,  # noqa: F401
)
from harness import Redis, is_alive, wait_until


def tell(redis, **fields):
    return redis.client.xadd("tocsin:alerts", boards.alert(**fields))


def snapshot(redis, **fields):
    """A snapshot that is younger than all alerts, by the clock of Redis."""
    ids = redis.client.xrevrange("tocsin:alerts", count=1)
    newest = int(ids[0][0].split("-")[0]) if ids else 0

    def passed():
        seconds, us = redis.client.time()
        return seconds * 1000 + us // 1000 > newest

    wait_until(passed, what="the next millisecond")
    return redis.client.xadd("tocsin:board", boards.board(**fields))


# ------------------------------------------------------------- what is known

def test_alerts_from_before_nginx_are_known(redis, watch):
    tell(redis, id="a", state="pending")
    tell(redis, id="a", state="firing")
    tell(redis, id="b", state="firing")
    tell(redis, id="b", state="resolved", ended=boards.now())
    nginx = watch(redis)
    wait_states(nginx, {"a": "firing", "b": "resolved"})


def test_history_of_several_pages_is_read(redis, watch):
    tell(redis, id="oldest", state="firing")
    pipe = redis.client.pipeline()
    for i in range(700):
        pipe.xadd("tocsin:alerts", boards.alert(
            id="busy", state="firing", score=i % 100))
    pipe.execute()
    nginx = watch(redis)
    wait_states(nginx, {"oldest": "firing", "busy": "firing"})
    assert alerts(nginx)["busy"]["tocsin"]["score"] == 99


def test_news_arrive_while_nginx_runs(redis, watch):
    nginx = watch(redis)
    wait_feed(nginx)
    tell(redis, id="a", state="pending")
    wait_states(nginx, {"a": "pending"})
    tell(redis, id="a", state="firing")
    wait_states(nginx, {"a": "firing"})
    tell(redis, id="a", state="resolved", ended=boards.now())
    wait_states(nginx, {"a": "resolved"})


def test_another_prefix_is_followed(redis, watch):
    redis.client.xadd("blue:alerts", boards.alert(id="a"))
    tell(redis, id="b")
    nginx = watch(redis, more="tocsin_stream blue;")
    wait_states(nginx, {"a": "firing"})


def test_a_snapshot_resolves_what_it_no_longer_has(redis, watch):
    tell(redis, id="stays")
    tell(redis, id="went")
    ts = boards.now()
    snapshot(redis, ts=ts, active="stays")
    nginx = watch(redis)
    wait_states(nginx, {"stays": "firing", "went": "resolved"})
    assert state(nginx)["alerts"]["resolved"] == 1

    # while it runs, too
    snapshot(redis, active="")
    wait_states(nginx, {"stays": "resolved", "went": "resolved"})
    snapshot(redis, active="stays")
    wait_states(nginx, {"stays": "firing", "went": "resolved"})


def test_an_alert_younger_than_the_snapshot_is_kept(redis, watch):
    snapshot(redis, active="")
    tell(redis, id="young")
    nginx = watch(redis)
    wait_states(nginx, {"young": "firing"})
    tell(redis, id="other", state="firing")
    wait_states(nginx, {"young": "firing", "other": "firing"})


# -------------------------------------------------------------------- bounds

def test_firing_alerts_stay_when_there_are_too_many(redis, watch):
    for i in range(5):
        tell(redis, id=f"f{i}", state="firing", updated=1000 + i)
    pipe = redis.client.pipeline()
    for i in range(700):
        pipe.xadd("tocsin:alerts", boards.alert(
            id=f"r{i}", state="resolved", ended=boards.now()))
    pipe.execute()
    nginx = watch(redis)
    wait_until(lambda: len(states(nginx)) == 512)
    found = states(nginx)
    assert sum(s == "firing" for s in found.values()) == 5
    assert "r699" in found and "r0" not in found
    assert state(nginx)["feed"]["forgotten"] == 0


def test_firing_alerts_without_room_are_counted(redis, watch):
    pipe = redis.client.pipeline()
    for i in range(600):
        pipe.xadd("tocsin:alerts", boards.alert(id=f"f{i}", state="firing"))
    pipe.execute()
    nginx = watch(redis)
    wait_until(lambda: len(states(nginx)) == 512)
    assert metrics(nginx)["tocsin_feed_forgotten_total"] == 600 - 512


def test_a_snapshot_larger_than_the_zone_loses_its_last_rows(redis, watch):
    rows = "".join(
        boards.row(labels=boards.pairs(server=f"s{i}.example"), score=1000 - i,
                   spark=",".join(["0.12345"] * 60))
        for i in range(1000)
    )
    nginx = watch(redis, more="tocsin_zone 1m;")
    wait_feed(nginx)
    snapshot(redis, rows=rows, rollups=boards.row(labels="", rate=5))
    wait_until(lambda: state(nginx)["feed"]["cut"] > 0)
    series = nginx.get("/_alerts/api/v1/series").json()
    shown = [row["labels"]["server"] for row in series["series"]]
    assert 50 < len(shown) < 1000
    assert shown == [f"s{i}.example" for i in range(len(shown))]
    assert series["rollups"][0]["rate"] == 5
    assert len(rows) - state(nginx)["feed"]["cut"] < 1024 * 1024 / 2


def test_rubbish_is_counted_and_passed_over(redis, watch):
    nginx = watch(redis)
    wait_feed(nginx)
    redis.client.xadd("tocsin:alerts", {"id": "", "state": "firing"})
    redis.client.xadd("tocsin:alerts", {"id": "x", "state": "exploded"})
    redis.client.xadd("tocsin:alerts", {"state": "firing"})
    redis.client.xadd("tocsin:alerts", boards.alert(id="big", of="x" * 99999))
    redis.client.xadd("tocsin:board", {"rows": "\t\n\t\n"})
    redis.client.xadd("tocsin:board", {"ts": "tomorrow"})
    tell(redis, id="good", score="wat", observed="", labels="%%%===,,,")
    wait_states(nginx, {"good": "firing"})
    wait_until(lambda: state(nginx)["feed"]["malformed"] == 6)
    assert alerts(nginx)["good"]["tocsin"]["score"] is None


# ------------------------------------------------------------------- trouble

def test_last_knowledge_outlives_redis(redis, watch, pretend):
    nginx = watch(redis)
    tell(redis, id="a")
    pretend(redis, active="a", rows=boards.row(labels="server=x", score=3))
    wait_until(lambda: nginx.get("/_alerts/healthz").status == 200)

    redis.kill()
    wait_until(lambda: nginx.get("/_alerts/healthz").status == 503)
    wait_until(lambda: "the sidecar is silent" in state(nginx)["reasons"])
    said = nginx.get("/_alerts/healthz").json()
    assert "no connection to Redis" in said["reasons"]
    assert said["feed"]["since"] <= said["now"]
    assert states(nginx) == {"a": "firing"}
    assert nginx.get("/_alerts/api/v1/series").json()["series"][0]["score"] == 3

    redis.start()  # it has forgotten everything
    wait_until(lambda: nginx.get("/_alerts/healthz").status == 200)
    assert states(nginx) == {"a": "firing"}


def test_a_redis_that_hangs_is_noticed(redis, watch, pretend):
    nginx = watch(redis)
    pretend(redis)
    wait_until(lambda: nginx.get("/_alerts/healthz").status == 200)
    redis.pause()
    wait_until(lambda: nginx.get("/_alerts/healthz").status == 503)
    redis.resume()
    wait_until(lambda: nginx.get("/_alerts/healthz").status == 200)


def test_an_error_of_redis_is_told_and_overcome(redis, watch):
    redis.client.set("tocsin:alerts", "no stream")
    nginx = watch(redis)
    wait_until(lambda: "WRONGTYPE" in state(nginx)["feed"]["error"])
    assert state(nginx)["feed"]["alerts"] is False
    assert "the alerts are not read yet" in state(nginx)["reasons"]
    assert nginx.get("/_alerts/healthz").status == 503
    redis.client.delete("tocsin:alerts")
    tell(redis, id="a")
    wait_states(nginx, {"a": "firing"})
    wait_until(lambda: state(nginx)["feed"]["error"] == "")
    assert state(nginx)["feed"]["alerts"] is True


def test_a_sidecar_that_died_long_ago_is_not_taken_for_alive(redis, watch):
    snapshot(redis, ts=boards.now() - 3600 * 1000000)
    nginx = watch(redis)
    wait_until(lambda: state(nginx)["sidecar"]["heartbeat"] is not None)
    assert "the sidecar is silent" in state(nginx)["reasons"]
    age = metrics(nginx)["tocsin_sidecar_heartbeat_age_seconds"]
    assert 3600 <= age < 3700


def test_a_lag_is_unhealthy(redis, watch, pretend):
    nginx = watch(redis)
    pretend(redis, lag=31 * 1000000)
    wait_until(lambda: state(nginx)["reasons"] == ["the sidecar lags behind"])


# ------------------------------------------------------------------- workers

def test_another_worker_takes_over_from_a_killed_one(redis, watch):
    nginx = watch(redis, workers=3)
    tell(redis, id="a")
    wait_states(nginx, {"a": "firing"})
    feed = wait_feed(nginx)
    nginx.kill_worker(feed)
    assert wait_feed(nginx, but=feed) in nginx.worker_pids()
    assert states(nginx) == {"a": "firing"}
    tell(redis, id="b")
    wait_states(nginx, {"a": "firing", "b": "firing"})


def test_the_successor_knows_even_when_redis_is_dead(redis, watch):
    nginx = watch(redis)
    tell(redis, id="a")
    wait_states(nginx, {"a": "firing"})
    redis.kill()
    feed = wait_feed(nginx)
    nginx.kill_worker(feed)
    wait_feed(nginx, but=feed)
    assert states(nginx) == {"a": "firing"}


def test_a_worker_that_hangs_loses_the_feed(redis, watch):
    nginx = watch(redis, workers=2)
    feed = wait_feed(nginx)
    wait_until(lambda: len(nginx.worker_pids()) == 2, what="two workers")
    (other,) = set(nginx.worker_pids()) - {feed}
    os.kill(feed, signal.SIGSTOP)
    try:
        wait_until(lambda: ") T " in pathlib.Path(
            f"/proc/{feed}/stat").read_text(), what="a stopped worker")
        # whoever answers is the other one
        assert wait_feed(nginx, but=feed) == other
    finally:
        os.kill(feed, signal.SIGCONT)
    nginx.wait_log("another worker follows the alerts now")
    tell(redis, id="a")
    wait_states(nginx, {"a": "firing"})
    assert state(nginx)["feed"]["worker"] == other
    assert sum("BLOCK" in c["cmd"] or c["cmd"] == "xread"
               for c in redis.client.client_list()
               if "b" in c["flags"]) == 1


def test_reload_keeps_alerts_and_moves_the_feed(redis, watch, pretend):
    nginx = watch(redis)
    tell(redis, id="a")
    pretend(redis, active="a")
    wait_states(nginx, {"a": "firing"})
    old = nginx.reload()
    nginx.wait_drained(old)
    assert wait_feed(nginx) in nginx.worker_pids()
    assert states(nginx) == {"a": "firing"}
    tell(redis, id="b", state="pending")
    wait_until(lambda: "b" in states(nginx))


def test_reload_onto_another_redis_begins_anew(start_redis, watch):
    one, two = start_redis(), start_redis()
    tell(one, id="a")
    tell(two, id="b")
    nginx = watch(one)
    wait_states(nginx, {"a": "firing"})
    nginx.values["redis"] = two.url
    nginx.wait_drained(nginx.reload())
    wait_states(nginx, {"b": "firing"})


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
def test_open_streams_do_not_keep_an_old_worker(redis, watch, number):
    nginx = watch(redis)
    wait_feed(nginx)
    with stream(nginx) as one, stream(nginx) as two:
        next(one), next(two)
        if number == signal.SIGHUP:
            nginx.wait_drained(nginx.reload())
        else:
            nginx.stop()
        for events in (one, two):
            for _ in events:  # they end
                pass


def test_reloads_leak_no_descriptor(redis, watch):
    nginx = watch(redis, workers=1)
    nginx.wait_drained(nginx.reload())
    wait_feed(nginx)
    wait_until(lambda: not zombies(nginx.pid))
    before = descriptors(nginx.pid)
    for _ in range(5):
        nginx.wait_drained(nginx.reload())
    wait_until(lambda: not zombies(nginx.pid))
    assert descriptors(nginx.pid) == before


def test_a_unix_socket_serves_as_well(start_redis, watch):
    redis = start_redis(unix=True)
    tell(redis, id="a")
    nginx = watch(redis)
    wait_states(nginx, {"a": "firing"})
    assert isinstance(redis, Redis) and is_alive(nginx.pid)
