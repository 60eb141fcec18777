"""Batches of labelled synthetic rows, and training on them.

The statistics of a batch are the shipped module's own, run forward tick by
tick over all its series at once; after that rows are independent of each
other, so they are shuffled and learned from in minibatches.
"""
import time

import numpy as np
import torch

import generator
import services

COLUMNS = 512        # series of one column in a batch
ROWS = 2048          # of each
SERVICES = 64        # services in a batch
TICKS = 1024         # of each
MINIBATCH = 16384    # columns' rows


class Rows:
    """Everything Network.loss wants, [.., F, N], in the order of ticks."""

    def __init__(self, detector, x, season, own, own_weight, joint,
                 joint_weight):
        """x [B,T,F], season [B,T,P,Q], own and weight [B,T,F], joint and
        weight [B,T,2]"""
        B, T, F = x.shape
        with torch.no_grad():
            self.parts = list(detector.replay(x, season))

        def rows(a):
            return a.permute(2, 1, 0).reshape(-1, T * B)

        self.x = rows(x)
        self.own, self.own_weight = rows(own), rows(own_weight)
        self.joint = rows(joint)
        self.joint_weight = rows(joint_weight)
        self.calm = self.own_weight * (self.own == 0.)

    def take(self, index):
        """The rows of an index, in the order of Network.loss."""
        inputs, facts, candidates, scale = self.parts
        return tuple(a[..., index] for a in (
            inputs, facts, candidates, scale, self.x, self.own,
            self.own_weight, self.joint, self.joint_weight, self.calm))


def columns(detector, seed, count=COLUMNS, rows=ROWS):
    """Series of one column."""
    made = [generator.column(seed + i, rows) for i in range(count)]
    x, season, label, weight = (
        torch.from_numpy(np.stack([m[k] for m in made]).astype(np.float32))
        for k in range(4))
    return Rows(detector, x[:, :, None], season[:, :, :, None],
                label[:, :, :1], weight[:, :, :1], label, weight)


def together(parts, size):
    """Rows of one column side by side, as rows of `size` unknown columns:
    something is wrong if one of them is."""
    inputs, facts, candidates, scale, x, own, own_weight, joint, weight, calm \
        = parts
    N = x.shape[1] // size

    def side(a):
        return a[..., 0, :N * size].reshape(a.shape[:-2] + (size, N))

    labels = (joint * (weight > 0.))[:, None, :]
    surest = side(labels).amax(1)
    weights = side(weight[:, None, :])
    weights = torch.where(surest > .3, weights.amax(1), weights.amin(1))
    return tuple(side(a) for a in (inputs, facts, candidates, scale, x, own,
                                   own_weight)) + (surest, weights, side(calm))


class Trainer:
    def __init__(self, detector, rate=3e-3):
        self.network = detector.network
        self.rate = rate
        self.optimizer = torch.optim.Adam(self.network.parameters(), rate)
        self.mean = {}

    def learn(self, name, parts, left):
        """One step; `left` is the share of training that is still to come."""
        for group in self.optimizer.param_groups:
            group['lr'] = self.rate * left + 2e-5
        loss = self.network.loss(*parts)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.)
        self.optimizer.step()
        old = self.mean.get(name, loss.item())
        self.mean[name] = old + .01 * (loss.item() - old)

    def batch(self, name, rows, left):
        F, N = rows.x.shape
        order = torch.randperm(N)
        for index in order.split(max(64, MINIBATCH // F)):
            parts = rows.take(index)
            if F == 1 and torch.rand(1).item() < .3:
                size = 2 + int(torch.rand(1).item() * 5)
                parts = together(parts, size)
            self.learn(name, parts, left)


def train(detector, seconds, seed, report):
    """Trains for so many CPU seconds."""
    trainer = Trainer(detector)
    start, batches = time.process_time(), 0
    while True:
        spent = time.process_time() - start
        if spent >= seconds:
            return trainer.mean
        left = 1. - spent / seconds
        if batches % 3 == 2:
            rows = services.batch(detector, seed, SERVICES, TICKS, Rows)
            trainer.batch('services', rows, left)
        else:
            trainer.batch('columns', columns(detector, seed), left)
        seed += COLUMNS
        batches += 1
        if batches % 10 == 0:
            report(batches, spent, trainer.mean)
