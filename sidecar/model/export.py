#!/usr/bin/python3
"""Defines, pre-trains and exports the default model.

usage: export.py OUT.pt [--native LIB] [--rounds N] [--seed N] [--version NAME]

Training is on synthetic series alone, by a number of rounds and with fixed
seeds: every machine with AVX2 makes the same file, to the last bit. Prints what
the exported network does on series that it never saw. With the statistics of
causal.c as a shared library (`make model` builds it) a round takes a third of
the time.

causal.py      what is known of a column from its past; native.py: by causal.c
network.py     evidence and bands from that
inject.py      anomalies for learning where nobody labels
detector.py    the module: the reference of the contract of model.h
generator.py   synthetic series of one column; services.py: of a service
teachers.py    several networks, from whose mean the one that is shipped learns
pretrain.py    batches and training
"""
import argparse
import io
import os
import sys
import time

# Before torch is loaded; constants of a module are written in hash order, and
# sums are rounded in the order of the widest registers that are used.
FIXED = {'OPENBLAS_NUM_THREADS': '1', 'PYTHONHASHSEED': '0',
         'OPENBLAS_CORETYPE': 'Haswell', 'ATEN_CPU_CAPABILITY': 'avx2'}
if __name__ == '__main__' and any(os.environ.get(k) != v
                                  for k, v in FIXED.items()):
    os.environ.update(FIXED)
    os.execv(sys.executable, [sys.executable] + sys.argv)

import torch

import pretrain
import services
from causal import Z150
from detector import Detector
from native import Native

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


def reporter(every):
    start = time.monotonic()

    def report(done, rounds, trainer):
        if done % every == 0 or done == rounds:
            print('%3d of %d rounds, %4d steps, %4.0f s, loss %s' % (
                done, rounds, trainer.steps, time.monotonic() - start,
                ', '.join('%s %.4f' % item
                          for item in sorted(trainer.mean.items()))),
                flush=True)
    return report


def save(detector, path):
    """Without the paths of these sources, which debug records hold: a file
    shall not depend on where it was made."""
    whole = io.BytesIO()
    torch.jit.save(torch.jit.script(detector), whole)
    whole.seek(0)
    reader = torch._C.PyTorchFileReader(whole)
    part = path + '.part'
    with open(part, 'wb') as file:
        writer = torch._C.PyTorchFileWriter(file)
        for name in sorted(reader.get_all_records()):
            if not name.endswith('.debug_pkl') and name != 'version':
                record = reader.get_record(name)
                writer.write_record(name, record, len(record))
        writer.write_end_of_file()
    os.chmod(part, 0o644)
    os.replace(part, path)


def main():
    parser = argparse.ArgumentParser(description='train and export a model')
    parser.add_argument('out')
    parser.add_argument('--native', metavar='LIB')
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--version', default='default-1')
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    detector = Detector(options.version)
    replay = detector.replay
    if options.native:
        native = Native(options.native)

        def replay(x, season):
            return native.replay(detector, x, season)
    pretrain.train(detector.network, replay, options.rounds,
                   options.seed * 10 ** 6, reporter(5))
    if options.rounds:
        held_out(detector.network,
                 pretrain.columns(replay, HELD_OUT, 512), 'columns')
        held_out(detector.network,
                 services.batch(replay, HELD_OUT, 64, 1024, pretrain.Rows),
                 'services')
    save(detector, options.out)
    print('%s: version %s, %d bytes' % (options.out, options.version,
                                        os.path.getsize(options.out)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
