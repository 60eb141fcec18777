"""The module that is shipped: the reference of the contract of model.h.

    initial(B[, F]) -> s[B,S]
    step(x[B,F], past[B,K,F], season[B,P,Q], s[B,S])
        -> (expected[B,F], low[B,F], high[B,F], evidence[B,5+F], s'[B,S])
    loss(x[B,T,F], past[B,T,K,F], season[B,T,P,Q]) -> scalar

expected, low and high are for the very x of the step, known before it.

evidence, one row for a series; NaN where nothing was observed:
    logit_a   does this row stick out, in a way that hurts (natural log odds)
    logit_b   is it news: the onset of a rare change that hurts
    z150      the largest |z| of memory 150, winsorised and squashed, in the
              direction that hurts
    novelty   the largest distance beyond slowly forgotten extremes, in units
              of their range, in the direction that hurts
    column    the index of the column that tells most
    e:...     for each column: its own logit (sticks out, harm or not) + |z150|

With F = len(features) the columns are of known kinds; with any other F they
are of none, both directions hurt, and the first two have seasons.
"""
from typing import List, Tuple

import torch
from torch import Tensor, nn

from causal import SEASONS, Statistics, Z150
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
ROWS = ['logit_a', 'logit_b', 'z150', 'novelty', 'column']
WARM_UP = 32         # ticks of a window that are not judged


class Detector(nn.Module):
    version: str
    features: List[str]
    season_features: List[str]
    lags: List[int]
    seasons: List[int]
    evidence: List[str]
    state: int

    def __init__(self, version: str):
        super().__init__()
        F = len(KINDS)
        self.version = version
        self.features = [k[0] for k in KINDS]
        self.season_features = self.features[:Statistics.SEASON_COLUMNS]
        self.lags = torch.jit.annotate(List[int], [])
        self.seasons = SEASONS
        self.evidence = ROWS + ['e:' + k[0] for k in KINDS]
        self.kinds = F
        self.low = Statistics.LOW
        self.z150 = Z150
        self.rows = len(ROWS)
        self.warm_up = WARM_UP
        self.statistics = Statistics()
        self.network = Network(F)
        self.register_buffer('floors', torch.tensor([k[1] for k in KINDS]))
        self.register_buffer('rises', torch.tensor([k[2] for k in KINDS]))
        self.register_buffer('falls', torch.tensor([k[3] for k in KINDS]))
        self.register_buffer('tops', torch.tensor(
            [1. if k[0] in SHARES else 1e30 for k in KINDS]))
        self.state = self.statistics.initial(1, F).shape[1]

    @torch.jit.export
    def initial(self, B: int, F: int = 13) -> Tensor:
        return self.statistics.initial(B, F)

    @torch.jit.export
    def step(self, x: Tensor, past: Tensor, season: Tensor, s: Tensor
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        F = x.shape[1]
        inputs, facts, candidates, scale, novelty, s2 = self.statistics(
            x, season, s, self.floor(F))
        seen = ((x - x) == 0.).to(x.dtype)
        own, joint = self.network.evidence(inputs, seen, True)
        expected, low, high = self.network.band(facts, candidates, scale,
                                                True)
        low = torch.where(s[:, self.low * F:(self.low + 1) * F] >= 0.,
                          low.clamp(min=0.), low)
        z = inputs[self.z150]
        if F == self.kinds:
            high = torch.minimum(high, torch.maximum(self.tops, expected))
            z_hurts = torch.maximum(z * self.rises, -z * self.falls)
            novel = torch.maximum(novelty * self.rises, -novelty * self.falls)
        else:
            z_hurts = z.abs()
            novel = novelty.abs()
        away = (1. - seen) * 100.
        told = torch.stack([
            joint[0], joint[1], z_hurts.amax(1), (novel - away).amax(1),
            (own[1] + z_hurts - away).argmax(1).to(x.dtype)], 1)
        told = torch.cat([told, own[0] + z.abs()], 1)
        nan = torch.full_like(told, float('nan'))
        rows = seen.amax(1, keepdim=True).expand(-1, self.rows)
        told = torch.where(torch.cat([rows, seen], 1) > 0., told, nan)
        return expected, torch.minimum(low, expected), high, told, s2

    @torch.jit.export
    def loss(self, x: Tensor, past: Tensor, season: Tensor) -> Tensor:
        B, T, F = x.shape
        rises = self.rises if F == self.kinds else torch.ones(F)
        falls = self.falls if F == self.kinds else torch.ones(F)
        x2, own, row, weight = inject(x, rises, falls, self.warm_up)
        with torch.no_grad():
            inputs, facts, candidates, scale = self.replay(x2, season)
        rows = [T * B, F]
        row = row.t().reshape(1, T * B)
        weight = weight.t().reshape(T * B)
        calm = (weight * (row[0] == 0.).to(x.dtype))[:, None]
        return self.network.loss(
            inputs, facts, candidates, scale,
            x2.transpose(0, 1).reshape(rows), own.transpose(0, 1).reshape(rows),
            weight[:, None].expand(rows),
            torch.cat([row, (row > 0.).to(x.dtype)]), weight.expand(2, -1),
            calm.expand(rows))

    def replay(self, x: Tensor, season: Tensor
               ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """The statistics of windows from a cold start, T-major:
        x [B,T,F] -> inputs [C,T*B,F], facts, candidates, scale [T*B,F]"""
        B, T, F = x.shape
        s = self.statistics.initial(B, F)
        floor = self.floor(F)
        inputs: List[Tensor] = []
        facts: List[Tensor] = []
        candidates: List[Tensor] = []
        scales: List[Tensor] = []
        for t in range(T):
            i, f, c, scale, _, s = self.statistics(
                x[:, t].contiguous(), season[:, t], s, floor)
            inputs.append(i)
            facts.append(f)
            candidates.append(c)
            scales.append(scale)
        return (torch.cat(inputs, 1), torch.cat(facts, 1),
                torch.cat(candidates, 1), torch.cat(scales))

    def floor(self, F: int) -> Tensor:
        if F == self.kinds:
            return self.floors
        return torch.full([F], 1e-12)
