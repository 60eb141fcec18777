"""`tocsin`'s subcommands: usage, the sidecar's life."""

import json
import random
import signal
import socket
import time

import pytest

from harness import tocsin
from streams import beat, request, upstream
from waiting import wait_until

COMMANDS = ["run", "check", "status", "tail", "alerts", "version"]


# ------------------------------------------------------------------- usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    done = tocsin(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: tocsin {command} ")
    assert done.stderr == ""


def test_help_names_every_command():
    done = tocsin("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("args, words", [
    ([], "usage: tocsin COMMAND"),
    (["ring"], "unknown command ring"),
    (["run", "--loud"], "unknown option --loud"),
    (["run", "now"], "unexpected argument now"),
    (["run", "-c"], "a value is missing after -c"),
    (["tail", "--count", "few"], "expected a whole number"),
    (["tail", "cloud"], "expected request, upstream or beat"),
])
def test_wrong_usage_is_exit_2(args, words):
    done = tocsin(*args)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_version():
    for args in (["version"], ["--version"]):
        done = tocsin(*args)
        assert done.returncode == 0
        assert done.stdout.startswith("tocsin 0.")


# ------------------------------------------------------------ without a sidecar


def test_status_and_alerts_without_a_sidecar(redis, tmp):
    path = tmp / "tocsin.yaml"
    path.write_text(f"redis: {{url: '{redis.url}'}}\n")
    done = tocsin("status", "-c", path)
    assert done.returncode == 1
    assert "no sidecar has run" in done.stderr
    done = tocsin("alerts", "-c", path)
    assert (done.returncode, done.stdout) == (0, "no alerts\n")
    done = tocsin("alerts", "--json", "-c", path)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("command", ["status", "alerts", "tail"])
def test_no_redis_is_exit_1(command, tmp):
    path = tmp / "tocsin.yaml"
    path.write_text("redis: {url: 'unix:/nonexistent.sock'}\n")
    done = tocsin(command, "-c", path)
    assert done.returncode == 1
    assert "/nonexistent.sock: No such file" in done.stderr


def test_a_silent_sidecar_is_exit_1(redis, tmp):
    path = tmp / "tocsin.yaml"
    path.write_text(f"redis: {{url: '{redis.url}'}}\n")
    past = time.time_ns() // 1000 - 60_000_000
    redis.client.xadd("tocsin:board", {"v": 1, "ts": past, "model": "\x1b[2J"})
    done = tocsin("status", "-c", path)
    assert done.returncode == 1
    assert "SILENT" in done.stdout
    assert "\x1b" not in done.stdout
    assert "has said nothing for" in done.stderr
    assert json.loads(tocsin("status", "--json", "-c", path).stdout)[
        "alive"] is False


# ---------------------------------------------------------------- traffic


class Traffic:
    """Seconds of traffic with ids of our choice: a tick needs no second.

    Everything is made of a seed, so two Redis can be given the very same.
    """

    def __init__(self, redis, start_ms, rate=20, seed=1):
        self.redis = redis
        self.now = start_ms
        self.rate = rate
        self.seq = 0
        self.random = random.Random(seed)

    def seconds(self, count, slower=1.0, failing=0.0):
        pipe = self.redis.client.pipeline(transaction=False)
        for _ in range(count):
            for i in range(self.rate):
                self.event(pipe, self.now + i * 1000 // self.rate, slower,
                           failing)
            self.now += 1000
            pipe.xadd("tocsin:beat", beat(self.seq, self.seq,
                                          ts=self.now * 1000),
                      id=f"{self.now - 1}-*")
        pipe.execute()

    def event(self, pipe, at, slower, failing):
        self.seq += 1
        took = int(self.random.lognormvariate(9.2, 0.3) * slower)
        status = 503 if self.random.random() < failing else 200
        both = {"ts": at * 1000, "dur": took, "status": status}
        pipe.xadd("tocsin:request", request(self.seq, **both), id=f"{at}-*")
        pipe.xadd("tocsin:upstream",
                  upstream(self.seq, header=took - 500, **both), id=f"{at}-*")


def calm_then(redis, start_ms):
    traffic = Traffic(redis, start_ms)
    traffic.seconds(300)
    return traffic


def minutes_ago(minutes):
    return (int(time.time()) - 60 * minutes) * 1000


def changes(sidecar):
    return [(e["id"], e["state"], e["updated"]) for e in sidecar.alerts()]


