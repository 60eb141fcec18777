"""Writes small modules into a directory: toy.pt keeps the contract of model.h,
each of the others breaks it in one way.

usage: models.py DIR
"""
import os
import sys
from typing import List, Tuple

import torch
from torch import Tensor, nn


class Toy(nn.Module):
    """Expects one level everywhere; learns it from windows."""
    features: List[str]
    season_features: List[str]
    lags: List[int]
    seasons: List[int]
    evidence: List[str]
    statistics: str

    def __init__(self):
        super().__init__()
        self.statistics = ''
        self.version = 'toy-1'
        self.features = ['rate', 'errors']
        self.season_features = ['rate']
        self.lags = [1, 60]
        self.seasons = [86400]
        self.evidence = ['logit_a', 'e:rate', 'e:errors']
        self.state = 4
        self.level = nn.Parameter(torch.zeros(1))
        self.width = nn.Parameter(torch.ones(1))

    @torch.jit.export
    def initial(self, B: int, F: int = 2) -> Tensor:
        return torch.zeros(B, 2 * F)

    @torch.jit.export
    def step(self, x: Tensor, past: Tensor, season: Tensor, s: Tensor
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        expected = self.level.expand(x.shape)
        away = (x - expected).abs()
        evidence = torch.cat([away.amax(1, keepdim=True), away], 1)
        return (expected, expected - self.width, expected + self.width,
                evidence, s + 1.)

    @torch.jit.export
    def loss(self, x: Tensor, past: Tensor, season: Tensor) -> Tensor:
        noise = torch.rand(1) * 1e-3
        seen = x == x
        error = torch.where(seen, x - self.level, torch.zeros_like(x))
        return error.square().sum() / seen.sum() + noise.sum()


class NoLoss(Toy):
    @torch.jit.unused
    def loss(self, x: Tensor, past: Tensor, season: Tensor) -> Tensor:
        return x


class FourTensors(Toy):
    @torch.jit.export
    def step(self, x: Tensor, past: Tensor, season: Tensor, s: Tensor
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        return x, x, x, s


class WrongBand(Toy):
    @torch.jit.export
    def step(self, x: Tensor, past: Tensor, season: Tensor, s: Tensor
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        return x, x[:, :1], x, torch.cat([x, x[:, :1]], 1), s


class Doubles(Toy):
    @torch.jit.export
    def step(self, x: Tensor, past: Tensor, season: Tensor, s: Tensor
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        return x.double(), x, x, torch.cat([x, x[:, :1]], 1), s


class Throws(Toy):
    @torch.jit.export
    def step(self, x: Tensor, past: Tensor, season: Tensor, s: Tensor
             ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        if x.shape[0] > 0:
            raise ValueError('a step too far')
        return x, x, x, x, s


class NanLoss(Toy):
    """Fine until it was trained once."""

    @torch.jit.export
    def loss(self, x: Tensor, past: Tensor, season: Tensor) -> Tensor:
        return torch.sqrt(self.level - 1e-3).sum() * 0. \
            if float(self.level) != 0. else (self.level * 1.).sum()


class Inverted(Toy):
    """Its loss falls as its band turns inside out."""

    @torch.jit.export
    def loss(self, x: Tensor, past: Tensor, season: Tensor) -> Tensor:
        return self.width.sum() + 10.


def save(directory, name, module, **attributes):
    for key, value in attributes.items():
        if value is None:
            delattr(module, key)
        else:
            setattr(module, key, value)
    torch.jit.script(module).save(os.path.join(directory, name + '.pt'))


class NoVersion(Toy):
    def __init__(self):
        super().__init__()
        del self.version


class FloatLags(nn.Module):
    """Has the methods, and a list of another type."""
    lags: List[float]

    def __init__(self):
        super().__init__()
        self.version = 'toy-1'
        self.features = ['rate']
        self.season_features = ['rate']
        self.evidence = ['logit_a']
        self.lags = [1., 2.]
        self.seasons = [86400]
        self.state = 1

    @torch.jit.export
    def initial(self, B: int) -> Tensor:
        return torch.zeros(B, 1)

    @torch.jit.export
    def step(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def loss(self, x: Tensor) -> Tensor:
        return x


def main():
    directory = sys.argv[1]
    save(directory, 'toy', Toy())
    save(directory, 'no_version', NoVersion())
    save(directory, 'float_lags', FloatLags())
    save(directory, 'long_version', Toy(), version='v' * 64)
    save(directory, 'three_seasons', Toy(),
         season_features=['rate', 'errors', 'rate'])
    save(directory, 'long_lag', Toy(), lags=[1, 513])
    save(directory, 'no_features', Toy(), features=[])
    save(directory, 'wrong_state', Toy(), state=5)
    save(directory, 'wrong_evidence', Toy(), evidence=['logit_a', 'e:rate'])
    save(directory, 'no_loss', NoLoss())
    save(directory, 'four_tensors', FourTensors())
    save(directory, 'wrong_band', WrongBand())
    save(directory, 'doubles', Doubles())
    save(directory, 'throws', Throws())
    save(directory, 'nan_loss', NanLoss())
    save(directory, 'inverted', Inverted())
    save(directory, 'other_shape', Toy(), lags=[1, 61])
    save(directory, 'no_judge', Toy(), statistics='causal-1')
    default = torch.jit.load('conf/default.pt')
    default.save(os.path.join(directory, 'default.pt'))
    default.statistics = 'its own'
    default.save(os.path.join(directory, 'by_hand.pt'))


if __name__ == '__main__':
    main()
