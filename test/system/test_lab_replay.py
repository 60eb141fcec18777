"""Recordings of the lab, replayed: found, named rightly, in time, no more.

Made by `make lab SCENARIO=NAME`, which leaves the two files of a recording
beside its chart. Times are those of the events, so that no clock is asked: an
alert of the tick that ends at 12:00:03 was told at 12:00:03.
"""

import json
import pathlib
import shutil
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "test" / "data"
sys.path.insert(0, str(ROOT / "test" / "lab"))

from judge import Judge  # noqa: E402
from pack import commands, pack, unpack  # noqa: E402
from recording import EVENTS, LABELS, Recording  # noqa: E402

pytestmark = pytest.mark.once(
    because="it judges how well is detected; test_recording replays and "
            "test_alert detects such faults under a sanitizer, too")

SCENARIOS = ROOT / "test" / "lab" / "scenarios"
NAMES = sorted(path.name.removesuffix(LABELS)
               for path in DATA.glob(f"*{LABELS}"))
LATEST = 5.0  # seconds from a fault to its alert


def judged(name, *options):
    """(what is wrong with what a replay told, alerts)."""
    recording = Recording(DATA / name, SCENARIOS)
    alerts, said = recording.replay(*options)
    judge = Judge(recording.scenario, recording.peers)
    wrong = [f"false alarm: {seen.name} at {seen.t:.1f} s by {seen.feature}"
             for seen in judge.false_alarms(alerts)]
    for fault in recording.scenario.faults:
        if fault.quiet:
            continue
        verdict = judge.verdict(fault, alerts)
        wrong += verdict.complaints()
        wrong += [f"one too many: {seen.name} at {seen.t:.1f} s"
                  for seen in alerts if seen is not verdict.alert
                  and judge.explains(fault, seen)]
        if verdict.alert and verdict.delay > LATEST:
            wrong.append(f"late: {verdict.delay:.1f} s ({fault.name})")
    return wrong, alerts, said


@pytest.mark.parametrize("name", NAMES)
def test_what_was_recorded_is_judged_rightly(name):
    wrong, _, said = judged(name)
    assert not wrong, "\n".join(wrong)
    assert " events in " in said


def test_there_are_hard_faults_and_a_quiet_one_among_them():
    found = [Recording(DATA / name, SCENARIOS).scenario for name in NAMES]
    assert sum(scenario.hard for scenario in found) >= 5
    assert any(fault.quiet for s in found for fault in s.faults)


def test_a_deaf_detector_fails(tmp):
    config = tmp / "deaf.yaml"
    config.write_text("detect: {min_requests_per_minute: 1000000}\n")
    wrong, alerts, _ = judged("region_errors", "-c", config)
    assert not alerts and len(wrong) == 1 and wrong[0].startswith("missed")


def test_an_alert_without_a_fault_fails(tmp):
    shutil.copy(DATA / f"region_errors{EVENTS}", tmp / f"calm{EVENTS}")
    labels = json.loads((DATA / f"region_errors{LABELS}").read_text())
    labels["scenario"] = "quiet"
    (tmp / f"calm{LABELS}").write_text(json.dumps(labels))
    wrong, _, _ = judged(tmp / "calm")
    assert len(wrong) == 1 and wrong[0].startswith("false alarm: ErrorsHigh")


def test_packing_loses_digits_only():
    data = unpack((DATA / f"rolling_restart{EVENTS}").read_bytes())
    data = data[:data.index(b"\r\n*", 1 << 22) + 2]
    assert unpack(pack(data)) == data
    words = list(commands(data))
    assert len(words) > 5000 and {w[0] for w in words} == {"XADD"}
    first = {}  # (stream, src) -> seq: none is missing
    for entry in words:
        fields = dict(zip(entry[3::2], entry[4::2]))
        if "seq" in fields:
            place = entry[1], fields["src"]
            assert int(fields["seq"]) == first.get(place, 0) + 1
            first[place] = int(fields["seq"])
