"""conf/tocsin.service: it is tight, and the sidecar does its work in it."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from harness import ROOT, SANITIZER, Sidecar, wait_until
from traffic import Route, Traffic

UNIT = ROOT / "conf" / "tocsin.service"
CONFINE = pathlib.Path(__file__).parent / "confine.py"
EXPOSURE = 15  # tenths: systemd calls up to 2.0 "OK"

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                reason="no systemd-analyze")


def confined(*argv):
    return [sys.executable, str(CONFINE), str(UNIT), *map(str, argv)]


class Confined(Sidecar):
    def spawn(self, argv, env=None):
        super().spawn(confined(*argv), env)


def test_exposure():
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager",
         f"--threshold={EXPOSURE}", str(UNIT)],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("what, words", [
    ("code out of data", "import mmap; "
     "mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)"),
    ("a raw socket", "import socket; socket.socket(socket.AF_PACKET)"),
    ("another root", "import os; os.chroot('/')"),
    ("a real-time priority", "import os; "
     "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"),
], ids=lambda text: text.split()[-1] if len(text) < 20 else "")
def test_refuses(what, words):
    """What the unit forbids is refused, or the other test tells nothing."""
    free = subprocess.run([sys.executable, "-c", "print('there')"],
                          capture_output=True, text=True, check=False)
    caught = subprocess.run(
        confined(sys.executable, "-c", "print('there')\n" + words),
        capture_output=True, text=True, check=False)
    assert caught.stdout == free.stdout, caught.stderr
    assert caught.returncode != 0, what
    assert "Error" in caught.stderr


@pytest.mark.skipif(bool(SANITIZER), reason="sanitizers need more than that")
def test_sidecar_works_confined(redis, directory, running):
    """Loads the model, learns, alerts, reloads, saves, restores, ends."""
    town = Traffic(redis, [
        Route("/shop", "shop", "aws", "us-east-1", rate=4),
        Route("/find", "find", "gcp", "us-c1", rate=4)], back=2000)
    town.run(500)
    sidecar = running(Confined(directory("sidecar"), redis, {
        "model": {"train_every": "1m", "train_share": 1},
        "intake": {"backlog": "1h"}}))
    sidecar.start()

    def learned():
        town.run(10)
        sidecar.wait_board()
        return "model: challenger " in sidecar.log

    wait_until(learned, 120, "a round of training")
    for peer in town.peers["find"]:
        peer.errors = 0.5

    def alerted():
        town.run(1)
        return [a for a in sidecar.alerts() if a["state"] == "firing"]

    wait_until(alerted, 60, "an alert", interval=0.05)
    sidecar.stop()
    sidecar.start()
    assert sidecar.run("status").returncode == 0
    assert "[error]" not in sidecar.log
