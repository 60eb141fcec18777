"""What is known of a column from its past alone, one tick at a time.

Statistics holds no parameters: it turns the row of a tick into inputs for
the network, and the state of the series into the next state. Everything is
in units of the column's own behaviour, so that one network serves a latency
in seconds and a counter in millions. It runs inside the exported module: the
program that trains and the one that scores cannot disagree about it.

Layout. Work is channels first and rows last, [C, F, B]: every operation then
runs over long contiguous memory whatever F is. A series' state is one row of
S floats: `COLUMN` channels of F columns, then `SEASON` channels of the Q
columns that have seasons (the first two, or fewer). An unobserved value (NaN)
moves nothing but the memory of yesterday's bin.

Cost. A step of 64 rows is a matter of how many operations there are, each
two microseconds whatever it does: so channels of one form are stacked, much
is done in place, and constants are tensors, since a Python number is turned
into one, and that into float32, at every use.
"""
from typing import Final, Tuple

import torch
from torch import Tensor, nn

DAY = 86400
SEASONS = [DAY - 300, 7 * DAY - 300, DAY, 7 * DAY, 2 * DAY, 3 * DAY]

# Inputs of the network, in their order.
INPUTS = [
    'z3000', 'z150', 'z20', 'zlog', 'step', 'step_z', 'level', 'fast3',
    'fast10', 'above', 'below', 'extreme', 'flat', 'age', 'volatility',
    'zero', 'zeros',
    'day', 'week', 'median', 'day_band', 'week_band', 'median_band',
    'day_level', 'day_step', 'has_day', 'has_week', 'has_median']
Z150 = INPUTS.index('z150')

# Candidates for the expected value, in their order.
CANDIDATES = ['mean3000', 'mean150', 'day', 'week', 'median']

# What the band is made from, in units of the widest spread.
FACTS = ['level', 'mean150', 'day', 'week', 'median', 'above', 'below',
         'has_day', 'has_week', 'has_median', 'age', 'narrow', 'relative',
         'zeros']


