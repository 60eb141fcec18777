"""What is known of a column from its past alone, one tick at a time.

Statistics holds no parameters: it turns the row of a tick into inputs for
the network, and the state of the series into the next state. Everything is
in units of the column's own behaviour, so that one network serves a latency
in seconds and a counter in millions. It runs inside the exported module: the
program that trains and the one that scores cannot disagree about it.

Layout. Work is channels first, [C, B, F], so that every operation runs over
contiguous memory whatever F is; a series' state is one row of S floats:
`COLUMN` channels of F columns, then `SEASON` channels of the Q columns that
have seasons (the first two, or fewer). An unobserved value (NaN) moves
nothing but the memory of yesterday's bin.
"""
from typing import Final, Tuple

import torch
from torch import Tensor, nn

DAY = 86400
SEASONS = [DAY - 300, DAY, 2 * DAY, 3 * DAY, 7 * DAY - 300, 7 * DAY]

# Inputs of the network, in their order.
INPUTS = [
    'z3000', 'z150', 'z20', 'zlog', 'step', 'step_z', 'level', 'fast3',
    'fast10', 'above', 'below', 'extreme', 'volatility', 'flat', 'zero',
    'zeros', 'age',
    'day', 'median', 'week', 'day_band', 'median_band', 'week_band',
    'day_level', 'day_step', 'has_day', 'has_median', 'has_week']
Z150 = INPUTS.index('z150')

# Facts for the band of the next value, in units of the widest spread.
FACTS = 14


def squash_(z: Tensor) -> Tensor:
    """Linear up to 3, logarithmic beyond; in place."""
    a = z.abs()
    over = (a - 3.).clamp_(min=0.)
    a.sub_(over).add_(over.log1p_())
    return z.copy_(torch.copysign(a, z))


