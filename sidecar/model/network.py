"""The network: evidence of each column, of the columns together, and the band.

One set of weights serves every column, so F is free; what a column measures
(its kind) is told to the first layer where it is known. The columns of a
series meet once, by maximum and mean over those observed: a latency that
rises with the number in flight is another thing than one that rises alone.

Whether a row sticks out is told without knowing other days: a spike that comes
every midnight sticks out of the night each time. Whether it is news takes all
that is known. So of each layer the first channels see the first of the layer
before alone, down to the inputs that a column has of its own; what they tell
is head A, and head B hears them too.
"""
from typing import Final, Tuple

import torch
from torch import Tensor, nn

from causal import CANDIDATES, FACTS, INPUTS, Statistics

HIDDEN = 32          # of a column
JOINT = 24           # what a column says to the others
OWN = Statistics.OWN # inputs that know nothing of other days...
OWN_HIDDEN = 20      # ...and channels that hear of no others
OWN_JOINT = 16
BAND = 20


# The kernels of a matrix product add up in an order that depends on the size
# of the matrix and on a row's place in it. A product of whole numbers does
# not: of weights in 1/1024 and inputs up to 16 in 1/32 every partial sum is
# exact in float32, as long as the weights of a row sum up to 32 at most (the
# bias, which the sum begins with, is rounded to the product's unit). So
# when the network steps, a series' bits are its own, whoever is scored beside
# it; when it learns, it uses the weights as they are.

def grid(a: Tensor, exact: bool) -> Tensor:
    """Inputs for layers: in whole 1/32."""
    return (a * 32.).round_() if exact else a


