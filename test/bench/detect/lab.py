#!/usr/bin/python3
"""Recordings of the lab, judged beside what people use instead.

usage: lab.py [DIR]         recordings; default: those of the tests

A baseline sees what a monitoring system would scrape each second of every
route, upstream, peer, region and cloud: requests, share of errors, median and
95th percentile of the latency. It may be odd in the direction that hurts only,
alarms after two odd seconds in a row, and rests until ten were well. One
threshold serves all: the lowest at which it has one false alarm, or as many as
Tocsin where that has more. It cannot say what is the cause: all that begin within ten seconds are
one alarm to it, and it has found a fault if one of them is touched by it.
"""
import pathlib
import statistics
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TEST = HERE.parents[1]
sys.path[:0] = [str(TEST / 'lab'), str(TEST / 'system')]

import baselines                                            # noqa: E402
from judge import SETTLE, Judge                             # noqa: E402
from pack import commands, unpack                           # noqa: E402
from recording import EVENTS, LABELS, Recording             # noqa: E402

SETS = {'tocsin:request': [('server', 'route')],
        'tocsin:upstream': [('upstream',), ('upstream', 'peer'),
                            ('cloud', 'region'), ('cloud',)]}
NAMES = {'cloud': 'cloud_provider', 'region': 'cloud_region'}
FEATURES = (('rate', -1.), ('errors', 1.), ('p50', 1.), ('p95', 1.))
RAMP = 10           # seconds until the load is what it will be
LEARN = 40          # seconds that nobody judges
TOGETHER = 10.
CALM = 10


class Told:
    """An alarm of a baseline, as the judge wants to see one."""

    def __init__(self, t, labels):
        self.t, self.series = t, labels


def count(path):
    """{labels: {second: [durations, errors]}} of a recording's events"""
    found = {}
    for words in commands(unpack(path.read_bytes())):
        sets = SETS.get(words[1])
        if sets is None:
            continue
        fields = dict(zip(words[3::2], words[4::2]))
        second = int(fields['ts']) // 1000000
        bad = fields['status'] >= '500' or bool(fields.get('error'))
        for names in sets:
            if all(fields[name] for name in names):
                labels = tuple((NAMES.get(name, name), fields[name])
                               for name in names)
                cell = found.setdefault(labels, {}).setdefault(second, [[], 0])
                cell[0].append(int(fields['dur']))
                cell[1] += bad
    return found


def columns(cells, seconds):
    """rate, share of errors, median and 95th percentile, second by second"""
    out = np.full((4, len(seconds)), np.nan)
    for i, second in enumerate(seconds):
        durations, errors = cells.get(second, ((), 0))
        out[0, i] = len(durations)
        if durations:
            out[1, i] = errors / len(durations)
            out[2:, i] = np.percentile(durations, [50, 95])
    return out


def harmful(values, sign, score):
    """The score where the value is on the side that hurts, else nothing."""
    values = values * sign
    before = np.cumsum(values) / np.arange(1, len(values) + 1)
    return np.where(values > before, score, 0.)


def lowest_of_two(score):
    return np.minimum(score, np.concatenate([[0.], score[:-1]]))


