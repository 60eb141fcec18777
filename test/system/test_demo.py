"""The demo as CI sees it: a region breaks, the alert comes and goes."""

import os
import subprocess
import sys

import pytest

from harness import ROOT, SANITIZER

DEMO = ROOT / "test" / "lab" / "demo.py"


@pytest.mark.skipif(bool(SANITIZER), reason="judged at full speed only")
def test_the_demo_passes_its_own_check(tmp):
    done = subprocess.run(
        [sys.executable, DEMO, "--check", "--keep", tmp / "demo",
         "--screenshot", tmp / "demo.png"],
        capture_output=True, text=True, timeout=420, check=False,
        env=dict(os.environ))
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "demo: passed" in done.stdout
    assert (tmp / "demo.png").stat().st_size > 50000
