"""Batches of labelled synthetic rows, and training on them.

The statistics of a batch are those of the shipped module, run forward tick by
tick over all its series at once; after that rows are independent of each
other, so they are shuffled and learned from in minibatches. Most rows of a
series are calm and alike: those are thinned out, and count for more.

The network that is kept is an average over the last steps (Polyak and
Juditsky, Acceleration of stochastic approximation by averaging, 1992).
"""
import copy

import numpy as np
import torch

import generator
import services
from causal import INPUTS
from teachers import Teachers

COLUMNS = 1024       # series of one column in a round
ROWS = 2048          # of each
SERVICES = 64        # services in a round
TICKS = 1024         # of each
MINIBATCH = 16384    # columns' rows
TEACHERS = 6
PASSES = 2           # of them over the rows of a round
GROUPS = 12          # steps of a round on groups of unrelated columns
AVERAGED = 500       # last steps that the average is about
LOUD = [INPUTS.index(name)
        for name in ('z3000', 'z150', 'z20', 'step', 'fast3')]
CALM = .12           # of the calm rows are kept


class Rows:
    """Everything Network.loss wants, [.., F, N], in the order of ticks."""

    def __init__(self, replay, x, season, own, own_weight, joint,
                 joint_weight):
        """x [B,T,F], season [B,T,P,Q], own and weight [B,T,F], joint and
        weight [B,T,2]"""
        B, T, F = x.shape
        with torch.no_grad():
            self.parts = list(replay(x, season))

        def rows(a):
            return a.permute(2, 1, 0).reshape(-1, T * B)

        self.x = rows(x)
        self.own, self.own_weight = rows(own), rows(own_weight)
        self.joint = rows(joint)
        self.joint_weight = rows(joint_weight)
        self.calm = self.own_weight * (self.own == 0.)

    def take(self, index, more=None):
        """The rows of an index, in the order of Network.loss; `more`: what
        each counts for, [N]."""
        inputs, facts, candidates, scale = self.parts
        parts = [a[..., index] for a in (
            inputs, facts, candidates, scale, self.x, self.own,
            self.own_weight, self.joint, self.joint_weight, self.calm)]
        if more is not None:
            for weight in (6, 8, 9):
                parts[weight] = parts[weight] * more[index]
        return tuple(parts)

    def thinned(self):
        """-> an index of some rows, shuffled, and what each counts for"""
        loud = self.parts[0][LOUD].abs().amax((0, 1))
        chance = (CALM + .3 * (loud - 1.)).clamp(CALM, 1.)
        chance[self.joint.amax(0) > 0.] = 1.
        chance[self.joint_weight.amax(0) == 0.] = 0.
        index = (torch.rand(len(chance)) < chance).nonzero()[:, 0]
        return index[torch.randperm(len(index))], 1. / chance


def columns(replay, seed, count=COLUMNS, rows=ROWS):
    """Series of one column."""
    made = [generator.column(seed + i, rows) for i in range(count)]
    x, season, label, weight = (
        torch.from_numpy(np.stack([m[k] for m in made]).astype(np.float32))
        for k in range(4))
    return Rows(replay, x[:, :, None], season[:, :, :, None],
                label[:, :, :1], weight[:, :, :1], label, weight)


def together(parts, size):
    """Rows of one column side by side, as rows of `size` unknown columns:
    something is wrong if one of them is. Where one is not judged the group is
    not, or there would be more that is wrong than there is."""
    inputs, facts, candidates, scale, x, own, own_weight, joint, weight, calm \
        = parts
    N = x.shape[1] // size

    def side(a):
        return a[..., 0, :N * size].reshape(a.shape[:-2] + (size, N))

    labels = (joint * (weight > 0.))[:, None, :]
    surest = side(labels).amax(1)
    weights = side(weight[:, None, :])
    least = weights.amin(1)
    weights = torch.where((surest > .3) & (least > 0.), weights.amax(1), least)
    return tuple(side(a) for a in (inputs, facts, candidates, scale, x, own,
                                   own_weight)) + (surest, weights, side(calm))


class Trainer:
    """Adam at a falling rate, and the average of the last steps."""

    def __init__(self, network, rate=3e-3, clip=1.):
        self.network = network
        self.average = copy.deepcopy(network)
        self.rate, self.clip = rate, clip
        self.optimizer = torch.optim.Adam(network.parameters(), rate)
        self.steps = 0
        self.mean = {}

    def learn(self, name, loss, left):
        """One step; `left` is the share of training that is still to come."""
        for group in self.optimizer.param_groups:
            group['lr'] = self.rate * left * min(1., (self.steps + 1) / 50.) \
                + 2e-5
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step()
        self.steps += 1
        with torch.no_grad():
            pull = max(1. / AVERAGED, 10. / (10. + self.steps))
            for a, b in zip(self.average.parameters(),
                            self.network.parameters()):
                a.lerp_(b, pull)
        old = self.mean.get(name, loss.item())
        self.mean[name] = old + .01 * (loss.item() - old)


def school(replay, rounds, seed, report):
    """-> teachers that have learned for so many rounds"""
    trainer = Trainer(Teachers(TEACHERS), clip=TEACHERS ** .5)
    for done in range(rounds):
        left = 1. - done / rounds
        rows = columns(replay, seed + COLUMNS * done)
        for _ in range(PASSES):
            index, more = rows.thinned()
            for part in index.split(MINIBATCH):
                taken = rows.take(part, more)
                trainer.learn('teachers', trainer.network.loss(
                    taken[0], taken[7], taken[8]), left)
        report(done + 1, rounds, trainer)
    return trainer.average


class Pupil:
    """The network that is shipped: of a single column it learns from the
    teachers; of several, and of services, from the labels."""

    def __init__(self, network, teachers):
        self.network, self.teachers = network, teachers
        self.trainer = Trainer(network)

    def columns(self, rows, left):
        index, more = rows.thinned()
        for part in index.split(MINIBATCH):
            taken = rows.take(part, more)
            said = self.teachers.say(taken[0])
            self.trainer.learn(
                'columns', self.network.loss_alone(*taken[:5], said, taken[9]),
                left)

    def groups(self, rows, left):
        for _ in range(GROUPS):
            index = torch.randint(rows.x.shape[1], (MINIBATCH,))
            size = 2 + int(torch.randint(5, (1,)))
            self.trainer.learn('groups', self.network.loss(
                *together(rows.take(index), size)), left)

    def services(self, rows, left):
        F, N = rows.x.shape
        for index in torch.randperm(N).split(MINIBATCH // F):
            self.trainer.learn('services', self.network.loss(
                *rows.take(index)), left)


def train(network, replay, rounds, seed, report):
    """Trains for so many rounds, teachers for half as many before; the same
    seed, the same network."""
    schooled = (rounds + 1) // 2
    teachers = school(replay, schooled, seed, report)
    seed += COLUMNS * schooled
    pupil = Pupil(network, teachers)
    for done in range(rounds):
        left = 1. - done / rounds
        rows = columns(replay, seed + COLUMNS * done)
        pupil.columns(rows, left)
        pupil.groups(rows, left)
        pupil.services(services.batch(
            replay, seed + COLUMNS * done, SERVICES, TICKS, Rows), left)
        report(done + 1, rounds, pupil.trainer)
    network.load_state_dict(pupil.trainer.average.state_dict())