def layer(weight: Tensor, bias: Tensor, a: Tensor, exact: bool) -> Tensor:
    """weight [H,C], bias [H,F] or [H,1], a [C,F*B] -> [H,F*B], 0 to 16"""
    H, F = bias.shape
    if exact:
        h = (torch.round(bias * 32768.) / 1024.)[:, :, None]
        h = h.expand(H, F, a.shape[1] // F)
        h = h.clone(memory_format=torch.contiguous_format).view(H, -1)
        h.addmm_(torch.round(weight * 1024.) / 1024., a)
        return h.clamp_(0., 512.).round_()
    h = torch.mm(weight, a).view(H, F, -1)
    return (h + bias[:, :, None]).clamp(0., 16.).view(H, a.shape[1])


def last(weight: Tensor, a: Tensor, exact: bool) -> Tensor:
    """weight [H,C], a [C,N] -> [H,N], whatever its size"""
    if exact:
        return torch.mm(torch.round(weight * 1024.) / 32768., a)
    return torch.mm(weight, a)


def softplus(a: Tensor) -> Tensor:
    """That of torch is not vectorized."""
    return a.clamp(max=30.).exp().log1p()


def apart(narrow: int, wide: int, own_narrow: int, own_wide: int) -> Tensor:
    """A mask of weights [narrow, wide]: the first channels see the first."""
    mask = torch.ones(narrow, wide)
    mask[:own_narrow, own_wide:] = 0.
    return mask


class Network(nn.Module):
    HIDDEN: Final[int] = HIDDEN
    JOINT: Final[int] = JOINT
    BAND: Final[int] = BAND
    CANDIDATES: Final[int] = len(CANDIDATES)

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
        self.register_buffer('first_sees', apart(
            HIDDEN, len(INPUTS), OWN_HIDDEN, OWN))
        self.register_buffer('second_sees', apart(
            JOINT, HIDDEN, OWN_JOINT, OWN_HIDDEN))
        self.register_buffer('out_sees', apart(3, JOINT, 2, OWN_JOINT))
        self.register_buffer('meet_sees', apart(
            JOINT, JOINT, OWN_JOINT, OWN_JOINT).repeat(1, 2))
        self.register_buffer('joint_sees', apart(2, JOINT, 1, OWN_JOINT))
        self.band_first = nn.Parameter(torch.randn(BAND, len(FACTS))
                                       * (1. / len(FACTS)) ** .5)
        self.band_bias = nn.Parameter(torch.zeros(BAND, 1))
        self.band_kind = nn.Parameter(torch.zeros(BAND, kinds))
        self.band_out = nn.Parameter(torch.zeros(len(CANDIDATES) + 2, BAND))
        self.band_out_bias = nn.Parameter(
            torch.tensor([0., 1., 0., 0., 0., 1., 1.])[:, None])

    def evidence(self, inputs: Tensor, seen: Tensor, exact: bool
                 ) -> Tuple[Tensor, Tensor]:
        """inputs [C,F,B], seen [F,B] (0 or 1)
        -> of columns [3,F,B] (meaningless where not seen), joint [2,B]"""
        C, F, B = inputs.shape
        kind = self.known if F == self.kinds else self.unknown
        h = layer(self.first * self.first_sees, kind,
                  grid(inputs.view(C, F * B), exact), exact)
        h = layer(self.second * self.second_sees, self.second_bias, h, exact)
        out = last(self.out * self.out_sees, h, exact) + self.out_bias
        out = out.view(3, F, B)
        h = h.view(self.JOINT, F, B) * seen
        mean = h.sum(1) / seen.sum(0).clamp(min=1.)
        pooled = torch.cat([h.amax(1), mean.round() if exact else mean])
        h = layer(self.meet * self.meet_sees, self.meet_bias, pooled, exact)
        hurt = (out[1:] - (1. - seen) * 50.).amax(1)
        return out, hurt + last(self.joint * self.joint_sees, h, exact)

    def band(self, facts: Tensor, candidates: Tensor, scale: Tensor,
             exact: bool) -> Tuple[Tensor, Tensor, Tensor]:
        """facts [FACTS,F,B], candidates [5,F,B], scale [F,B]
        -> expected, low, high [F,B]"""
        C, F, B = facts.shape
        bias = self.band_bias
        if F == self.kinds:
            bias = bias + self.band_kind
        h = layer(self.band_first, bias, grid(facts.view(C, F * B), exact),
                  exact)
        h = last(self.band_out, h, exact) + self.band_out_bias
        h = h.view(self.CANDIDATES + 2, F, B)
        there = (candidates == candidates).to(facts.dtype)
        weight = h[:self.CANDIDATES].clamp(-20., 20.).exp() * there
        expected = (weight * torch.nan_to_num(candidates)).sum(0) \
            / weight.sum(0)
        width = softplus(h[self.CANDIDATES:]) * scale
        return expected, expected - width[0], expected + width[1]

    def loss(self, inputs: Tensor, facts: Tensor, candidates: Tensor,
             scale: Tensor, x: Tensor, own: Tensor, own_weight: Tensor,
             joint: Tensor, joint_weight: Tensor, calm: Tensor) -> Tensor:
        """Of N rows: inputs [C,F,N] and so on, x [F,N]; labels (0 to 1) and
        weights of columns [F,N] and of the row [2,N]; calm [F,N]: weights of
        the band's error, in which unobserved values count for nothing."""
        seen = ((x - x) == 0.).to(x.dtype)
        out, told = self.evidence(inputs, seen, False)
        bce = nn.functional.binary_cross_entropy_with_logits
        own_weight = own_weight * seen
        columns = bce(out[0], own, own_weight, reduction='sum') \
            / own_weight.sum().clamp(min=1.)
        rows = bce(told, joint, joint_weight, reduction='none').sum(1) \
            / joint_weight.sum(1).clamp(min=1.)

        return columns + rows.sum() + self.loss_band(facts, candidates, scale,
                                                     x, calm)

    def loss_alone(self, inputs: Tensor, facts: Tensor, candidates: Tensor,
                   scale: Tensor, x: Tensor, told: Tensor, calm: Tensor
                   ) -> Tensor:
        """Of N rows of one column, where the log odds are known, told [2,N]:
        what it sticks out is then told alike by itself and by the row."""
        seen = ((x - x) == 0.).to(x.dtype)
        out, said = self.evidence(inputs, seen, False)
        near = nn.functional.smooth_l1_loss
        known = near(out[0, 0], told[0]) + near(said, told) * 2.
        return known * .2 + self.loss_band(facts, candidates, scale, x, calm)

    def loss_band(self, facts: Tensor, candidates: Tensor, scale: Tensor,
                  x: Tensor, calm: Tensor) -> Tensor:
        expected, low, high = self.band(facts, candidates, scale, False)
        seen = (x - x) == 0.
        calm = calm * seen.to(x.dtype)
        x = torch.where(seen, x, expected.detach())
        error = pinball(x - expected, .5) + pinball(x - low, .01) \
            + pinball(x - high, .99)
        error = (error / scale).clamp(max=20.) * calm
        return error.sum() / calm.sum().clamp(min=1.) * .1


def pinball(error: Tensor, quantile: float) -> Tensor:
    return torch.maximum(error * quantile, error * (quantile - 1.))
