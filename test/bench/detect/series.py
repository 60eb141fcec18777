"""Recorded series as the model sees them: one row a tick, bins of seasons."""
import csv
import datetime
import glob
import os

import numpy as np

BIN = 300            # seconds, or the tick where that is longer
FORMATS = ('%Y-%m-%d %H:%M:%S', '%Y-%m-%d %H:%M:%S.%f', '%Y-%m-%dT%H:%M:%S',
           '%Y-%m-%d %H:%M')


def epoch(text):
    text = text.strip().removesuffix('Z').removesuffix('+00:00')
    for form in FORMATS:
        try:
            when = datetime.datetime.strptime(text, form)
            return when.replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            pass
    return float(text)


def number(text):
    try:
        return float(text)
    except ValueError:
        return float('nan')


def read(path):
    """-> times [n], values [n]: the first column and the second."""
    with open(path, newline='') as file:
        rows = list(csv.reader(file))[1:]
    return (np.array([epoch(r[0]) for r in rows]),
            np.array([number(r[1]) for r in rows]))


def find(root):
    """-> [(relative path, times, values)] of every CSV below root."""
    paths = sorted(glob.glob(os.path.join(root, '**', '*.csv'),
                             recursive=True))
    return [(os.path.relpath(p, root),) + read(p) for p in paths]


def seasons(times, values, offsets):
    """[n, P]: the bin that lies offset / width bins before that of the row,
    as far as rows before this one fill it."""
    width = max(BIN, float(np.median(np.diff(times[:50]))))
    bins = np.floor(times / width).astype(np.int64)
    total, count = {}, {}
    out = np.full((len(times), len(offsets)), np.nan, np.float32)
    for i, (b, v) in enumerate(zip(bins, values)):
        for p, offset in enumerate(offsets):
            n = count.get(b - int(offset // width), 0)
            if n:
                out[i, p] = total[b - int(offset // width)] / n
        if v == v:
            total[b] = total.get(b, 0.) + v
            count[b] = count.get(b, 0) + 1
    return out


def batch(series, offsets):
    """Side by side, filled up with NaN: x [T,B,1], season [T,B,P,1]."""
    T, B = max(len(s[1]) for s in series), len(series)
    x = np.full((T, B, 1), np.nan, np.float32)
    season = np.full((T, B, len(offsets), 1), np.nan, np.float32)
    for b, (_, times, values) in enumerate(series):
        x[:len(values), b, 0] = values
        season[:len(values), b, :, 0] = seasons(times, values, offsets)
    return x, season
