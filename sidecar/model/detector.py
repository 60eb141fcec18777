"""The module that is shipped: the reference of the contract of model.h.

    initial(B[, F]) -> s[B,S]
    step(x[B,F], past[B,K,F], season[B,P,Q], s[B,S])
        -> (expected[B,F], low[B,F], high[B,F], evidence[B,7+F], s'[B,S])
    loss(x[B,T,F], past[B,T,K,F], season[B,T,P,Q]) -> scalar

    statistics = 'causal-1', floor(F) -> [F,1],
    judge(x, inputs, novelty) -> evidence
    band(facts, candidates, scale, lowest) -> (expected, low, high)
    of what Statistics of causal.py returns
    disturb(x[B,T,F]) -> [x', labels...]
    learn(disturbed, inputs, facts, candidates, scale) -> scalar
    of what replay returns

A host that knows the statistics of that name computes them itself (causal.c),
calls judge, and band where somebody wants it; step, which does it all, is what
they must agree with. Training calls disturb and learn likewise, and loss is
what they must agree with.

expected, low and high are for the very x of the step, known before it.

evidence, one row for a series; NaN where nothing was observed:
    logit_a   does this row stick out, in a way that hurts (natural log odds)
    logit_b   is it news: the onset of a rare change that hurts
    z150      the largest |z| of memory 150, winsorised and squashed, in the
              direction that hurts
    novelty   the largest distance beyond slowly forgotten extremes, in units
              of their range, in the direction that hurts
    drift     the signed distance, squashed, from the same hours of other days
              where those are known, from the level in the log domain where
              not: of the column where it is largest, in the direction that
              hurts; what stays away for long is told by its mean
    roughness how much larger (smaller: negative) steps have become, as a
              logarithm: of the column where that is largest by magnitude
    column    the index of the column that tells most
    e:...     for each column: its own logit (sticks out, harm or not) + |z150|

With F = len(features) the columns are of known kinds; with any other F they
are of none, both directions hurt, and the first two have seasons.
"""
from typing import List, Tuple

import torch
from torch import Tensor, nn

from causal import INPUTS, SEASONS, Statistics, Z150
from inject import inject
from network import Network

# name, least spread, hurts when it rises, hurts when it falls
KINDS = [
    ('rate', .05, 0., 1.),
    ('latency_p50', 1e-3, 1., 0.),
    ('errors', .01, 1., 0.),
    ('client_errors', .01, 1., 0.),
    ('local_errors', .01, 1., 0.),
    ('latency_p95', 1e-3, 1., 0.),
    ('inflight', .5, 1., 0.),
    ('oldest', .05, 1., 0.),
    ('bytes', 16., 0., 0.),
    ('connect', 1e-3, 1., 0.),
    ('header', 1e-3, 1., 0.),
    ('retries', .01, 1., 0.),
    ('cache_hits', .02, 0., 1.)]
SHARES = ('errors', 'client_errors', 'local_errors', 'cache_hits')
ROWS = ['logit_a', 'logit_b', 'z150', 'novelty', 'drift', 'roughness', 'column']
WARM_UP = 32         # ticks of a window that are not judged


def farthest(a: Tensor) -> Tensor:
    """Of each column of a the entry farthest from 0, signed."""
    most, least = a.amax(0, True), a.amin(0, True)
    return torch.where(most >= -least, most, least)