def wait_tick(sidecar, traffic):
    """The tick before the last beat is closed a lateness after its end."""
    want = (traffic.now - 2000) * 1000
    return wait_until(
        lambda: int(sidecar.wait_board(30)["tick"]) >= want, 90, "the tick")


def wait_events(sidecar, count):
    """A tick closes before the rest of its last beat's second is delivered,
    and the newest millisecond is held back for a second."""
    return wait_until(
        lambda: (board := sidecar.wait_board(30))
        and int(board["events"]) >= count and board, 90, f"{count} events")


CONFIG = {"log": {"level": "debug"}, "model": {"train": False}}


# ------------------------------------------------------------ life of `run`


def test_board_status_and_check(redis, start_sidecar):
    traffic = calm_then(redis, minutes_ago(9))
    sidecar = start_sidecar(redis, CONFIG)
    wait_tick(sidecar, traffic)
    wait_events(sidecar, 12300)
    done = sidecar.run("status", "--json")
    assert done.returncode == 0
    status = json.loads(done.stdout)
    assert status["alive"] is True
    assert status["events"] == 12300
    assert status["gaps"] == status["duplicates"] == status["malformed"] == 0
    assert status["series"] == 6  # one of each label set
    assert "series         6 (0 evicted)" in sidecar.run("status").stdout
    done = sidecar.run("check", "--redis")
    assert done.returncode == 0, done.stderr
    assert "answers" in done.stdout
    assert sidecar.alerts() == []


def test_gaps_and_repeats_are_counted(redis, start_sidecar):
    for seq in (1, 2, 5, 5, 6):
        redis.client.xadd("tocsin:request", request(seq))
    redis.client.xadd("tocsin:beat", beat(9))
    sidecar = start_sidecar(redis, CONFIG)
    wait_until(lambda: sidecar.wait_board()["events"] == "5", what="events")
    board = sidecar.wait_board()
    assert (board["gaps"], board["duplicates"]) == ("5", "1")


def test_a_restart_goes_on(redis, start_sidecar):
    traffic = calm_then(redis, minutes_ago(9))
    sidecar = start_sidecar(redis, CONFIG)
    wait_tick(sidecar, traffic)
    sidecar.stop()
    traffic.seconds(5)
    sidecar.start()
    wait_tick(sidecar, traffic)
    board = wait_events(sidecar, 12505)
    assert "goes on from the checkpoint" in sidecar.log
    assert board["events"] == "12505"
    assert (board["gaps"], board["duplicates"]) == ("0", "0")


def test_other_ticks_start_cold(redis, start_sidecar):
    traffic = Traffic(redis, minutes_ago(3))
    traffic.seconds(30)
    sidecar = start_sidecar(redis, CONFIG)
    sidecar.stop()
    sidecar.config["series"] = {"tick": "2s"}
    sidecar.write()
    sidecar.start()
    assert "made with another series.tick" in sidecar.log


# ------------------------------------------------------------------ signals


def test_reload(redis, start_sidecar):
    sidecar = start_sidecar(redis, CONFIG)
    sidecar.config["log"] = {"level": "info"}
    sidecar.config["series"] = {"max": 500}
    sidecar.write()
    sidecar.signal(signal.SIGHUP)
    sidecar.wait_log(r"reload: log.level has changed$")
    sidecar.wait_log(r"reload: series.max has changed; that needs a restart$")
    sidecar.wait_log(r"reloaded$")
    sidecar.config_path.write_text("series: {max: lots}\n")
    sidecar.signal(signal.SIGHUP)
    sidecar.wait_log(r"reload: the old configuration stays: .*series.max")
    sidecar.wait_board()


def test_systemd_is_told(redis, start_sidecar, tmp, monkeypatch):
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp / "notify"))
    told.settimeout(60)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp / "notify"))
    sidecar = start_sidecar(redis, CONFIG, ready=False)

    def until(word):
        while True:
            text = told.recv(4096).decode()
            if word in text:
                return text

    until("READY=1")
    text = until("WATCHDOG=1")
    assert "STATUS=following, " in text or "STATUS=Redis is away" in text
    sidecar.signal(signal.SIGHUP)
    until("RELOADING=1\nMONOTONIC_USEC=")
    until("READY=1")
    assert sidecar.end(signal.SIGTERM) == 0
    until("STOPPING=1")


