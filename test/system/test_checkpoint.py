"""Checkpoints that a disk, a person or another version has spoilt.

Whatever is wrong: the log says what, the one before it serves, or a cold
start, and the sidecar goes on.
"""

import contextlib
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess

import pytest

import checkpoints
from harness import TOCSIN, Sidecar, wait_until
from traffic import Route, Traffic

ROUTES = [Route("/shop", "shop", "aws", "us-east-1"),
          Route("/find", "find", "gcp", "us-c1")]
CONFIG = {"model": {"train": False}, "state": {"every": "1s"}}
READY = "run: ready\n"
NOBODY = 65534


def path_of(sidecar):
    return pathlib.Path(sidecar.config["state"]["dir"]) / "checkpoint"


def old_of(sidecar):
    return path_of(sidecar).with_suffix(".old")


def start(sidecar):
    """Until it is ready; what it logged meanwhile."""
    before = len(sidecar.log)
    sidecar.start(ready=False)

    def ready():
        assert sidecar.running, sidecar.log[before:]
        return READY in sidecar.log[before:]

    wait_until(ready, 60, "the sidecar")
    return sidecar.log[before:]


def wait_saved(sidecar):
    """Wait for a whole checkpoint that is not what is there now."""
    path = path_of(sidecar)
    known = path.stat().st_ino if path.is_file() else 0

    def saved():
        assert sidecar.running, sidecar.log[-4000:]
        return path.is_file() and path.stat().st_ino != known

    wait_until(saved, 30, "a checkpoint")
    return checkpoints.sections(path.read_bytes())


@pytest.fixture
def history(redis):
    """A minute in Redis."""
    traffic = Traffic(redis, ROUTES, back=100)
    traffic.run(60)
    return redis


@pytest.fixture
def saved(history, start_sidecar):
    """(sidecar that has ended, its last checkpoint)"""
    sidecar = start_sidecar(history, CONFIG)
    wait_until(lambda: int(sidecar.wait_board()["events"]) > 4000,
               what="all events")
    sidecar.stop()
    return sidecar, path_of(sidecar).read_bytes()


def bounds(data):
    """Where each section's head and body begin."""
    at = checkpoints.HEAD.size
    for body in checkpoints.sections(data).values():
        yield at
        at += checkpoints.SECTION.size
        yield at
        at += len(body)


def cuts(good):
    places, chance = list(bounds(good)), random.Random(1)
    for cut in [0, 15, places[7] + 3, chance.randrange(24, len(good)),
                len(good) - 1]:
        yield good[:cut], ("not a checkpoint, or cut short" if cut < 24
                           else "its hash does not match: cut short or damaged")


def flips(good):
    places, chance = list(bounds(good)), random.Random(2)
    for at in [3, 12, places[5] - 1, chance.randrange(8, len(good)),
               len(good) - 1]:
        data = bytearray(good)
        data[at] ^= 1 << chance.randrange(8)
        yield bytes(data), ("not a checkpoint" if at < 8
                            else "its hash does not match")


def versions(good):
    """The frame of another version, and sections of one."""
    found, older = checkpoints.sections(good), checkpoints.VERSION - 1
    assert checkpoints.forge(found) == good
    yield (checkpoints.forge(found, older),
           f"format version {older}, expected {checkpoints.VERSION}")
    for name in ("run", "series", "scorer", "alerts"):
        without = {key: body for key, body in found.items() if key != name}
        yield checkpoints.forge(without), f'no section "{name}"'
    for name in ("intake", "features", "detect", "outbox"):
        shorter = {**found, name: found[name][:-1]}
        yield checkpoints.forge(shorter), name


def test_room_for_more_series_forgets_nothing(saved):
    """Less is said to be too little, by the name of the key."""
    sidecar, good = saved
    sidecar.config["series"] = {"max": 9000}
    sidecar.write()
    log = start(sidecar)
    assert "expected at most the present one, 9000" in log
    assert "series.max" in log
    assert "cold start" in log
    sidecar.stop()
    path_of(sidecar).write_bytes(good)
    sidecar.config["series"] = {"max": 20000}
    sidecar.write()
    log = start(sidecar)
    assert "goes on from the checkpoint" in log
    assert "is of no use" not in log
    assert "cold start" not in log


@pytest.mark.parametrize("spoil", [cuts, flips, versions])
def test_what_is_spoilt_is_said_and_the_one_before_serves(saved, spoil):
    sidecar, good = saved
    path, old = path_of(sidecar), old_of(sidecar)
    old.write_bytes(good)
    for data, words in spoil(good):
        path.write_bytes(data)
        log = start(sidecar)
        sidecar.kill()
        assert f"{path} is of no use: " in log
        assert words in log.split("is of no use: ")[1].splitlines()[0]
        assert f"goes on from the checkpoint {old}\n" in log