class Statistics(nn.Module):
    # Channels of the state of one column.
    COUNT: Final[int] = 0       # values seen
    MEAN: Final[int] = 1        # of memories 3000, 150, 20; of the log domain
    VARIANCE: Final[int] = 5    # of the same
    EWMA: Final[int] = 9        # |step|, |x|, |step| (quick), share of zeros,
                                # x (what the extremes are drawn to)
    FAST: Final[int] = 14       # x, forgotten within 3 and 10 ticks
    PREVIOUS: Final[int] = 16   # x; then high, low, quantiles .05 .5 .95
    LOW: Final[int] = 18
    QUANTILE: Final[int] = 19
    FLAT: Final[int] = 22       # ticks without a change
    COLUMN: Final[int] = 23

    # Channels of the state of one column with seasons.
    BIN: Final[int] = 0         # of a day and of a week ago, one tick earlier
    SPREAD: Final[int] = 2      # mean distance to day, median of days, week
    SEEN: Final[int] = 5        # how often each was there
    SEASON: Final[int] = 8
    SEASON_COLUMNS: Final[int] = 2

    FACTS: Final[int] = 14
    INPUTS: Final[int] = 28
    OWN: Final[int] = 17        # inputs of any column; the rest: of seasons
    WARM: Final[float] = 30.    # values before outliers are held back

    def __init__(self):
        super().__init__()

        def rate(*ticks: float) -> Tensor:
            return 1. / torch.tensor(ticks)[:, None, None]

        def constant(*values: float) -> Tensor:
            return torch.tensor(values)[:, None, None]

        self.register_buffer('mean_rate', rate(3000., 150., 20., 3000.))
        self.register_buffer('in_units', constant(1., 1., 1., 0.))
        self.register_buffer('log_floor', constant(0., 0., 0., .02))
        self.register_buffer('ewma_rate', rate(500., 1000., 6.67, 300., 1000.))
        self.register_buffer('fast_rate', rate(3., 10.))
        self.register_buffer('fast_gain', constant(2.24, 4.36))
        self.register_buffer('quantile', constant(.05, .5, .95))

    @torch.jit.export
    def initial(self, B: int, F: int) -> Tensor:
        Q = min(self.SEASON_COLUMNS, F)
        s = torch.zeros(B, F * self.COLUMN + Q * self.SEASON)
        s[:, F * self.COLUMN:F * self.COLUMN + 2 * Q] = float('nan')
        return s

    def forward(self, x: Tensor, season: Tensor, s: Tensor, floor: Tensor
                ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """x [B,F], season [B,P,Q], s [B,S]; floor [F]: the least spread.

        -> inputs [C,B,F], facts [FACTS,B,F], candidates [5,B,F] for the
        expected value (NaN: not there), scale [B,F], novelty [B,F], s'."""
        B, F = x.shape
        Q = min(self.SEASON_COLUMNS, F)
        seen = (x - x) == 0.
        x = torch.where(seen, x, 0.).clamp_(-1e15, 1e15)
        old = s[:, :F * self.COLUMN].view(B, self.COLUMN, F).permute(1, 0, 2)
        old = old.contiguous()
        n = old[self.COUNT]
        begun = n > 0.
        level = torch.where(begun, old[self.PREVIOUS:self.FLAT], x)
        previous, high, low = level[0], level[1], level[2]
        quantile = level[3:6]
        mean = old[self.MEAN:self.VARIANCE]
        variance = old[self.VARIANCE:self.EWMA]
        ewma = old[self.EWMA:self.FAST]
        size = x.abs()
        reach = high - low
        least = torch.maximum(reach * 1e-3, mean[0].abs() * 1e-5).add_(floor)
        reach = torch.maximum(reach, least)

        # Distances from means, and steps.
        extent = torch.where(begun, ewma[1], size).mul_(.2).add_(least)
        distance = torch.empty_like(mean)
        torch.sub(x, mean[:3], out=distance[:3])
        torch.sub(torch.asinh(x / extent), mean[3], out=distance[3])
        spread = torch.maximum(variance.sqrt(),
                               least * self.in_units + self.log_floor)
        wide, mid, middle = spread[0], spread[1], quantile[1]
        step = x - previous
        moved = step.abs()
        stride = torch.maximum(ewma[0], least * .3)
        share = torch.reciprocal(n + 1.)
        new = torch.empty_like(old)
        fast = old[self.FAST:self.PREVIOUS]
        fast2 = new[self.FAST:self.PREVIOUS]
        torch.sub(x, fast, out=fast2)
        fast2.mul_(torch.maximum(share, self.fast_rate)).add_(fast)
        inputs = torch.zeros(self.INPUTS, B, F)
        torch.div(distance, spread, out=inputs[0:4])
        z = inputs[0:4].clamp(-5., 5.)
        torch.div(step, stride * 1.5, out=inputs[4])
        torch.div(step, wide, out=inputs[5])
        torch.div(mean[2] - mean[0], wide, out=inputs[6])
        torch.sub(fast2, mean[1], out=inputs[7:9])
        inputs[7:9].div_(mid).mul_(self.fast_gain)
        off = x - middle
        torch.div(off.clamp(min=0.),
                  torch.maximum(quantile[2] - middle, least), out=inputs[9])
        torch.div(off.neg_().clamp_(min=0.),
                  torch.maximum(middle - quantile[0], least), out=inputs[10])
        squash_(inputs[0:11])

        # Beyond what was ever seen; stillness; age.
        beyond = (x - high).clamp_(min=0.).sub_((low - x).clamp_(min=0.))
        beyond.div_(reach)
        old_enough = (n >= 20.).to(x.dtype)
        torch.mul(torch.log1p(beyond.abs() * 8.), torch.sign(beyond),
                  out=inputs[11])
        inputs[11].add_(torch.sign(beyond), alpha=.2).mul_(old_enough)
        tenth = least * .1
        torch.div(ewma[2] + tenth, stride + tenth, out=inputs[12])
        inputs[12].log_().clamp_(-3., 3.)
        flat = torch.where((moved == 0.) & begun, old[self.FLAT] + 1., 0.)
        torch.mul(torch.log1p(flat), .25, out=inputs[13])
        inputs[14].copy_(size == 0.)
        inputs[15].copy_(ewma[3])
        torch.mul(torch.log1p(n), .125, out=inputs[16])
        novelty = torch.where(n >= 100., beyond, 0.)

        # The same times of earlier days.
        kept = s[:, F * self.COLUMN:].view(B, self.SEASON, Q).permute(1, 0, 2)
        seasonal, centre, kept = self.seasonal(
            x[:, :Q].contiguous(), step[:, :Q].contiguous(),
            seen[:, :Q].contiguous(), season, kept.contiguous(),
            mean[0, :, :Q].contiguous(), wide[:, :Q].contiguous(),
            least[:, :Q].contiguous())
        inputs[self.OWN:, :, :Q].copy_(seasonal)
        inputs.clamp_(-8., 8.).mul_((seen & begun).to(x.dtype))
        candidates = torch.full([5, B, F], float('nan'))
        candidates[0:2].copy_(mean[0:2])
        candidates[2:, :, :Q].copy_(centre)
        facts, scale = self.facts(n, mean, spread, quantile, ewma[3],
                                  candidates, least, begun)

        # The next state.
        warm = n > self.WARM
        move = torch.where(warm, z.mul_(spread), distance)
        a = torch.maximum(share, self.mean_rate)
        moving = a * move
        torch.add(mean, moving, out=new[self.MEAN:self.VARIANCE])
        variance2 = new[self.VARIANCE:self.EWMA]
        torch.mul(moving, move, out=variance2)
        variance2.add_(variance).mul_(a.neg_().add_(1.)).clamp_(min=1e-30)
        ewma2 = new[self.EWMA:self.FAST]
        torch.minimum(moved, stride * 6., out=ewma2[0])
        torch.minimum(size, extent * 25., out=ewma2[1])
        torch.minimum(moved, stride * 8., out=ewma2[2])
        ewma2[0].copy_(torch.where(warm, ewma2[0], moved))
        ewma2[1].copy_(torch.where(warm, ewma2[1], size))
        ewma2[2].copy_(torch.where(warm, ewma2[2], moved))
        ewma2[3].copy_(size == 0.)
        ewma2[4].copy_(x)
        ewma2.sub_(ewma).mul_(torch.maximum(share, self.ewma_rate)).add_(ewma)
        pull = ewma2[4]
        torch.maximum(high + (pull - high).mul_(1e-4), x,
                      out=new[self.PREVIOUS + 1])
        torch.minimum(low + (pull - low).mul_(1e-4), x,
                      out=new[self.PREVIOUS + 2])
        new[self.COUNT].copy_(n).add_(1.)
        new[self.PREVIOUS].copy_(x)
        new[self.FLAT].copy_(flat)
        pace = torch.reciprocal(n.clamp(min=1.)).mul_(4.).clamp_(min=.02)
        pace.mul_(wide)
        first = torch.stack([torch.minimum(quantile[0], x), new[self.MEAN],
                             torch.maximum(quantile[2], x)])
        later = (x <= quantile).to(x.dtype).neg_().add_(self.quantile)
        later.mul_(pace).add_(quantile)
        new[self.QUANTILE:self.FLAT].copy_(torch.where(n < 20., first, later))
        s2 = torch.empty_like(s)
        s2[:, :F * self.COLUMN].view(B, self.COLUMN, F).copy_(
            torch.where(seen, new, old).permute(1, 0, 2))
        s2[:, F * self.COLUMN:].view(B, self.SEASON, Q).copy_(
            kept.permute(1, 0, 2))
        return inputs, facts, candidates, scale, novelty, s2

    def seasonal(self, x: Tensor, step: Tensor, seen: Tensor, season: Tensor,
                 kept: Tensor, mean: Tensor, wide: Tensor, least: Tensor
                 ) -> Tuple[Tensor, Tensor, Tensor]:
        """x, step, seen, mean, wide, least [B,Q], kept [self.SEASON,B,Q]
        -> inputs [11,B,Q], centres of day, median and week [3,B,Q], kept'"""
        bins = season.permute(1, 0, 2).contiguous()
        bins = torch.where((bins - bins) == 0., bins.clamp(-1e15, 1e15),
                           float('nan'))
        at = torch.stack([bins[1], bins[5]])
        ahead = torch.stack([bins[0], bins[4]])
        behind = kept[self.BIN:self.SPREAD]
        near_high = torch.fmax(torch.fmax(at, ahead), behind)
        near_low = torch.fmin(torch.fmin(at, ahead), behind)

        days = torch.stack([bins[1], bins[2], bins[3], bins[5]])
        there = days == days
        count = there.sum(0)
        total = torch.where(there, days, 0.).sum(0)
        top = torch.fmax(torch.fmax(days[0], days[1]),
                         torch.fmax(days[2], days[3]))
        bottom = torch.fmin(torch.fmin(days[0], days[1]),
                            torch.fmin(days[2], days[3]))
        # The median of two, three or four.
        median = torch.where(count > 2, (total - top - bottom)
                             / (count - 2).clamp(min=1), total * .5)
        median = torch.where((count > 1) & there[0], median, float('nan'))
        centre = torch.stack([at[0], median, at[1]])
        upper = torch.stack([near_high[0], top, near_high[1]])
        lower = torch.stack([near_low[0], bottom, near_low[1]])

        spread, times = kept[self.SPREAD:self.SEEN], kept[self.SEEN:self.SEASON]
        ok = (centre == centre) & seen
        live = ok & (times >= 5.)
        gap = x - centre
        scale = torch.maximum(spread, least)
        band = (x - upper).clamp(min=0.) - (lower - x).clamp(min=0.)
        was = behind[0]
        was = torch.where(was == was, was, at[0])
        inputs = torch.cat([
            gap / (scale * 1.3), band / scale,
            ((at[0] - mean) / wide)[None],
            ((step - (at[0] - was)) / scale[0])[None]])
        having = torch.cat([live, live, live[0:1], live[0:1]])
        inputs = torch.where(having, squash_(inputs), 0.)
        inputs = torch.cat([inputs, live.to(x.dtype)])

        far = gap.abs()
        far = torch.where(times >= 10., torch.minimum(far, spread * 6. + least),
                          far)
        times2 = times + 1.
        spread2 = spread + (1. / times2).clamp(min=1. / 800.) * (far - spread)
        kept2 = torch.cat([at, torch.where(ok, spread2, spread),
                           torch.where(ok, times2, times)])
        return inputs, torch.where(live, centre, float('nan')), kept2

    def facts(self, n: Tensor, mean: Tensor, spread: Tensor, quantile: Tensor,
              zeros: Tensor, candidates: Tensor, least: Tensor, begun: Tensor
              ) -> Tuple[Tensor, Tensor]:
        """What the band is made from: nothing of this tick's value."""
        scale = mean[0].abs().add_(least).div_(n + 1.)
        scale.add_(torch.maximum(spread[0], spread[1]))
        facts = torch.empty(self.FACTS, n.shape[0], n.shape[1])
        torch.sub(mean[2], mean[0], out=facts[0])
        torch.sub(candidates[1:], mean[0], out=facts[1:5])
        torch.sub(quantile[2], quantile[1], out=facts[5])
        torch.sub(quantile[1], quantile[0], out=facts[6])
        facts[0:7].div_(scale)
        facts[2:5].nan_to_num_(0.)
        facts[7:10].copy_(candidates[2:] == candidates[2:])
        torch.mul(torch.log1p(n), .125, out=facts[10])
        torch.div(spread[1], scale, out=facts[11])
        torch.div(scale, mean[0].abs().add_(scale), out=facts[12])
        facts[13].copy_(zeros)
        return facts.clamp_(-4., 4.).mul_(begun.to(n.dtype)), scale
