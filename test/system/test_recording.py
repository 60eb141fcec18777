"""tocsin tail --record, and backtest --replay: what was lived, told again."""

import json
import re
import subprocess

import pytest

from harness import MODEL, TOCSIN, tocsin, wait_until
from traffic import Route, Traffic

ROUTES = [
    Route("/shop", "shop", "aws", "us-east-1"),
    Route("/find", "find", "gcp", "us-c1"),
]
CALM, FAULT, AFTER = 120, 15, 60


@pytest.fixture
def recorded(redis, start_sidecar, tmp):
    """(recording, alerts that the living sidecar told)."""
    traffic = Traffic(redis, ROUTES)
    traffic.run(CALM)
    traffic.peers["find"][1].latency *= 8
    traffic.run(FAULT)
    traffic.peers["find"][1].latency /= 8
    traffic.run(AFTER)
    sidecar = start_sidecar(redis, {"model": {"train": False}})
    wait_until(lambda: int(sidecar.wait_board()["tick"]) // 1000
               >= traffic.now - 2000, 60, "the sidecar to catch up")
    entries = sum(redis.client.xlen(f"tocsin:{stream}")
                  for stream in ("request", "upstream", "beat"))
    path = tmp / "recording"
    # the newest millisecond is held back until there is a newer one
    done = sidecar.run("tail", "--record", path, "--back", "1000",
                       "--count", str(entries - 1))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return path, sidecar.alerts()


def replay(path, *options, model=MODEL):
    copy = path.parent / "model.pt"
    copy.write_bytes(model.read_bytes())
    copy.chmod(0o644)
    return tocsin("backtest", "--replay", path, "--model", copy, *options)


def test_a_replay_tells_what_was_lived(recorded):
    path, lived = recorded
    done = replay(path, "--json")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(a["tocsin"]["id"], a["tocsin"]["state"]) for a in told] == [
        (a["id"], state) for state in ("firing", "resolved")
        for a in lived[:1]]
    assert told[0]["labels"]["peer"] == "10.0.0.2:80"
    fired = next(a for a in lived if a["state"] == "firing")
    assert told[0]["annotations"]["summary"] == fired["summary"]
    assert "1 alerts fired, 1 of them ended" in done.stderr
    assert replay(path, "--json").stdout == done.stdout, "to the last byte"
    text = replay(path).stdout.splitlines()
    assert len(text) == 2 and " firing " in text[0] and "LatencyHigh" in text[0]


def test_what_redis_holds_is_told_without_a_recording(recorded, redis):
    path, lived = recorded
    entries = sum(redis.client.xlen(f"tocsin:{stream}")
                  for stream in ("request", "upstream", "beat"))
    config = path.parent / "tocsin.yaml"
    config.write_text(f"redis: {{url: '{redis.url}'}}\n"
                      f"model: {{path: '{path.parent / 'model.pt'}'}}\n"
                      f"state: {{dir: '{path.parent}'}}\n")
    recording = replay(path, "--json")
    done = tocsin("backtest", "--redis", "--json", "-c", config)
    assert done.returncode == 0, done.stderr
    assert lived and done.stdout.count("\n") == 2
    assert done.stdout == recording.stdout, "to the last byte"
    assert f"{entries} events in 19" in done.stderr
    assert "1 alerts fired, 1 of them ended" in done.stderr
    quiet = tocsin("backtest", "--redis", "--quiet", "-c", config)
    assert len(quiet.stdout.splitlines()) == 2 and quiet.stderr == ""


