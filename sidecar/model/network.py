"""The network: evidence of each column, of the columns together, and the band.

One set of weights serves every column, so F is free; what a column measures
(its kind) is told to the first layer where it is known. The columns of a
series meet once, by maximum and mean over those observed: a latency that
rises with the number in flight is another thing than one that rises alone.
"""
from typing import Final, Tuple

import torch
from torch import Tensor, nn

from causal import FACTS, INPUTS

HIDDEN = 32          # of a column
JOINT = 24           # what a column says to the others
BAND = 20
CANDIDATES = 5       # of the expected value


def product(weight: Tensor, a: Tensor, exact: bool) -> Tensor:
    """weight [H,C] times a [C,N], |a| <= 16.

    The kernels of a matrix product add up in an order that depends on the
    size of the matrix and on a row's place in it. An exact product does not:
    of weights in 1/1024 and inputs in 1/32 every partial sum is a whole
    number below 2^24, as long as no row of weights sums up to more than 32.
    So a series' bits are its own, whoever is scored beside it."""
    if exact:
        return torch.mm(torch.round(weight * 1024.),
                        torch.round(a * 32.)) * (1. / 32768.)
    return torch.mm(weight, a)


class Network(nn.Module):
    HIDDEN: Final[int] = HIDDEN
    JOINT: Final[int] = JOINT
    BAND: Final[int] = BAND
    CANDIDATES: Final[int] = CANDIDATES

    def __init__(self, kinds: int):
        super().__init__()
        self.kinds = kinds
        self.first = nn.Parameter(torch.randn(HIDDEN, len(INPUTS))
                                  * (1. / len(INPUTS)) ** .5)
        self.unknown = nn.Parameter(torch.zeros(HIDDEN, 1))
        self.known = nn.Parameter(torch.zeros(HIDDEN, kinds))
        self.second = nn.Parameter(torch.randn(JOINT, HIDDEN)
                                   * (1. / HIDDEN) ** .5)
        self.second_bias = nn.Parameter(torch.zeros(JOINT, 1))
        # Of a column: sticks out, sticks out and hurts, is news and hurts.
        self.out = nn.Parameter(torch.randn(3, JOINT) * .1)
        self.out_bias = nn.Parameter(torch.full((3, 1), -3.))
        self.meet = nn.Parameter(torch.randn(JOINT, 2 * JOINT)
                                 * (.5 / JOINT) ** .5)
        self.meet_bias = nn.Parameter(torch.zeros(JOINT, 1))
        self.joint = nn.Parameter(torch.zeros(2, JOINT))
        self.band_first = nn.Parameter(torch.randn(BAND, FACTS)
                                       * (1. / FACTS) ** .5)
        self.band_bias = nn.Parameter(torch.zeros(BAND, 1))
        self.band_kind = nn.Parameter(torch.zeros(BAND, kinds))
        self.band_out = nn.Parameter(torch.zeros(CANDIDATES + 2, BAND))
        self.band_out_bias = nn.Parameter(
            torch.tensor([0., 1., 0., 0., 0., 1., 1.])[:, None])

    def evidence(self, inputs: Tensor, seen: Tensor, exact: bool
                 ) -> Tuple[Tensor, Tensor]:
        """inputs [C,B,F], seen [B,F] (0 or 1)
        -> of columns [3,B,F] (meaningless where not seen), joint [2,B]"""
        C, B, F = inputs.shape
        kind = self.known if F == self.kinds else self.unknown.expand(-1, F)
        h = product(self.first, inputs.view(C, B * F), exact)
        h = (h.view(self.HIDDEN, B, F) + kind[:, None, :]).clamp(0., 16.)
        h = product(self.second, h.view(self.HIDDEN, B * F), exact)
        h = (h + self.second_bias).clamp(0., 16.)
        out = product(self.out, h, exact) + self.out_bias
        out = out.view(3, B, F)
        h = h.view(self.JOINT, B, F) * seen
        pooled = torch.cat([h.amax(2), h.sum(2)
                            / seen.sum(1).clamp(min=1.)])
        h = product(self.meet, pooled, exact) + self.meet_bias
        hurt = (out[1:] - (1. - seen) * 50.).amax(2)
        return out, hurt + product(self.joint, h.clamp(0., 16.), exact)

    def band(self, facts: Tensor, candidates: Tensor, scale: Tensor,
             exact: bool) -> Tuple[Tensor, Tensor, Tensor]:
        """facts [FACTS,B,F], candidates [5,B,F], scale [B,F]
        -> expected, low, high [B,F]"""
        C, B, F = facts.shape
        bias = self.band_bias + self.band_kind if F == self.kinds \
            else self.band_bias.expand(-1, F)
        h = product(self.band_first, facts.view(C, B * F), exact)
        h = (h.view(self.BAND, B, F) + bias[:, None, :]).clamp(0., 16.)
        h = product(self.band_out, h.view(self.BAND, B * F), exact)
        h = (h + self.band_out_bias).view(self.CANDIDATES + 2, B, F)
        there = (candidates == candidates).to(facts.dtype)
        weight = h[:self.CANDIDATES].clamp(-20., 20.).exp() * there
        expected = (weight * torch.nan_to_num(candidates)).sum(0) \
            / weight.sum(0)
        width = nn.functional.softplus(h[self.CANDIDATES:]) * scale
        return expected, expected - width[0], expected + width[1]

    def loss(self, inputs: Tensor, facts: Tensor, candidates: Tensor,
             scale: Tensor, x: Tensor, own: Tensor, own_weight: Tensor,
             joint: Tensor, joint_weight: Tensor, calm: Tensor) -> Tensor:
        """Of N rows: inputs [C,N,F] and so on, x [N,F]; labels (0 to 1) and
        weights of columns [N,F] and of the row [2,N]; calm [N,F]: weights of
        the band's error, in which unobserved values count for nothing."""
        seen = ((x - x) == 0.).to(x.dtype)
        out, told = self.evidence(inputs, seen, False)
        bce = nn.functional.binary_cross_entropy_with_logits
        own_weight = own_weight * seen
        columns = bce(out[0], own, own_weight, reduction='sum') \
            / own_weight.sum().clamp(min=1.)
        rows = bce(told, joint, joint_weight, reduction='sum') \
            / joint_weight[0].sum().clamp(min=1.)

        expected, low, high = self.band(facts, candidates, scale, False)
        calm = calm * seen / scale
        x = torch.where(seen > 0., x, expected.detach())
        error = pinball(x - expected, .5) + pinball(x - low, .01) \
            + pinball(x - high, .99)
        band = (error * calm).clamp(max=20.).sum() / seen.sum().clamp(min=1.)
        return columns + rows + band * .1


def pinball(error: Tensor, quantile: float) -> Tensor:
    return torch.maximum(error * quantile, error * (quantile - 1.))
