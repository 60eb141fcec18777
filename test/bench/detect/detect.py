#!/usr/bin/python3
"""What the detector is worth on labelled series, beside others and without
each of its parts.

usage: detect.py TOCSIN MODEL [--nab DIR] [--cloud DIR] [--untrained MODEL]
                 [--train ROWS]

--cloud holds CSVs with a column of times, one of numbers, and one called
label: event by event, F1 at the best threshold for all files, precision,
recall, median delay in rows. --nab holds CSVs and windows.json: the score of
the Numenta Anomaly Benchmark, standard profile, likewise. A detector without
a budget of its own repeats itself, which NAB charges for: beside its plain
score stands what it gets if it rests for a hundred rows after each alert.
"""
import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np

import baselines
import events
import nab
import series

REST = 100
LEVELS = [k / 8. for k in range(8, 36)]      # shares of rows: 10^-level
PARTS = ('head_a', 'z150', 'head_b', 'novelty', 'drift', 'roughness',
         'budget', 'seasons')


def rested(scores, threshold):
    """1 where the threshold is reached and was not told REST rows before."""
    out, last = np.zeros(len(scores)), -REST
    for i in (scores >= threshold).nonzero()[0]:
        if i - last >= REST:
            out[i], last = 1., i
    return out


def rows_a_day(times):
    step = float(np.median(np.diff(times[:50])))
    return int(round(86400. / step)) if 0. < step <= 43200. else 0


class Corpus:
    def __init__(self, root):
        self.root = root
        self.series = series.find(root)
        if not self.series:
            sys.exit('%s: no CSV files' % root)

    def paths(self):
        return [os.path.join(self.root, s[0]) for s in self.series]

    def days(self):
        return sum(s[1][-1] - s[1][0] for s in self.series) / 86400.

    def column(self, directory, name):
        out = []
        for path, times, _ in self.series:
            with open(os.path.join(directory, path), newline='') as file:
                out.append(np.array([float(r[name])
                                     for r in csv.DictReader(file)]))
        return out


class Cloud(Corpus):
    def __init__(self, root):
        super().__init__(root)
        self.labels = []
        for path in self.paths():
            with open(path, newline='') as file:
                rows = [{k.lower(): v for k, v in r.items()}
                        for r in csv.DictReader(file)]
            self.labels.append([r['label'].lower() not in (
                '', '0', '0.0', 'false') for r in rows])

    def files(self, scores):
        return [events.File(y, s) for y, s in zip(self.labels, scores)]

    def judge(self, scores):
        return events.best(self.files(scores))

    def told(self, alerts):
        """-> of its own alerts: right, wrong; of the events: found, all"""
        tallies = [file.tally(1.) for file in self.files(alerts)]
        found, wrong = (sum(t[k] for t in tallies) for k in (0, 1))
        return found, wrong, found, sum(
            len(file.events) for file in self.files(alerts))


class Numenta(Corpus):
    def __init__(self, root):
        super().__init__(root)
        with open(os.path.join(root, 'windows.json')) as file:
            windows = json.load(file)
        self.spans = [[(series.epoch(a), series.epoch(b))
                       for a, b in windows.get(s[0], [])] for s in self.series]

    def judge(self, scores):
        files = [nab.File(s[1], spans, list(map(float, score)))
                 for s, spans, score in zip(self.series, self.spans, scores)]
        return nab.nab(files, 'standard')[0]

    def told(self, alerts):
        """-> of its own alerts: right, wrong; of the windows: found, all"""
        right = wrong = found = count = 0
        for s, spans, alert in zip(self.series, self.spans, alerts):
            file = nab.File(s[1], spans, alert)
            at = [k for k, (_, window, _) in zip(
                range(file.skip, file.count), file.rows)
                if alert[k] > 0. and not alert[k - 1] > 0.]
            inside = [file.rows[k - file.skip][1] for k in at]
            right += sum(window is not None for window in inside)
            wrong += sum(window is None for window in inside)
            found += len({window for window in inside if window is not None})
            count += len(file.spans)
        return right, wrong, found, count

    def judge_rested(self, scores):
        """At the best of some thresholds, each told once in REST rows."""
        every = np.sort(np.concatenate(scores))
        best = 0.
        for level in LEVELS:
            at = min(len(every) - 1, int(len(every) * (1. - 10. ** -level)))
            files = [nab.File(s[1], spans, list(rested(score, every[at])))
                     for s, spans, score in zip(self.series, self.spans,
                                                scores)]
            for file in files:
                file.rows = [row for row in file.rows if row[0] > 0.]
            best = max(best, nab.nab(files, 'standard')[0])
        return best