def test_redis_that_is_written_to_meanwhile(redis, tmp):
    """What comes after the start is left out, so that it ends: what is told
    is what was there, up to some moment in between."""
    traffic = Traffic(redis, ROUTES, back=3600)
    traffic.run(60)
    config = tmp / "tocsin.yaml"
    (tmp / "model.pt").write_bytes(MODEL.read_bytes())
    (tmp / "model.pt").chmod(0o600)
    config.write_text(f"redis: {{url: '{redis.url}'}}\n"
                      f"model: {{path: '{tmp / 'model.pt'}'}}\n"
                      f"state: {{dir: '{tmp}'}}\n")
    with subprocess.Popen(
            [str(TOCSIN), "backtest", "--redis", "-c", str(config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True) as done:
        while done.poll() is None:
            traffic.run(1)
        said = done.stderr.read()
    assert done.returncode == 0, said
    seconds = int(re.search(r"events in (\d+) s", said)[1])
    assert 59 <= seconds < (traffic.now - traffic.began) / 1000


def test_redis_that_holds_nothing(redis, tmp):
    config = tmp / "tocsin.yaml"
    (tmp / "model.pt").write_bytes(MODEL.read_bytes())
    (tmp / "model.pt").chmod(0o600)
    config.write_text(f"redis: {{url: '{redis.url}', prefix: other}}\n"
                      f"model: {{path: '{tmp / 'model.pt'}'}}\n")
    done = tocsin("backtest", "--redis", "-c", config)
    assert done.returncode == 1
    assert f'{redis.url} holds no events of "other"' in done.stderr
    redis.stop()
    done = tocsin("backtest", "--redis", "-c", config)
    assert done.returncode == 1 and "redis: " in done.stderr


def test_one_source_at_a_time(recorded, tmp):
    path, _ = recorded
    for words in (("--redis", "--replay", path), ("--redis", "x.csv"),
                  ("--replay", path, "--out", tmp),
                  ("--redis", "--train", "1000")):
        done = tocsin("backtest", *words)
        assert done.returncode == 2 and "either files" in done.stderr


def test_redis_plays_a_recording(recorded, redis):
    path, _ = recorded
    before = redis.entries("tocsin:upstream")
    redis.client.flushall()
    with open(path, "rb") as recording:
        done = subprocess.run(
            ["redis-cli", "-p", str(redis.port), "--pipe"], stdin=recording,
            capture_output=True, text=True, timeout=60)
    assert "errors: 0" in done.stdout
    after = redis.entries("tocsin:upstream")
    assert len(after) in (len(before), len(before) - 1)
    for old, new in zip(before, after):
        assert old.pop("_id").split("-")[0] == new.pop("_id").split("-")[0]
        assert new.items() >= old.items()


@pytest.mark.parametrize("bytes_, words", [
    (b"hello", "entry 1: Protocol error"),
    (b"*1\r\n$4\r\nPING\r\n", "entry 1: expected XADD"),
    (b"*5\r\n$4\r\nXADD\r\n$3\r\na:b\r\n$1\r\n1\r\n$1\r\nv\r\n$1\r\n1\r\n",
     "expected a stream of events"),
    (b"*5\r\n$4\r\nXADD\r\n$9\r\na:request\r\n$1\r\n1\r\n$3\r\nseq\r\n$1\r\nx\r\n",
     "field seq: bad value x"),
    (b"*5\r\n$4\r\nXADD\r\n", "the last entry is cut off"),
])
def test_what_is_no_recording_is_said(tmp, bytes_, words):
    path = tmp / "bad"
    path.write_bytes(bytes_)
    done = replay(path)
    assert done.returncode == 1
    assert str(path) in done.stderr and words in done.stderr


def entry(*words):
    """One command as a client sends it."""
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def test_a_recording_ends_after_any_of_its_entries(tmp):
    path = tmp / "short"
    whole = [entry(b"XADD", b"a:beat", b"%d-0" % number, b"v", b"1",
                   b"src", b"vm/0/1-1", b"ts", b"%d000" % number)
             for number in range(1, 30)]
    for count in (1, 2, 29):  # a KiB stays in the reader's buffer
        path.write_bytes(b"".join(whole[:count]))
        done = replay(path)
        assert done.returncode == 0, done.stderr
        assert f"{count} events" in done.stderr
        path.write_bytes(b"".join(whole[:count]) + b"*")
        assert "the last entry is cut off" in replay(path).stderr


def test_a_recording_that_cannot_be_written(redis, tmp):
    config = tmp / "tocsin.yaml"
    config.write_text(f"redis: {{url: '{redis.url}'}}\n")
    done = tocsin("tail", "--record", "/nonexistent/file", "-c", config)
    assert done.returncode == 1
    assert "/nonexistent/file.part: No such file" in done.stderr


def test_training_ahead_of_time(redis, tmp, untrained):
    """On what Redis holds and on a recording of it: the same model, which is
    better than the one it began with, and loads."""
    traffic = Traffic(redis, ROUTES, back=3600)
    traffic.run(500)
    config = tmp / "tocsin.yaml"
    config.write_text(f"redis: {{url: '{redis.url}'}}\n"
                      f"model: {{path: '{untrained}', train_every: 1m}}\n"
                      f"state: {{dir: '{tmp}'}}\n")
    done = tocsin("train", "--redis", "--out", tmp / "a.pt", "-c", config)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    won = re.findall(r"challenger (\S+) of (\S+) won: loss", done.stderr)
    assert won and won[0][1] == "untrained-1"
    assert [parent for _, parent in won[1:]] == [name for name, _ in won[:-1]]
    assert not (tmp / "models").exists(), "nothing is put in place"

    entries = sum(redis.client.xlen(f"tocsin:{stream}")
                  for stream in ("request", "upstream", "beat"))
    done = tocsin("tail", "--record", tmp / "recording", "--back", "7200",
                  "--count", str(entries), "-c", config)
    assert done.returncode == 0, done.stderr
    done = tocsin("train", "--quiet", "--replay", tmp / "recording", "--out",
                  tmp / "b.pt", "-c", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp / "a.pt").read_bytes() == (tmp / "b.pt").read_bytes()

    config.write_text(f"model: {{path: '{tmp / 'a.pt'}'}}\n"
                      f"state: {{dir: '{tmp}'}}\n")
    done = tocsin("check", "-c", config)
    assert f"model: {won[-1][0]}, " in done.stdout, done.stderr


def test_nothing_to_train_on(recorded, tmp):
    path, _ = recorded
    replay(path)  # puts the model beside it
    done = tocsin("train", "--replay", path, "--model", path.parent / "model.pt",
                  "--out", tmp / "new.pt")
    assert done.returncode == 1
    assert "no challenger was better than default-1" in done.stderr
    assert not (tmp / "new.pt").exists()
    for words in ((), ("--out", tmp / "x"), ("--redis", "--replay", path),
                  ("--redis", "--replay", path, "--out", tmp / "x")):
        assert tocsin("train", *words).returncode == 2
