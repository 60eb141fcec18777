"""Model files that are damaged, or somebody else's to write: never served.

model.path has to be good, or the sidecar does not start. What it has trained
itself and cannot read any more gives way to the newest version before it that
is good, and at last to model.path.
"""

import json
import os
import zipfile

import pytest

from harness import MODEL, Sidecar
from streams import beat, request

CONFIG = {"model": {"train": False}}


def weights(path):
    """Where the largest tensor's bytes lie in a model file."""
    with zipfile.ZipFile(path) as archive:
        largest = max((info for info in archive.infolist()
                       if "/data/" in info.filename),
                      key=lambda info: info.file_size)
        with archive.open(largest) as member:
            return path.read_bytes().index(member.read())


def flipped(path):
    data = bytearray(path.read_bytes())
    data[weights(path) + 5] ^= 4
    path.write_bytes(bytes(data))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def noise(path):
    path.write_bytes(b"PK\3\4" + os.urandom(5000))


def writable_by_group(path):
    path.chmod(0o620)


def writable_by_all(path):
    path.chmod(0o602)


def strangers(path):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 4711, 4711)


def directory_instead(path):
    path.unlink()
    path.mkdir()


def missing(path):
    path.unlink()


SPOILT = [
    (flipped, "damaged: the sum of .*data/.* is wrong"),
    (cut, "no TorchScript file, or cut short"),
    (empty, "no TorchScript file, or cut short"),
    (noise, "no TorchScript file, or cut short"),
    (writable_by_group, "mode 0620 lets others write it"),
    (writable_by_all, "mode 0602 lets others write it"),
    (strangers, "belongs to user 4711"),
    (directory_instead, "not a regular file"),
    (missing, "No such file"),
]


@pytest.fixture
def sidecar(redis, running, directory):
    """Not started yet; something to read is there."""
    redis.client.xadd("tocsin:request", request(1))
    redis.client.xadd("tocsin:beat", beat(1))
    return running(Sidecar(directory("sidecar"), redis, CONFIG))


def train(sidecar, name="trained-1", count=1):
    """As if it had trained some versions, each from the one before; the file
    of the last one."""
    models = sidecar.dir / "state" / "models"
    models.mkdir(mode=0o700)
    parent = "default-1"
    with (models / "history").open("w") as history:
        for number in range(1, count + 1):
            version = f"trained-{number}"
            history.write(json.dumps({
                "verdict": "won", "version": version, "parent": parent,
                "position": number}) + "\n")
            parent = version
            trained = models / f"{version}.pt"
            trained.write_bytes(MODEL.read_bytes())
            trained.chmod(0o600)
    (models / "current").write_text(name)
    return trained


@pytest.mark.parametrize("spoil, words", SPOILT)
def test_a_spoilt_model_is_refused(sidecar, spoil, words):
    path = sidecar.dir / "default.pt"
    spoil(path)
    sidecar.start(ready=False)
    sidecar.wait_log(rf"error \w+: {path}: {words}", 60)
    assert sidecar.process.wait(60) == 1
    assert sidecar.redis.client.xlen("tocsin:board") == 0


@pytest.mark.parametrize("spoil, words", SPOILT)
def test_the_default_serves_for_a_spoilt_version(sidecar, spoil, words):
    trained = train(sidecar)
    spoil(trained)
    sidecar.start()
    default = sidecar.dir / "default.pt"
    sidecar.wait_log(
        rf"error \w+: the model trained last is left out: {trained}: {words}")
    sidecar.wait_log(rf"notice \w+: model default-\S+ from {default}$")
    assert sidecar.wait_board()["model"].startswith("default-")


@pytest.mark.parametrize("spoil, words", [
    (flipped, "damaged: "), (cut, "no TorchScript file"),
    (writable_by_all, "mode 0602"), (missing, "No such file")])
def test_the_newest_good_version_serves_for_a_spoilt_one(sidecar, spoil,
                                                         words):
    newest = train(sidecar, "trained-4", 4)
    spoil(newest)
    older = newest.with_name("trained-3.pt")
    noise(older)
    good = newest.with_name("trained-2.pt")
    sidecar.start()
    sidecar.wait_log(rf"error \w+: the model trained last is left out: "
                     rf"{newest}: {words}")
    sidecar.wait_log(rf"error \w+: the one before it is left out: {older}: ")
    sidecar.wait_log(rf"notice \w+: model \S+ from {good}$")
    # It is still the last one that was trained: mended, it serves again.
    assert (newest.parent / "current").read_text() == "trained-4"


def test_the_default_serves_where_no_version_is_good(sidecar):
    newest = train(sidecar, "trained-2", 2)
    noise(newest)
    noise(newest.with_name("trained-1.pt"))
    sidecar.start()
    sidecar.wait_log(r"the one before it is left out: .*trained-1\.pt: ")
    default = sidecar.dir / "default.pt"
    sidecar.wait_log(rf"notice \w+: model default-\S+ from {default}$")


def test_a_history_that_goes_round(sidecar):
    """It may have been touched: each version before the other one."""
    newest = train(sidecar, "trained-2", 2)
    for path in (newest, newest.with_name("trained-1.pt")):
        noise(path)
    with (newest.parent / "history").open("a") as history:
        history.write(json.dumps({"verdict": "won", "version": "trained-1",
                                  "parent": "trained-2"}) + "\n")
    sidecar.start()
    assert sidecar.wait_board()["model"].startswith("default-")


def test_a_version_that_is_not_spoilt_serves(sidecar):
    trained = train(sidecar)
    sidecar.start()
    sidecar.wait_log(rf"notice \w+: model \S+ from {trained}$")


@pytest.mark.parametrize("name", [
    "../../default", "/etc/passwd", ".hidden", "x" * 100, "two words"])
def test_a_version_that_is_no_name(sidecar, name):
    train(sidecar, name)
    sidecar.start()
    sidecar.wait_log("the model trained last is left out: .*current: no name")
    assert sidecar.wait_board()["model"].startswith("default-")
