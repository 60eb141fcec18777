#!/usr/bin/python3
"""Scores a detector by the rules of the Numenta Anomaly Benchmark.

usage: nab.py LABELLED_DIR SCORED_DIR [--column incident_score]

LABELLED_DIR holds CSVs with a timestamp column first, and windows.json: for
each file its labelled windows. SCORED_DIR holds CSVs of the same relative
paths with a column of scores. One threshold serves all files, the best one.

Lavin, Ahmad: Evaluating real-time anomaly detection algorithms, 2015.
"""
import argparse
import csv
import json
import math
import os
import sys

import series

LEARNING, LEARNING_MAX = .15, 750
PROFILES = {'standard': (1., .11, 1.), 'low FP': (1., .22, 1.),
            'low FN': (1., .11, 2.)}          # weights of TP, FP, FN


def sigmoid(y):
    """2 / (1 + exp(5 y)) - 1"""
    return 2. / (1. + math.exp(min(5. * y, 700.))) - 1.


class File:
    """The rows of one file: which window each is in, what it is worth."""

    def __init__(self, times, windows, scores):
        self.count = len(times)
        self.skip = min(int(LEARNING * self.count), LEARNING_MAX)
        at = {}
        self.spans = []
        for first, last in windows:
            rows = [i for i, t in enumerate(times) if first <= t <= last]
            if rows and rows[-1] >= self.skip:
                self.spans.append((rows[0], rows[-1]))
        for k, (a, b) in enumerate(self.spans):
            for i in range(a, b + 1):
                at[i] = k
        self.rows = []                        # (score, window, worth)
        behind = None
        for i in range(self.count):
            k = at.get(i)
            if k is not None:
                behind = k
            if i < self.skip:
                continue
            self.rows.append((scores[i], k, self.worth(i, k, behind)))

    def worth(self, i, k, behind):
        if k is not None:
            a, b = self.spans[k]
            y = -(b - i + 1.) / (b - a + 1.)
            return sigmoid(y) / sigmoid(-1.)
        if behind is None:
            return -1.
        a, b = self.spans[behind]
        y = (i - b) / max(b - a, 1.)
        return -1. if y > 3. else sigmoid(y)


def totals(files, profile):
    """[(threshold, total)]: sweeps the rows from the highest score down."""
    tp, fp, fn = PROFILES[profile]
    rows = sorted(((s, f, k, w) for f, file in enumerate(files)
                   for s, k, w in file.rows), key=lambda r: -r[0])
    best = {}                                 # (file, window) -> worth
    total = -fn * sum(len(f.spans) for f in files)
    out, i = [(math.inf, total)], 0
    while i < len(rows):
        threshold = rows[i][0]
        while i < len(rows) and rows[i][0] == threshold:
            _, f, k, worth = rows[i]
            if k is None:
                total += fp * worth
            elif (f, k) not in best:
                total += fn + tp * worth
                best[f, k] = worth
            elif worth > best[f, k]:
                total += tp * (worth - best[f, k])
                best[f, k] = worth
            i += 1
        out.append((threshold, total))
    return out


def nab(files, profile):
    """-> score, threshold, windows found, rows outside of windows"""
    fn = PROFILES[profile][2]
    windows = sum(len(f.spans) for f in files)
    null, perfect = -fn * windows, PROFILES[profile][0] * windows
    threshold, total = max(totals(files, profile), key=lambda t: t[1])
    found = sum(any(s >= threshold and k == w for s, k, _ in f.rows)
                for f in files for w in range(len(f.spans)))
    outside = sum(s >= threshold and k is None
                  for f in files for s, k, _ in f.rows)
    return (100. * (total - null) / (perfect - null), threshold, found,
            outside, windows)


def load(labelled, scored, column):
    with open(os.path.join(labelled, 'windows.json')) as file:
        windows = json.load(file)
    files = []
    for path, times, _ in series.find(labelled):
        with open(os.path.join(scored, path), newline='') as file:
            scores = [float(r[column]) for r in csv.DictReader(file)]
        if len(scores) != len(times):
            sys.exit('%s: %d rows for %d' % (path, len(scores), len(times)))
        spans = [(series.epoch(a), series.epoch(b))
                 for a, b in windows.get(path, [])]
        files.append(File(times, spans, scores))
    return files


def main():
    parser = argparse.ArgumentParser(description='score by the rules of NAB')
    parser.add_argument('labelled')
    parser.add_argument('scored')
    parser.add_argument('--column', default='incident_score')
    options = parser.parse_args()
    files = load(options.labelled, options.scored, options.column)
    for profile in PROFILES:
        score, threshold, found, outside, windows = nab(files, profile)
        print('NAB %-8s %5.1f  threshold %.4g: %d of %d windows found, '
              '%d rows outside' % (profile, score, threshold, found, windows,
                                   outside))


if __name__ == '__main__':
    main()