class Detector(nn.Module):
    version: str
    features: List[str]
    season_features: List[str]
    lags: List[int]
    seasons: List[int]
    evidence: List[str]
    state: int
    statistics: str

    def __init__(self, version: str):
        super().__init__()
        F = len(KINDS)
        self.version = version
        self.features = [k[0] for k in KINDS]
        self.season_features = self.features[:Statistics.SEASON_COLUMNS]
        self.lags = torch.jit.annotate(List[int], [])
        self.seasons = SEASONS
        self.evidence = ROWS + ['e:' + k[0] for k in KINDS]
        self.statistics = 'causal-1'
        self.kinds = F
        self.z150 = Z150
        self.z_log = INPUTS.index('zlog')
        self.from_days = INPUTS.index('median_band')
        self.has_days = INPUTS.index('has_median')
        self.volatility = INPUTS.index('volatility')
        self.rows = len(ROWS)
        self.warm_up = WARM_UP
        self.causal = Statistics()
        self.network = Network(F)
        # Of each kind: least spread, which way it hurts, the most there is.
        def each(values: List[float]) -> Tensor:
            return torch.tensor(values)[:, None]

        self.register_buffer('floors', each([k[1] for k in KINDS]))
        self.register_buffer('rises', each([k[2] for k in KINDS]))
        self.register_buffer('drops', each([-k[3] for k in KINDS]))
        self.register_buffer('tops', each(
            [1. if k[0] in SHARES else 1e30 for k in KINDS]))
        self.register_buffer('zero', torch.tensor(0.))
        self.register_buffer('one', torch.tensor(1.))
        self.register_buffer('hundred', torch.tensor(100.))
        self.register_buffer('nan', torch.tensor(float('nan')))
        self.state = self.causal.initial(1, F).shape[1]

    @torch.jit.export
    def initial(self, B: int, F: int = 13) -> Tensor:
        return self.causal.initial(B, F)

    @torch.jit.export
    def step(self, x: Tensor, past: Tensor, season: Tensor, s: Tensor
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        inputs, facts, candidates, scale, novelty, lowest, s2 = \
            self.causal(x, season, s, self.floor(x.shape[1]))
        told = self.judge(x, inputs, novelty)
        expected, low, high = self.band(facts, candidates, scale, lowest)
        return expected, low, high, told, s2

    @torch.jit.export
    def judge(self, x: Tensor, inputs: Tensor, novelty: Tensor) -> Tensor:
        """The evidence, from the statistics of x."""
        F = x.shape[1]
        seen = ((x - x) == self.zero).t().to(x.dtype).contiguous()
        own, joint = self.network.evidence(inputs, seen, True)
        z, rough = inputs[self.z150], inputs[self.volatility]
        drift = torch.where(inputs[self.has_days] > self.zero,
                            inputs[self.from_days], inputs[self.z_log])
        if F == self.kinds:
            z_hurts = torch.maximum(z * self.rises, z * self.drops)
            novel = torch.maximum(novelty * self.rises, novelty * self.drops)
            drift = torch.maximum(drift * self.rises, drift * self.drops)
        else:
            z_hurts = z.abs()
            novel = novelty.abs()
        away = (seen - self.one) * self.hundred
        told = torch.cat([
            joint, z_hurts.amax(0, True), (novel + away).amax(0, True),
            farthest(drift), farthest(rough),
            (own[1] + z_hurts + away).argmax(0, True).to(x.dtype),
            own[0] + z.abs()])
        rows = seen.amax(0, keepdim=True).expand(self.rows, -1)
        told = torch.where(torch.cat([rows, seen]) > self.zero, told, self.nan)
        return told.t().contiguous()

    @torch.jit.export
    def band(self, facts: Tensor, candidates: Tensor, scale: Tensor,
             lowest: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """What was expected of an x, and between which ends."""
        expected, low, high = self.network.band(facts, candidates, scale, True)
        low = torch.where(lowest >= self.zero, low.clamp(min=0.), low)
        if scale.shape[0] == self.kinds:
            high = torch.minimum(high, torch.maximum(self.tops, expected))
        return (expected.t().contiguous(),
                torch.minimum(low, expected).t().contiguous(),
                high.t().contiguous())

    @torch.jit.export
    def disturb(self, x: Tensor) -> List[Tensor]:
        """x with anomalies in it, and their labels (see inject)."""
        F = x.shape[2]
        ones = torch.ones(F)
        rises = self.rises[:, 0] if F == self.kinds else ones
        falls = -self.drops[:, 0] if F == self.kinds else ones
        x2, own, row, weight = inject(x, rises, falls, self.warm_up)
        return [x2, own, row, weight]

    @torch.jit.export
    def learn(self, disturbed: List[Tensor], inputs: Tensor, facts: Tensor,
              candidates: Tensor, scale: Tensor) -> Tensor:
        """The loss of what disturb returned, by its statistics."""
        x, own = disturbed[0], disturbed[1]
        B, T, F = x.shape
        shape = [F, T * B]
        row = disturbed[2].t().reshape(1, T * B)
        weight = disturbed[3].t().reshape(1, T * B)
        calm = weight * (row == 0.).to(x.dtype)
        return self.network.loss(
            inputs, facts, candidates, scale,
            x.permute(2, 1, 0).reshape(shape),
            own.permute(2, 1, 0).reshape(shape), weight.expand(shape),
            torch.cat([row, (row > 0.).to(x.dtype)]), weight.expand(2, -1),
            calm.expand(shape))

    @torch.jit.export
    def loss(self, x: Tensor, past: Tensor, season: Tensor) -> Tensor:
        disturbed = self.disturb(x)
        with torch.no_grad():
            inputs, facts, candidates, scale = self.replay(disturbed[0],
                                                           season)
        return self.learn(disturbed, inputs, facts, candidates, scale)

    def replay(self, x: Tensor, season: Tensor
               ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """The statistics of windows from a cold start, rows by tick:
        x [B,T,F] -> inputs [C,F,T*B], facts, candidates, scale [F,T*B]"""
        B, T, F = x.shape
        s = self.causal.initial(B, F)
        floor = self.floor(F)
        inputs: List[Tensor] = []
        facts: List[Tensor] = []
        candidates: List[Tensor] = []
        scales: List[Tensor] = []
        for t in range(T):
            i, f, c, scale, _, _, s = self.causal(
                x[:, t], season[:, t], s, floor)
            inputs.append(i)
            facts.append(f)
            candidates.append(c)
            scales.append(scale)
        return (torch.cat(inputs, 2), torch.cat(facts, 2),
                torch.cat(candidates, 2), torch.cat(scales, 1))

    @torch.jit.export
    def floor(self, F: int) -> Tensor:
        """The least spread of each column, [F,1]."""
        if F == self.kinds:
            return self.floors
        return torch.full([F, 1], 1e-12)