@pytest.mark.parametrize("name, words", [
    ("notify", "who was told of which alerts is not known"),
    ("silences", "silences are read from their stream"),
])
def test_a_section_it_can_do_without(saved, name, words):
    sidecar, good = saved
    found = checkpoints.sections(good)
    del found[name]
    path_of(sidecar).write_bytes(checkpoints.forge(found))
    log = start(sidecar)
    assert words in log and f'no section "{name}"' in log
    assert f"goes on from the checkpoint {path_of(sidecar)}\n" in log


def test_both_of_no_use(saved):
    sidecar, good = saved
    path_of(sidecar).write_bytes(good[:-9])
    old_of(sidecar).write_bytes(b"")
    log = start(sidecar)
    assert log.count("is of no use") == 2
    assert "cold start" in log
    assert wait_saved(sidecar)


# --------------------------------------------------------------- unreadable


class Servant(Sidecar):
    """Runs as a user who is not root, as under systemd."""

    def spawn(self, argv, env=None):
        if os.geteuid() == 0:
            argv = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                    "--clear-groups", self.dir / "tocsin", *argv[1:]]
        super().spawn(argv, env)

    def own(self):
        """The program and its state are that user's."""
        if os.geteuid() == 0:
            shutil.copy(TOCSIN, self.dir / "tocsin")
            for path in [self.dir, *self.dir.rglob("*")]:
                os.chown(path, NOBODY, NOBODY)
        return self


@pytest.fixture
def servant(history, running, directory):
    sidecar = running(Servant(directory("sidecar"), history, CONFIG)).own()
    start(sidecar)
    wait_saved(sidecar)
    sidecar.stop()
    return sidecar


def stranger(path):
    """As another user would leave it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 0, 0)
    path.chmod(0o600)


def locked(path):
    path.chmod(0)


@pytest.mark.parametrize("spoil", [locked, stranger])
def test_unreadable(servant, spoil):
    spoil(path_of(servant))
    old_of(servant).unlink()
    log = start(servant)
    assert f"{path_of(servant)} is of no use: " in log
    assert "Permission denied" in log
    assert "cold start" in log
    assert wait_saved(servant)


def test_what_is_no_file(saved):
    sidecar, good = saved
    path_of(sidecar).unlink()
    path_of(sidecar).mkdir()
    old_of(sidecar).write_bytes(good)
    log = start(sidecar)
    assert "checkpoint: not a regular file" in log
    assert f"goes on from the checkpoint {old_of(sidecar)}\n" in log
    sidecar.wait_log("checkpoint: not written: .*checkpoint")
    assert sidecar.wait_board()
    path_of(sidecar).rmdir()
    assert wait_saved(sidecar)


# ----------------------------------------------------------------- no space


class SmallFiles:
    """Nothing can be written beyond a size, as with LimitFSIZE=."""

    words = "File too large"

    def __init__(self, sidecar):
        self.pid = sidecar.pid

    def fill(self):
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE,
                         (20000, resource.RLIM_INFINITY))

    def free(self):
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class FullDisk:
    """A file system that something else fills."""

    words = "No space left on device"

    def __init__(self, sidecar):
        self.filler = path_of(sidecar).with_name("filler")

    def fill(self):
        with contextlib.suppress(OSError), open(self.filler, "wb", 0) as f:
            while True:
                f.write(bytes(4096))

    def free(self):
        self.filler.unlink()


@pytest.fixture
def small_disk(tmp):
    path = tmp / "disk"
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", path],
        capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("no right to mount a small disk")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def no_space(sidecar, fault):
    """Checkpoints stop, nothing else does; the last good one stays."""
    wait_saved(sidecar)
    fault.fill()
    sidecar.wait_log(
        rf"checkpoint: not written: .*checkpoint.new: write: {fault.words}")
    assert checkpoints.sections(path_of(sidecar).read_bytes())
    assert not path_of(sidecar).with_suffix(".new").exists()
    assert sidecar.wait_board()
    fault.free()
    wait_saved(sidecar)
    fault.fill()
    before = len(sidecar.log)
    assert sidecar.end(signal.SIGTERM) == 1
    assert f"checkpoint.new: write: {fault.words}" in sidecar.log[before:]
    log = start(sidecar)
    assert f"goes on from the checkpoint {path_of(sidecar)}\n" in log


def test_file_size_limit(history, start_sidecar):
    sidecar = start_sidecar(history, CONFIG)
    no_space(sidecar, SmallFiles(sidecar))


def test_full_disk(history, start_sidecar, small_disk):
    sidecar = start_sidecar(
        history, {**CONFIG, "state": {"every": "1s", "dir": str(small_disk)}})
    no_space(sidecar, FullDisk(sidecar))
