"""The demo's look at the page: it must be able to say what is missing."""

import pathlib
import shutil
import sys

import pytest

import boards
from alerting import alerts, pretend, watch  # noqa: F401
from harness import wait_until

pytest.importorskip("selenium.webdriver")

if not shutil.which("chromedriver"):
    pytest.skip("needs chromium-driver", allow_module_level=True)

LAB = pathlib.Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB))

import wall  # noqa: E402
from judge import Seen, Watcher  # noqa: E402

pytestmark = pytest.mark.once(because="the look at the page is Python")

PLACE = {"cloud_provider": "gcp", "cloud_region": "europe-west4"}
LINE = boards.points([(0.1, 0.1, 0.05, 0.2)] * 40)
ROWS = boards.row(labels=boards.pairs(**PLACE), score=99, spark="1,2,3")


@pytest.fixture
def hang(redis, watch, pretend, tmp, monkeypatch):
    """hang(rows, **alert) -> (what the page lacks, its picture)"""
    def start(rows=ROWS, pretended=None, **fields):
        monkeypatch.setattr(wall, "WAIT", 3.0)
        nginx = watch(redis)
        redis.client.xadd("tocsin:alerts", boards.alert(**{
            "id": "a-1", "labels": boards.pairs(**PLACE), "evidence": LINE,
            **fields}))
        pretend(redis, active="a-1", rows=rows)
        wait_until(lambda: "a-1" in alerts(nginx))
        hung = wall.Wall(tmp / "wall.png")
        watcher = Watcher(nginx.url("/_alerts"))
        (seen,), _ = watcher.look(0)
        seen.labels.update(pretended or {})
        hung.show(watcher.url.removesuffix("/api/v2/alerts"), seen)
        hung.close()
        return hung.complaints, hung.picture

    return start


def test_a_page_that_shows_all(hang):
    complaints, picture = hang()
    assert complaints == []
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("lack, made", [
    ("its line: 0 points", {"evidence": ""}),
    ("the trends of series", {"rows": ""}),
    ("AWS among its places", {"pretended": {"cloud_provider": "aws"}}),
    ("us-east1 among its places", {"pretended": {"cloud_region": "us-east1"}}),
])
def test_a_page_that_lacks_something(hang, lack, made):
    (complaint,), picture = hang(**made)
    assert complaint.startswith(f"the page lacks {lack}")
    assert picture.exists(), "the picture shows what is missing"


def test_no_alert_at_all(tmp):
    hung = wall.Wall(tmp / "wall.png")
    hung.close()
    assert hung.complaints == ["no alert to look for on the page"]
    assert not hung.picture.exists()


def test_all_that_can_be_missing():
    alert = {"annotations": {"summary": "slow"},
             "labels": {"severity": "critical"}}
    seen = Seen(0, PLACE, "latency_p95", "critical", "slow", 99, alert)
    assert list(wall.missing(None, seen)) == ["the alert itself"]
    found = list(wall.missing({
        "summary": "fast", "age": "–", "places": [], "points": 3,
        "chart": [600, 90], "bottom": 1081, "right": 1920, "cut": ["AWS"],
        "trends": 1, "overall": "wait"}, seen))
    assert [text.split()[1] for text in found[:2]] == ["summary", "Cloud"]
    assert "its age; it says '–'" in found
    assert "the state critical; it is wait" in found
    assert "room for what begins with 'AWS'" in found
    assert len(found) == 8