class Statistics(nn.Module):
    # Channels of the state of one column.
    COUNT: Final[int] = 0       # values seen
    MEAN: Final[int] = 1        # of memories 3000, 150, 20; of the log domain
    VARIANCE: Final[int] = 5    # of the same
    EWMA: Final[int] = 9        # |step|, |x|, |step| (quick), share of zeros,
                                # x (what the extremes are drawn to)
    FAST: Final[int] = 14       # x, forgotten within 3 and 10 ticks
    PREVIOUS: Final[int] = 16   # x
    HIGH: Final[int] = 17
    LOW: Final[int] = 18
    QUANTILE: Final[int] = 19   # .95, .5, .05
    FLAT: Final[int] = 22       # ticks without a change
    COLUMN: Final[int] = 23

    # Channels of the state of one column with seasons.
    BIN: Final[int] = 0         # of a day and of a week ago, one tick earlier
    SPREAD: Final[int] = 2      # mean distance to day, week, median of days
    SEEN: Final[int] = 5        # how often each was there
    SEASON: Final[int] = 8
    SEASON_COLUMNS: Final[int] = 2

    INPUTS: Final[int] = 28
    OWN: Final[int] = 17        # inputs of any column; the rest: of seasons
    FACTS: Final[int] = 14

    def __init__(self):
        super().__init__()

        def channels(*values: float) -> Tensor:
            return torch.tensor(values)[:, None, None]

        # One number each.
        for name, value in dict(
                zero=0., one=1., nan=float('nan'), far=1e30, warm=30.,
                thousandth=1e-3, little=1e-5, tenth=.1,
                fifth=.2, third=.3, three=3., four=4., eighth=.125, six=6.,
                five=5., ten=10., twenty=20.).items():
            self.register_buffer(name, torch.tensor(value))

        # The values' flags: seen before, 20 before, 30, 100.
        self.register_buffer('begins', -channels(0., 19., 30., 99.))
        self.register_buffer('rates', 1. / channels(
            3000., 150., 20., 3000., 500., 1000., 6.67, 300., 1000., 3., 10.))
        self.register_buffer('in_units', channels(1., 1., 1., 0.))
        self.register_buffer('log_floor', channels(0., 0., 0., .02))
        self.register_buffer('gain', channels(1. / 1.5, 1., 1., 2.24, 4.36))
        self.register_buffer('caps', channels(6., 25., 8.))
        self.register_buffer('aim', channels(.95, .5, .05))
        self.register_buffer('logs', channels(8., 1., 1.))
        self.register_buffer('log_gain', channels(1., .25, .125))
        self.register_buffer('season_gain', channels(
            1. / 1.3, 1. / 1.3, 1. / 1.3, 1., 1., 1., 1., 1.))

    @torch.jit.export
    def initial(self, B: int, F: int) -> Tensor:
        Q = min(self.SEASON_COLUMNS, F)
        s = torch.zeros(B, F * self.COLUMN + Q * self.SEASON)
        s[:, F * self.FLAT:F * self.COLUMN] = -1.
        s[:, F * self.COLUMN:F * self.COLUMN + 2 * Q] = float('nan')
        return s

    def squash_(self, z: Tensor) -> Tensor:
        """Linear up to 3, logarithmic beyond; in place."""
        a = z.abs()
        over = torch.sub(a, self.three).clamp_(min=0.)
        a.sub_(over).add_(over.log1p_())
        return torch.copysign(a, z, out=z)

    def forward(self, x: Tensor, season: Tensor, s: Tensor, floor: Tensor
                ) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                           Tensor]:
        """x [B,F], season [B,P,Q], s [B,S]; floor [F,1]: the least spread.

        -> inputs [C,F,B], facts [FACTS,F,B], candidates [5,F,B] for the
        expected value (NaN: not there), scale [F,B], novelty [F,B], the
        lowest value so far [F,B], s' [B,S]"""
        B, F = x.shape
        Q = min(self.SEASON_COLUMNS, F)
        x = x.t().contiguous()
        seen = (x - x) == self.zero
        x = torch.where(seen, x, self.zero).clamp_(-1e15, 1e15)
        rows = s.t().contiguous()
        old = rows[:F * self.COLUMN].view(self.COLUMN, F, B)
        kept = rows[F * self.COLUMN:].view(self.SEASON, Q, B)
        n = old[self.COUNT]
        flags = (n + self.begins).clamp_(0., 1.)
        begun = n > self.zero
        warm = n > self.warm
        level = torch.where(begun, old[self.PREVIOUS:self.FLAT], x)
        previous, high, low = level[0], level[1], level[2]
        quantile = level[3:6]
        mean = old[self.MEAN:self.VARIANCE]
        variance = old[self.VARIANCE:self.EWMA]
        ewma = old[self.EWMA:self.FAST]
        size = x.abs()
        count = n + self.one
        rate = torch.maximum(count.reciprocal(), self.rates)
        reach = high - low
        least = torch.maximum(reach * self.thousandth,
                              mean[0].abs().mul_(self.little)).add_(floor)
        reach = torch.maximum(reach, least)

        # Distances from means, and steps.
        extent = torch.where(begun, ewma[1], size).mul_(self.fifth).add_(least)
        distance = torch.empty_like(mean)
        torch.sub(x, mean[:3], out=distance[:3])
        torch.sub((x / extent).asinh_(), mean[3], out=distance[3])
        spread = torch.maximum(variance.sqrt(), torch.addcmul(
            self.log_floor, least, self.in_units))
        wide = spread[0]
        step = x - previous
        moved = step.abs()
        stride = torch.maximum(ewma[0], least * self.third)
        new = torch.empty_like(old)
        fast = old[self.FAST:self.PREVIOUS]
        fast2 = new[self.FAST:self.PREVIOUS]
        torch.addcmul(fast, x - fast, rate[9:11], out=fast2)
        inputs = torch.zeros(self.INPUTS, F, B)
        torch.div(distance, spread, out=inputs[0:4])
        z = inputs[0:4].clamp(-5., 5.)
        torch.div(step, stride, out=inputs[4])
        torch.div(step, wide, out=inputs[5])
        torch.div(mean[2] - mean[0], wide, out=inputs[6])
        torch.div(fast2 - mean[1], spread[1], out=inputs[7:9])
        inputs[4:9].mul_(self.gain)
        torch.sub(x, quantile[1], out=inputs[9])
        torch.neg(inputs[9], out=inputs[10])
        widths = quantile[0:2] - quantile[1:3]
        inputs[9:11].clamp_(min=0.).div_(torch.maximum(widths, least))
        self.squash_(inputs[0:11])

        # Beyond what was ever seen; stillness; age.
        beyond = (x - x.clamp(low, high)).div_(reach)
        still = moved == self.zero
        flat = torch.where(still, old[self.FLAT] + self.one, self.zero)
        side = beyond.sign()
        torch.mul(torch.stack([beyond.abs(), flat, n]), self.logs,
                  out=inputs[11:14])
        inputs[11:14].log1p_().mul_(self.log_gain)
        inputs[11].add_(self.fifth).mul_(side).mul_(flags[1])
        tenth = least * self.tenth
        torch.div(ewma[2] + tenth, stride + tenth, out=inputs[14])
        inputs[14].log_().clamp_(-3., 3.)
        zero = inputs[15]
        zero.copy_(size == self.zero)
        inputs[16].copy_(ewma[3])

        # The next state.
        move = torch.where(warm, z.mul_(spread), distance)
        a = rate[0:4]
        moving = a * move
        torch.add(mean, moving, out=new[self.MEAN:self.VARIANCE])
        variance2 = new[self.VARIANCE:self.EWMA]
        torch.addcmul(variance, moving, move, out=variance2)
        variance2.mul_(self.one - a).clamp_(min=1e-30)
        taken = torch.stack([moved, size, moved, zero, x])
        cap = torch.stack([stride, extent, stride]).mul_(self.caps)
        cap = torch.where(warm, cap, self.far)
        torch.minimum(taken[0:3], cap, out=taken[0:3])
        torch.addcmul(ewma, taken.sub_(ewma), rate[4:9],
                      out=new[self.EWMA:self.FAST])
        new[self.COUNT].copy_(count)
        new[self.PREVIOUS].copy_(x)
        new[self.FLAT].copy_(flat)
        drawn = torch.lerp(level[1:3], new[self.FAST - 1], 1e-4)
        torch.maximum(drawn[0], x, out=new[self.HIGH])
        torch.minimum(drawn[1], x, out=new[self.LOW])
        pace = (rate[0] * self.four).clamp_(min=.02).mul_(wide)
        under = (x <= quantile).to(x.dtype)
        later = torch.addcmul(quantile, self.aim - under, pace)
        first = torch.stack([torch.maximum(quantile[0], x), new[self.MEAN],
                             torch.minimum(quantile[2], x)])
        new[self.QUANTILE:self.FLAT].copy_(
            torch.where(n < self.twenty, first, later))
        new = torch.where(seen, new, old)

        # The same times of earlier days.
        candidates = torch.full([5, F, B], float('nan'))
        candidates[0:2].copy_(mean[0:2])
        seasonal, centre, kept = self.seasonal(
            x[:Q], step[:Q], seen[:Q], season, kept, mean[0, :Q], wide[:Q],
            least[:Q])
        inputs[self.OWN:, :Q].copy_(seasonal)
        candidates[2:, :Q].copy_(centre)
        inputs.clamp_(-8., 8.).mul_(flags[0] * seen)
        facts, scale = self.facts(n, mean, spread, widths, ewma[3],
                                  candidates, least, flags[0])
        s2 = torch.cat([new.view(F * self.COLUMN, B),
                        kept.view(Q * self.SEASON, B)]).t().contiguous()
        return (inputs, facts, candidates, scale, beyond.mul_(flags[3]),
                old[self.LOW], s2)

    def seasonal(self, x: Tensor, step: Tensor, seen: Tensor, season: Tensor,
                 kept: Tensor, mean: Tensor, wide: Tensor, least: Tensor
                 ) -> Tuple[Tensor, Tensor, Tensor]:
        """x, step, seen, mean, wide, least [Q,B], kept [SEASON,Q,B]
        -> inputs [11,Q,B], centres of day, week and median [3,Q,B], kept'"""
        bins = season.permute(1, 2, 0).contiguous()
        bins = torch.where((bins - bins) == self.zero, bins.clamp(-1e15, 1e15),
                           self.nan)
        ahead, at, days = bins[0:2], bins[2:4], bins[2:6]
        behind = kept[self.BIN:self.SPREAD]
        near_high = torch.fmax(torch.fmax(at, ahead), behind)
        near_low = torch.fmin(torch.fmin(at, ahead), behind)

        # The median of two, three or four days.
        count = (days == days).sum(0).to(x.dtype)
        top = torch.fmax(at, bins[4:6])
        top = torch.fmax(top[0], top[1])
        bottom = torch.fmin(at, bins[4:6])
        bottom = torch.fmin(bottom[0], bottom[1])
        ends = (top + bottom).mul_((count - self.one).sub_(self.one)
                                   .clamp_(0., 1.))
        median = days.nansum(0).sub_(ends).div_(
            (count - self.three).abs_().add_(self.one))
        median = torch.where((count > self.one) & (at[0] == at[0]), median,
                             self.nan)
        centre = torch.cat([at, median[None]])
        upper = torch.cat([near_high, top[None]])
        lower = torch.cat([near_low, bottom[None]])

        spread, times = kept[self.SPREAD:self.SEEN], kept[self.SEEN:self.SEASON]
        ok = (centre == centre) & seen
        live = ok & (times >= self.five)
        scale = torch.maximum(spread, least)
        inputs = torch.empty(11, x.shape[0], x.shape[1])
        gap = torch.sub(x, centre, out=inputs[0:3])
        far = gap.abs()
        torch.sub(x, x.clamp(lower, upper), out=inputs[3:6])
        torch.sub(at[0], mean, out=inputs[6])
        was = torch.where(behind[0] == behind[0], behind[0], at[0])
        torch.sub(step, at[0] - was, out=inputs[7])
        inputs[0:8].div_(torch.cat([scale, scale, wide[None], scale[0:1]]))
        inputs[0:8].mul_(self.season_gain)
        having = torch.cat([live, live, live[0:1], live[0:1]])
        inputs[0:8].copy_(torch.where(having, self.squash_(inputs[0:8]),
                                      self.zero))
        inputs[8:11].copy_(live)

        cap = (spread * self.six).add_(least)
        far = torch.where(times >= self.ten, torch.minimum(far, cap), far)
        times2 = times + self.one
        pull = times2.reciprocal().clamp_(min=1. / 800.)
        spread2 = torch.addcmul(spread, far.sub_(spread), pull)
        kept2 = torch.cat([at, torch.where(ok, spread2, spread),
                           torch.where(ok, times2, times)])
        return inputs, torch.where(live, centre, self.nan), kept2

    def facts(self, n: Tensor, mean: Tensor, spread: Tensor, widths: Tensor,
              zeros: Tensor, candidates: Tensor, least: Tensor, begun: Tensor
              ) -> Tuple[Tensor, Tensor]:
        """What the band is made from: nothing of this tick's value."""
        size = mean[0].abs()
        scale = (size + least).div_(n + self.one)
        scale.add_(torch.maximum(spread[0], spread[1]))
        facts = torch.empty(self.FACTS, n.shape[0], n.shape[1])
        torch.sub(mean[2], mean[0], out=facts[0])
        torch.sub(candidates[1:], mean[0], out=facts[1:5])
        facts[5:7].copy_(widths)
        facts[0:7].div_(scale)
        facts[2:5].nan_to_num_(0.)
        facts[7:10].copy_(candidates[2:] == candidates[2:])
        torch.mul(torch.log1p(n), self.eighth, out=facts[10])
        torch.div(spread[1], scale, out=facts[11])
        torch.div(scale, size.add_(scale), out=facts[12])
        facts[13].copy_(zeros)
        return facts.clamp_(-4., 4.).mul_(begun), scale
