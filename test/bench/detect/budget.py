#!/usr/bin/python3
"""How many alerts there are of clean synthetic traffic, beside the budget.

usage: budget.py TOCSIN MODEL

Series of one column and whole services (a file of thirteen columns), in which
nothing was put that is odd, as generator.py and services.py make them, from
seeds that the model was not trained on. Each file has the budget to itself.
Prints beginnings of alerts a day, over the files of one length of rows.
"""
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '../../../sidecar/model'))
import numpy as np
from numba import njit

import generator
import services

DAY = 86400
START = 1700006400
SEED = 2 * 10 ** 9
COLUMNS, SERVICES = 8, 2
# seconds of a row, days, budget
TRIALS = ((1, 1, 100), (10, 1, 100), (60, 5, 100), (120, 10, 100),
          (300, 15, 100), (300, 15, 20), (300, 15, 1))


@njit
def column(seed, rows, day):
    np.random.seed(seed)
    return generator.traffic(rows, day, True)


@njit
def service(seed, rows, tick):
    np.random.seed(seed)
    causes = services.causes(rows, tick)
    normal = services.means(causes)
    services.flights(causes, normal, tick)
    return services.observe(causes, normal, tick)


def write(path, tick, values):
    with open(path, 'w') as file:
        file.write('time,%s\n' % ','.join(
            'c%d' % i for i in range(values.shape[1])))
        for i, row in enumerate(values):
            file.write('%d,%s\n' % (START + i * tick, ','.join(
                '' if v != v else '%.9g' % v for v in row)))


def make(directory, tick, days):
    rows = days * DAY // tick
    made = [column(SEED + k, rows, DAY // tick)[:, None]
            for k in range(COLUMNS)]
    made += [service(SEED + k, rows, float(tick)) for k in range(SERVICES)]
    paths = [os.path.join(directory, '%d.csv' % k) for k in range(len(made))]
    for path, values in zip(paths, made):
        write(path, tick, values)
    return paths


def beginnings(path):
    with open(path, newline='') as file:
        alerts = [row['alert'] == '1' for row in csv.DictReader(file)]
    return sum(now and not before
               for before, now in zip(alerts, alerts[1:]))


def count(tocsin, model, tick, days, budget):
    """-> beginnings a day, of each file"""
    scratch = tempfile.mkdtemp()
    try:
        copy = os.path.join(scratch, 'model.pt')    # that nobody else can write
        shutil.copyfile(model, copy)
        os.chmod(copy, 0o600)
        config = os.path.join(scratch, 'tocsin.yaml')
        with open(config, 'w') as file:
            file.write('detect:\n  false_alarms_per_day: %g\n' % budget)
        out = os.path.join(scratch, 'out')
        paths = make(scratch, tick, days)
        subprocess.run([tocsin, 'backtest', '--quiet', '-c', config, '--model',
                        copy, '--root', scratch, '--out', out] + paths,
                       check=True)
        return [beginnings(os.path.join(out, os.path.basename(path))) / days
                for path in paths]
    finally:
        shutil.rmtree(scratch)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print('alerts a day of clean traffic, %d files each' % (
        COLUMNS + SERVICES))
    for tick, days, budget in TRIALS:
        each = sorted(count(sys.argv[1], sys.argv[2], tick, days, budget))
        print('rows of %3d s, budget %3d: mean %.1f, median %.1f, from %.1f to '
              '%.1f' % (tick, budget, statistics.mean(each),
                        statistics.median(each), each[0], each[-1]),
              flush=True)


if __name__ == '__main__':
    main()