def backtest(options, corpus, model, without, *more):
    """-> the columns of what it writes"""
    scratch = tempfile.mkdtemp()
    try:
        copy = os.path.join(scratch, 'model.pt')    # that nobody else can write
        shutil.copyfile(model, copy)
        os.chmod(copy, 0o600)
        out = os.path.join(scratch, 'out')
        subprocess.run([options.tocsin, 'backtest', '--quiet', '--model', copy,
                        '--root', corpus.root, '--out', out, '--without',
                        without, *more] + corpus.paths(), check=True)
        return {name: corpus.column(out, name) for name in (
            'anomaly_score', 'incident_score', 'alert')}
    finally:
        shutil.rmtree(scratch)


def line(name, cloud=None, own=None, numenta=None, rest=None):
    def cell(value, form, width):
        return '-'.rjust(width) if value is None or value != value \
            else (form % value).rjust(width)
    cloud = cloud or (None,) * 4
    print('%-34s %s %s %s %s %s   %s %s' % (
        name, cell(cloud[0], '%.3f', 6), cell(cloud[1], '%.3f', 9),
        cell(cloud[2], '%.3f', 6), cell(cloud[3], '%g', 5),
        cell(own, '%.3f', 6), cell(numenta, '%.1f', 6), cell(rest, '%.1f', 7)),
        flush=True)


def ours(options, corpora, name, model, without='', *more):
    """One line of what the model says of each corpus"""
    cloud = own = numenta = None
    if corpora['cloud']:
        said = backtest(options, corpora['cloud'], model, without, *more)
        cloud = corpora['cloud'].judge(said['anomaly_score'])
        own = corpora['cloud'].judge(said['alert'])[0]
    if corpora['nab']:
        said = backtest(options, corpora['nab'], model, without, *more)
        numenta = corpora['nab'].judge(said['incident_score'])
    line(name, cloud, own, numenta)


def tell_alerts(options, corpora):
    """What somebody would have been told who has set nothing"""
    for name, corpus in corpora.items():
        if corpus:
            alerts = backtest(options, corpus, options.model, '')['alert']
            right, wrong, found, count = corpus.told(alerts)
            print('alerts (%s): %d in %.0f days of series, %.2f a day; '
                  'precision %.2f, %d of %d anomalies' % (
                      name, right + wrong, corpus.days(),
                      (right + wrong) / corpus.days(),
                      right / max(1, right + wrong), found, count), flush=True)


def other(corpora, name, score):
    cloud = numenta = rest = None
    if corpora['cloud']:
        cloud = corpora['cloud'].judge(score(corpora['cloud']))
    if corpora['nab']:
        scores = score(corpora['nab'])
        numenta = corpora['nab'].judge(scores)
        rest = corpora['nab'].judge_rested(scores)
    line(name, cloud, None, numenta, rest)


def main():
    parser = argparse.ArgumentParser(
        description='what the detector is worth on labelled series')
    parser.add_argument('tocsin')
    parser.add_argument('model')
    parser.add_argument('--nab', metavar='DIR')
    parser.add_argument('--cloud', metavar='DIR')
    parser.add_argument('--untrained', metavar='MODEL')
    parser.add_argument('--train', metavar='ROWS')
    options = parser.parse_args()
    if not options.nab and not options.cloud:
        parser.error('neither --nab nor --cloud')
    corpora = {'nab': options.nab and Numenta(options.nab),
               'cloud': options.cloud and Cloud(options.cloud)}
    print('%-34s %s   %s' % (
        '', 'events: F1 precision recall delay  alert', 'NAB:   as is  rested'))
    ours(options, corpora, 'tocsin', options.model)
    for part in PARTS:
        ours(options, corpora, '  without ' + part, options.model, part)
    if options.untrained:
        ours(options, corpora, '  without training', options.untrained)
    if options.train:
        ours(options, corpora, '  trained every %s rows' % options.train,
             options.model, '', '--train', options.train)
    other(corpora, 'z150 alone', lambda corpus: backtest(
        options, corpus, options.model, 'head_a')['anomaly_score'])
    for name, score in baselines.ALL.items():
        other(corpora, name, lambda corpus, score=score: [
            score(baselines.filled(s[2]), rows_a_day(s[1]))
            for s in corpus.series])
    tell_alerts(options, corpora)


if __name__ == '__main__':
    main()
