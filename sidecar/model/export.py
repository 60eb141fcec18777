#!/usr/bin/python3
"""Defines, pre-trains and exports the default model.

usage: export.py OUT.pt [--seconds CPU_SECONDS] [--seed N] [--version NAME]

Training is on synthetic series alone, with fixed seeds; the seconds are CPU
time of one core, so how far it gets, and the last bits, depend on the
machine. Prints what the exported file does on series that it never saw.

causal.py      what is known of a column from its past
network.py     evidence and bands from that
inject.py      anomalies for learning where nobody labels
detector.py    the module: the reference of the contract of model.h
generator.py   synthetic series of one column; services.py: of a service
pretrain.py    batches and training
"""
import argparse
import os
import sys

os.environ['OPENBLAS_NUM_THREADS'] = '1'     # before it is loaded

import torch

import pretrain
import services
from causal import Z150
from detector import Detector

HELD_OUT = 10 ** 9   # seeds from here on are never trained on


def precision(score, label, weight):
    """Average precision of a score, by the weights of rows."""
    order = score.argsort(descending=True)
    hit = (label * weight)[order].cumsum(0)
    all_ = weight[order].cumsum(0)
    gain = (label * weight)[order]
    return float((hit / all_.clamp(min=1e-9) * gain).sum()
                 / gain.sum().clamp(min=1e-9))


def held_out(network, rows, name):
    """One line: how well both heads rank rows, beside plain z150."""
    inputs, seen = rows.parts[0], (rows.x == rows.x).float()
    with torch.no_grad():
        _, joint = network.evidence(inputs, seen, True)
        band = network.band(*rows.parts[1:], True)
    z = (inputs[Z150].abs() * seen).amax(0)
    judged = seen * rows.calm
    inside = ((rows.x >= band[1]) & (rows.x <= band[2])).float()
    said = [precision(s, rows.joint[h], rows.joint_weight[h])
            for s, h in ((joint[0], 0), (z, 0), (joint[0] + z, 0),
                         (joint[1], 1), (z, 1))]
    print('%-9s average precision: sticks out %.3f (z150 %.3f, both %.3f), '
          'news %.3f (z150 %.3f); %.2f %% of calm values in the band'
          % ((name,) + tuple(said)
             + (100. * float((inside * judged).sum() / judged.sum()),)))


def report(batches, spent, mean):
    print('%4d batches, %3.0f s, loss %s' % (batches, spent, ', '.join(
        '%s %.4f' % item for item in sorted(mean.items()))), flush=True)


def main():
    parser = argparse.ArgumentParser(description='train and export a model')
    parser.add_argument('out')
    parser.add_argument('--seconds', type=float, default=600.)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--version', default='default-1')
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    detector = Detector(options.version)
    detector.statistics = torch.jit.script(detector.statistics)
    pretrain.train(detector, options.seconds, options.seed * 10 ** 6, report)
    held_out(detector.network,
             pretrain.columns(detector, HELD_OUT), 'columns')
    held_out(detector.network,
             services.batch(detector, HELD_OUT, 64, 1024, pretrain.Rows),
             'services')
    part = options.out + '.part'
    torch.jit.script(detector).save(part)
    os.chmod(part, 0o644)
    os.replace(part, options.out)
    print('%s: version %s, %d bytes' % (options.out, options.version,
                                        os.path.getsize(options.out)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
