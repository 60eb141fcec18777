"""The lab's judge: it must be able to say no."""

import pathlib
import sys
from xml.etree import ElementTree

import pytest

LAB = pathlib.Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB))

from judge import SETTLE, Judge, Seen, Watcher  # noqa: E402
from lab import Run, summary, tell  # noqa: E402
from scenario import Scenario, ScenarioError  # noqa: E402
from stack import nginx_http  # noqa: E402

pytestmark = pytest.mark.once(because="the lab and its judge are Python")

REGION = {"alertname": "LatencyHigh", "severity": "critical",
          "cloud_provider": "gcp", "cloud_region": "europe-west4"}


@pytest.fixture
def scenario():
    return Scenario.load(LAB / "scenarios" / "demo.yaml")


@pytest.fixture
def judge(scenario):
    return Judge(scenario, scenario.peers(lambda route: 9000 + route))


def seen(t, labels=None, feature="latency_p95", ended=150.0):
    return Seen(t, labels or REGION, feature, "critical", "", 90.0, {}, ended)


def complaints(judge, *alerts):
    (fault,) = judge.scenario.faults
    return list(judge.verdict(fault, list(alerts)).complaints())


def test_a_good_alert_passes(judge):
    assert complaints(judge, seen(65)) == []
    assert judge.false_alarms([seen(65)]) == []


def test_nothing_is_a_miss(judge):
    (text,) = complaints(judge)
    assert text.startswith("missed")


@pytest.mark.parametrize("labels", [
    {"cloud_provider": "aws", "cloud_region": "us-east-1"},
    {"cloud_provider": "gcp", "cloud_region": "us-central1"},
    {"server": "pay.example", "route": "/card"},
    {"upstream": "cart_aws_eu_west_1"},
    {"upstream": "search_gcp_europe_west4", "peer": "127.12.1.1:9001"},
])
def test_a_healthy_thing_named_is_wrong(judge, labels):
    found = complaints(judge, seen(65), seen(66, labels))
    assert len(found) == 1 and "wrong thing" in found[0]


@pytest.mark.parametrize("labels", [
    {},
    {"cloud_provider": "gcp"},
    {"server": "shop.example", "route": "/search"},
    {"upstream": "search_gcp_europe_west4", "peer": "127.12.2.1:9001"},
])
def test_what_the_fault_harms_is_not_wrong_but_not_enough(judge, labels):
    assert complaints(judge, seen(65), seen(66, labels)) == []
    (text,) = complaints(judge, seen(66, {"alertname": "A", **labels}))
    assert text.startswith("missed")


def test_wrong_reason(judge):
    (text,) = complaints(judge, seen(65, feature="bytes"))
    assert text.startswith("wrong reason")


def test_an_alert_that_stays(judge):
    (text,) = complaints(judge, seen(65, ended=None))
    assert text.startswith("not resolved")


def test_false_alarms_are_those_outside_of_faults(judge):
    (fault,) = judge.scenario.faults
    early, late = seen(fault.at - 1), seen(fault.end + SETTLE + 1)
    during = seen(fault.at + 1)
    assert judge.false_alarms([early, during, late]) == [early, late]


def test_two_faults_at_once_are_not_each_others_mistakes():
    scenario = Scenario.load(LAB / "scenarios" / "two_clouds.yaml")
    judge = Judge(scenario, scenario.peers(lambda route: 9000 + route))
    azure, gcp = (
        seen(64, {"cloud_provider": cloud, "cloud_region": region})
        for cloud, region in (("azure", "eastus"), ("gcp", "europe-west4")))
    well = seen(64, {"cloud_provider": "aws"})
    for fault in scenario.faults:
        verdict = judge.verdict(fault, [azure, gcp, well])
        assert verdict.wrong == [well]
    early = seen(61, gcp.labels)  # the second fault has not begun
    assert judge.verdict(scenario.faults[0], [early]).wrong == [early]


def test_faults_come_in_phases(scenario):
    peer = next(p for p in scenario.peers(lambda route: 1)
                if p.region == "europe-west4")
    other = next(p for p in scenario.peers(lambda route: 1)
                 if p.region == "eastus")
    (fault,) = scenario.faults
    assert scenario.behaviour(peer, fault.at - 1) == {}
    assert scenario.behaviour(peer, fault.at) == {"latency": 6}
    assert "errors" in scenario.behaviour(peer, fault.end - 1)
    assert scenario.behaviour(peer, fault.end) == {}
    assert scenario.behaviour(other, fault.at) == {}


def test_mistakes_are_named():
    with pytest.raises(ScenarioError, match="latncy"):
        Scenario({"name": "x", "clouds": {}, "routes": [], "faults": [
            {"name": "f", "at": 1, "where": {}, "for": 1, "latncy": 2}]})


def test_nginx_takes_the_configuration(scenario, nginx_test, directory):
    peers = scenario.peers(lambda route: 9000 + route)
    code, said = nginx_test(nginx_http(scenario, peers),
                            redis="redis://127.0.0.1:1/0")
    assert code == 0, said


# ------------------------------------------------------- lab.py and its chart

SCENARIOS = sorted((LAB / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenarios_can_be_played(path):
    scenario = Scenario.load(path)
    peers = scenario.peers(lambda route: 9000 + route)
    judge = Judge(scenario, peers)
    names = {p.upstream for p in peers}
    for fault in scenario.faults:
        assert judge.touched(fault), f"{fault.name} breaks nothing"
        assert fault.expect.get("upstream", peers[0].upstream) in names
        assert fault.quiet or fault.phases[0][1], f"{fault.name} does nothing"
    assert scenario.faults or scenario.seconds


def test_what_should_be_quiet_is_a_false_alarm():
    scenario = Scenario.load(LAB / "scenarios" / "rate_doubles.yaml")
    (fault,) = scenario.faults
    judge = Judge(scenario, scenario.peers(lambda route: 9000 + route))
    alert = seen(fault.at + 5)
    assert judge.false_alarms([alert]) == [alert]


def test_a_run_is_told_and_drawn(scenario, judge, capsys):
    run = Run(scenario)
    run.judge, run.watcher = judge, Watcher("http://127.0.0.1:1")
    run.watcher.seen = [seen(65), seen(10, {"cloud_provider": "<aws>"})]
    run.scores = {"gcp": [(1.0, 0.0), (65.0, 90.0)]}
    run.seconds, run.totals = 150.0, {"sent": 1, "failed": 0}
    figures = run.figures()
    assert figures["faults"][0]["found"] and figures["false_alarms"]
    tell(figures)
    assert summary([figures]) is True
    said = capsys.readouterr().out
    assert "after 5.0 s, LatencyHigh gcp europe-west4" in said
    assert "recall              1.00 (1 of 1 faults)" in said
    assert "false alarms        1 (24.0 an hour)" in said
    drawn = ElementTree.fromstring(run.chart())
    titles = [e.text for e in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert "gcp" in titles and "LatencyHigh gcp europe-west4" in titles


def test_a_missed_fault_fails_the_lab(scenario, judge, capsys):
    run = Run(scenario)
    run.judge, run.watcher = judge, Watcher("http://127.0.0.1:1")
    run.watcher.seen, run.scores = [], {}
    run.seconds, run.totals = 150.0, {"sent": 1, "failed": 0}
    assert summary([run.figures()]) is False
    assert "recall              0.00" in capsys.readouterr().out