class Tape:
    """One recording: what each baseline says of it, second by second."""

    def __init__(self, path):
        stem = path.with_name(path.name.removesuffix(LABELS))
        self.recording = Recording(stem, TEST / 'lab' / 'scenarios')
        self.scenario = self.recording.scenario
        self.judge = Judge(self.scenario, self.recording.peers)
        self.events = stem.with_name(stem.name + EVENTS)
        self.scores = {}            # baseline -> [(labels, score of a second)]

    def score(self):
        began = int(self.recording.began) + RAMP
        seconds = range(began, int(self.recording.began
                                   + self.recording.seconds))
        for labels, cells in count(self.events).items():
            rows = columns(cells, seconds)
            for name, method in METHODS.items():
                score = np.max([lowest_of_two(harmful(
                    values, sign, method(values, 0)))
                    for (_, sign), values in zip(
                        FEATURES, map(baselines.filled, rows))], 0)
                score[:LEARN] = 0.
                self.scores.setdefault(name, []).append((dict(labels), score))

    def told(self, name, threshold):
        """Alarms of series, in the order of their time"""
        out = []
        for labels, score in self.scores[name]:
            calm = CALM
            for i, odd in enumerate(score >= threshold):
                if odd and calm >= CALM:
                    out.append(Told(i + 1. + RAMP, labels))
                calm = 0 if odd else calm + 1
        return sorted(out, key=lambda told: told.t)

    def verdict(self, told):
        """-> delays of the faults found, faults, alarms of a fault, false"""
        delays, of_fault, faults = [], [], 0
        for fault in self.scenario.faults:
            if fault.quiet:
                continue
            faults += 1
            own = [one for one in told if fault.at <= one.t
                   <= fault.end + SETTLE and self.judge.explains(fault, one)]
            if own:
                delays.append(own[0].t - fault.at)
                of_fault.append(len(own))
        last, false = -TOGETHER, 0
        for one in self.judge.false_alarms(told):
            false += one.t - last > TOGETHER
            last = one.t
        return delays, faults, of_fault, false


METHODS = dict(baselines.ALL)       # a minute instead of days
METHODS['static level'] = lambda values, day: baselines.static(
    values, day, rows=LEARN)
METHODS['x times the daily mean'] = lambda values, day: baselines.ratio(
    values, 300)
METHODS['k-means (Netdata)'] = lambda values, day: baselines.kmeans(
    values, day, first=LEARN, every=60)


def judge_all(tapes, name, threshold):
    delays, of_fault, faults, false = [], [], 0, 0
    for tape in tapes:
        one = tape.verdict(tape.told(name, threshold))
        delays += one[0]
        faults += one[1]
        of_fault += one[2]
        false += one[3]
    return delays, faults, of_fault, false


def lowest(tapes, name, false):
    """The verdict at the lowest threshold with so few false alarms"""
    peaks = np.unique(np.concatenate([
        score for tape in tapes for _, score in tape.scores[name]]))
    low, high = 0, len(peaks) - 1       # false alarms fall, nearly always
    while low < high:
        middle = (low + high) // 2
        if judge_all(tapes, name, peaks[middle])[3] > false:
            low = middle + 1
        else:
            high = middle
    return judge_all(tapes, name, peaks[high])


def ours(tapes, *options):
    delays, of_fault, faults, false = [], [], 0, 0
    for tape in tapes:
        seen, _ = tape.recording.replay(*options)
        for fault in tape.scenario.faults:
            if fault.quiet:
                continue
            faults += 1
            verdict = tape.judge.verdict(fault, seen)
            if verdict.alert is not None:
                delays.append(verdict.delay)
                of_fault.append(sum(
                    fault.at <= one.t <= fault.end + SETTLE
                    and tape.judge.explains(fault, one) for one in seen))
        false += len(tape.judge.false_alarms(seen))
    return delays, faults, of_fault, false


def line(name, delays, faults, of_fault, false):
    print('%-34s %2d of %2d %8s %14s %12d' % (
        name, len(delays), faults,
        '%.1f s' % statistics.median(delays) if delays else '-',
        '%.1f' % statistics.mean(of_fault) if of_fault else '-', false),
        flush=True)


def main():
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1
                             else TEST / 'data')
    tapes = [Tape(path) for path in sorted(directory.glob('*' + LABELS))]
    if not tapes:
        sys.exit('%s: no recordings' % directory)
    seconds = sum(tape.recording.seconds for tape in tapes)
    print('%d recordings, %.0f minutes' % (len(tapes), seconds / 60.))
    print('%-34s %8s %8s %14s %12s' % (
        '', 'found', 'delay', 'alarms a fault', 'false alarms'))
    found = ours(tapes)
    line('tocsin', *found)
    line('  without head_b', *ours(tapes, '--without', 'head_b'))
    for tape in tapes:
        tape.score()
    for name in METHODS:
        line(name, *lowest(tapes, name, max(1, found[3])))


if __name__ == '__main__':
    main()