def test_systemd_is_told_between_waits_for_redis(start_redis, start_sidecar,
                                                 tmp, monkeypatch):
    """Three connections, each with its time-outs, in one round."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(tmp / "notify"))
    told.settimeout(60)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp / "notify"))
    redis = start_redis()
    sidecar = start_sidecar(redis, CONFIG)
    redis.kill()
    sidecar.wait_log("no events: ")
    while told.recv(4096) != b"WATCHDOG=1":
        pass


def test_ends_without_redis(start_redis, start_sidecar):
    redis = start_redis()
    sidecar = start_sidecar(redis, CONFIG)
    redis.kill()
    sidecar.wait_log("no events: ")
    assert sidecar.end(signal.SIGTERM, 40) == 0
    assert (sidecar.dir / "state" / "checkpoint").exists()


def test_starts_without_redis(start_redis, start_sidecar):
    redis = start_redis()
    redis.stop()
    sidecar = start_sidecar(redis, CONFIG, ready=False)
    sidecar.wait_log("alerts wait: ")
    assert sidecar.running
    redis.start()
    sidecar.wait_board(30)


# ------------------------------------------------------------------- alerts


def faulty(redis):
    """Calm, then a fault long enough to fire."""
    traffic = calm_then(redis, minutes_ago(9))
    traffic.seconds(30, slower=20.0, failing=0.5)
    return traffic


def firing(sidecar):
    return wait_until(
        lambda: [c for c in changes(sidecar) if c[1] == "firing"], 60,
        "an alert")


def test_an_alert_is_listed_and_resolved(redis, start_sidecar):
    traffic = faulty(redis)
    sidecar = start_sidecar(redis, CONFIG)
    firing(sidecar)
    wait_tick(sidecar, traffic)
    lines = sidecar.run("alerts").stdout.splitlines()
    assert any(" firing " in line for line in lines)
    listed = json.loads(sidecar.run("alerts", "--json").stdout)
    assert listed and listed[0]["labels"]["alertname"]
    assert "alert: firing " in sidecar.log
    traffic.seconds(90)
    wait_until(lambda: any(c[1] == "resolved" for c in changes(sidecar)), 60,
               "the end of the alert")
    wait_tick(sidecar, traffic)
    assert sidecar.run("alerts").stdout == "no alerts\n"
    assert " resolved " in sidecar.run("alerts", "--all").stdout


def test_a_crash_tells_nothing_twice(redis, start_redis, start_sidecar):
    start = minutes_ago(9)
    undisturbed = start_redis()
    both = []
    for one in (redis, undisturbed):
        traffic = Traffic(one, start)
        traffic.seconds(300)
        both.append(traffic)
    sidecar = start_sidecar(redis, CONFIG)
    wait_tick(sidecar, both[0])
    sidecar.stop()  # the checkpoint is that of the calm
    for traffic in both:
        traffic.seconds(30, slower=20.0, failing=0.5)
    sidecar.start()
    firing(sidecar)
    sidecar.kill()
    told = changes(sidecar)
    sidecar.start()
    wait_tick(sidecar, both[0])
    for traffic in both:
        traffic.seconds(60)
    wait_tick(sidecar, both[0])
    again = changes(sidecar)
    assert again[: len(told)] == told
    assert len(set(again)) == len(again)
    assert "goes on from the checkpoint" in sidecar.log
    # and it is what a run without a crash tells
    other = start_sidecar(undisturbed, CONFIG)
    wait_tick(other, both[1])
    assert changes(other) == again


def test_alerts_wait_for_redis(start_redis, start_sidecar):
    redis = start_redis(durable=True)
    traffic = faulty(redis)
    admin = redis.client
    # from now on nothing can be written
    admin.config_set("min-replicas-to-write", 1)
    sidecar = start_sidecar(redis, CONFIG, ready=False)
    sidecar.wait_log(r"alert: firing ", 60)
    sidecar.wait_log("alerts wait: .*NOREPLICAS")
    assert sidecar.alerts() == []
    assert sidecar.end(signal.SIGTERM, 40) == 0
    sidecar.start(ready=False)
    admin.config_set("min-replicas-to-write", 0)
    firing(sidecar)
    wait_tick(sidecar, traffic)
    seen = changes(sidecar)
    assert len(set(seen)) == len(seen)
    order = [int(c[2]) for c in seen]
    assert order == sorted(order)
