"""Anomalies made by the module itself, for learning where nobody labels.

Six in ten windows get a change in some of its columns: added, multiplied or
taken away, for one tick or for many. Only the onset is labelled, and softly,
by how far the change leaves the spread of the column: what nobody could see
is not held against the network. All randomness is torch's own, so a seed
fixes it.
"""
import math
from typing import Tuple

import torch
from torch import Tensor


def severity(peak: Tensor) -> Tensor:
    """How surely a change of so many spreads should be told, 0 to 1: from
    2.5, which nobody would see, to 12, which nobody could miss."""
    return (torch.log(peak / 2.5 + 1e-9) / math.log(12. / 2.5)).clamp(0., 1.)


def inject(x: Tensor, rises: Tensor, falls: Tensor, warm_up: int
           ) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """x [B,T,F], rises and falls [F]: the directions that hurt
    -> x', label of columns [B,T,F], label of the row [B,T], weight [B,T]"""
    B, T, F = x.shape
    seen = x == x
    plain = torch.where(seen, x, torch.zeros_like(x))
    count = seen.sum(1, keepdim=True).clamp(min=1).to(x.dtype)
    mean = plain.sum(1, keepdim=True) / count
    spread = (torch.where(seen, x - mean, torch.zeros_like(x)).square()
              .sum(1, keepdim=True) / count).sqrt() + mean.abs() * .05 + 1e-9
    least = plain.amin(1, keepdim=True)

    # When, for how long, which columns, which way, how much.
    at = warm_up + (torch.rand(B, 1, 1) * (T - warm_up - 2)).floor()
    last = at + torch.exp(torch.rand(B, 1, 1) * math.log(T / 3.)).floor()
    tick = torch.arange(T, dtype=x.dtype)[None, :, None]
    during = (tick >= at) & (tick < last)
    chosen = torch.rand(B, 1, F) < .1 + .5 * torch.rand(B, 1, 1)
    chosen = chosen | (torch.arange(F) == (torch.rand(B, 1, 1) * F).floor())
    chosen = chosen & (torch.rand(B, 1, 1) < .6)
    up = torch.rand(B, 1, F) < .7
    much = torch.exp(.3 + 3.2 * torch.rand(B, 1, F))
    rough = .8 + .4 * torch.rand(B, T, F)
    added = torch.where(torch.rand(B, 1, F) < .6, spread * much * rough,
                        plain.abs() * (much * .25) * rough)
    fallen = torch.where(least >= 0., plain * torch.rand(B, 1, F) * .5,
                         plain - spread * much * rough)
    changed = torch.where(during & chosen,
                          torch.where(up, plain + added, fallen), plain)

    peak = ((changed - plain).abs() / spread).amax(1, keepdim=True)
    told = severity(peak) * ((tick < at + 6.) & during).to(x.dtype)
    hurts = torch.where(changed > plain, rises, falls)
    row = (told * hurts).amax(2)
    after = (tick >= at + 6.) & (tick < last + 3.) & chosen.any(2, True)
    weight = (tick >= float(warm_up)) & ~after
    return (torch.where(seen, changed, x), told, row,
            weight[:, :, 0].to(x.dtype))
