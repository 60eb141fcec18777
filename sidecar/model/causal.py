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
SQUASHED = 11        # the first so many of the column's own inputs
OWN = INPUTS.index('day')

# Facts for the band of the next value, in units of the widest spread.
FACTS = 14


def squash(z: Tensor) -> Tensor:
    """Linear up to 3, logarithmic beyond."""
    a = z.abs()
    return torch.sign(z) * (a.clamp(max=3.)
                            + torch.log1p((a - 3.).clamp(min=0.)))


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
    FLAT: Final[int] = 22       # ticks without a change
    COLUMN: Final[int] = 23

    # Channels of the state of one column with seasons.
    BIN: Final[int] = 0         # of a day and of a week ago, one tick earlier
    SPREAD: Final[int] = 2      # mean distance to day, median of days, week
    SEEN: Final[int] = 5        # how often each was there
    SEASON: Final[int] = 8
    SEASON_COLUMNS: Final[int] = 2

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
        x = torch.where(seen, x, torch.zeros_like(x)).clamp(-1e15, 1e15)
        old = s[:, :F * self.COLUMN].view(B, self.COLUMN, F).permute(1, 0, 2)
        old = old.contiguous()
        n = old[self.COUNT]
        begun = n > 0.
        level = torch.where(begun, old[self.PREVIOUS:self.FLAT], x)
        previous, high, low = level[0], level[1], level[2]
        quantile = level[3:6]
        mean, variance = old[self.MEAN:self.VARIANCE], old[self.VARIANCE:self.EWMA]
        ewma = old[self.EWMA:self.FAST]
        size = x.abs()
        least = torch.maximum((high - low) * 1e-3,
                              mean[0].abs() * 1e-5) + floor

        # Distances from means, and steps.
        extent = torch.where(begun, ewma[1], size) * .2 + least
        logged = torch.asinh(x / extent)
        value = torch.stack([x, x, x, logged])
        spread = torch.maximum(variance.sqrt(),
                               least * self.in_units + self.log_floor)
        distance = value - mean
        z = distance / spread
        step = x - previous
        stride = torch.maximum(ewma[0], least * .3)
        share = 1. / (n + 1.)
        fast = old[self.FAST:self.PREVIOUS]
        fast = fast + torch.maximum(share, self.fast_rate) * (x - fast)
        wide, mid = spread[0], spread[1]
        middle = quantile[1]
        own = torch.cat([
            z,
            torch.stack([step / (stride * 1.5), step / wide,
                         (mean[2] - mean[0]) / wide]),
            (fast - mean[1]) / mid * self.fast_gain,
            torch.stack([
                (x - middle).clamp(min=0.)
                / torch.maximum(quantile[2] - middle, least),
                (middle - x).clamp(min=0.)
                / torch.maximum(middle - quantile[0], least)])])
        reach = torch.maximum(high - low, least)
        beyond = ((x - high).clamp(min=0.) - (low - x).clamp(min=0.)) / reach
        extreme = torch.sign(beyond) * (torch.log1p(beyond.abs() * 8.) + .2)
        still = step == 0.
        flat = torch.where(still & begun, old[self.FLAT] + 1., torch.zeros_like(n))
        zero = (x == 0.).to(x.dtype)
        volatility = torch.log((ewma[2] + least * .1) / (stride + least * .1))
        own = torch.cat([
            squash(own),
            torch.stack([torch.where(n >= 20., extreme, torch.zeros_like(x)),
                         volatility.clamp(-3., 3.), torch.log1p(flat) * .25,
                         zero, ewma[3], torch.log1p(n) * .125])])
        novelty = torch.where(n >= 100., beyond, torch.zeros_like(x))

        # The same times of earlier days.
        kept = s[:, F * self.COLUMN:].view(B, self.SEASON, Q).permute(1, 0, 2)
        seasonal, centre, kept = self.seasonal(
            x[:, :Q], step[:, :Q], seen[:, :Q], season, kept.contiguous(),
            mean[0, :, :Q], wide[:, :Q], least[:, :Q])
        centre = nn.functional.pad(centre, [0, F - Q], value=float('nan'))
        inputs = torch.cat([own, nn.functional.pad(seasonal, [0, F - Q])])
        inputs = torch.where(seen & begun, inputs.clamp(-8., 8.),
                             torch.zeros_like(inputs))
        candidates = torch.cat([mean[0:2], centre])
        facts, scale = self.facts(n, mean, spread, quantile, ewma[3],
                                  candidates, least, begun)

        # The next state.
        warm = n > self.WARM
        move = torch.where(warm, z.clamp(-5., 5.) * spread, distance)
        a = torch.maximum(share, self.mean_rate)
        mean2 = mean + a * move
        variance2 = ((1. - a) * (variance + a * move * move)).clamp(min=1e-30)
        moved = step.abs()
        free = torch.full_like(x, 1e30)
        cap = torch.stack([stride * 6., extent * 25., stride * 8., free, free])
        taken = torch.stack([moved, size, moved, zero, x])
        taken = torch.where(warm, torch.minimum(taken, cap), taken)
        ewma2 = ewma + torch.maximum(share, self.ewma_rate) * (taken - ewma)
        pull = ewma2[4]
        high2 = torch.maximum(high + (pull - high) * 1e-4, x)
        low2 = torch.minimum(low + (pull - low) * 1e-4, x)
        pace = wide * (4. / n.clamp(min=1.)).clamp(min=.02)
        quantile2 = torch.where(
            n < 20.,
            torch.stack([torch.minimum(quantile[0], x), mean2[0],
                         torch.maximum(quantile[2], x)]),
            quantile + pace * (self.quantile - (x <= quantile).to(x.dtype)))
        new = torch.cat([
            (n + 1.)[None], mean2, variance2, ewma2, fast, x[None],
            high2[None], low2[None], quantile2, flat[None]])
        new = torch.where(seen, new, old)
        s2 = torch.cat([new.permute(1, 0, 2).reshape(B, F * self.COLUMN),
                        kept.permute(1, 0, 2).reshape(B, Q * self.SEASON)], 1)
        return inputs, facts, candidates, scale, novelty, s2

    def seasonal(self, x: Tensor, step: Tensor, seen: Tensor, season: Tensor,
                 kept: Tensor, mean: Tensor, wide: Tensor, least: Tensor
                 ) -> Tuple[Tensor, Tensor, Tensor]:
        """x, step, seen, mean, wide, least [B,Q], kept [self.SEASON,B,Q]
        -> inputs [11,B,Q], centres of day, median and week [3,B,Q], kept'"""
        bins = season.permute(1, 0, 2).contiguous()
        at = torch.stack([bins[1], bins[5]])
        ahead = torch.stack([bins[0], bins[4]])
        behind = kept[self.BIN:self.SPREAD]
        near_high = torch.fmax(torch.fmax(at, ahead), behind)
        near_low = torch.fmin(torch.fmin(at, ahead), behind)

        days = torch.stack([bins[1], bins[2], bins[3], bins[5]])
        there = days == days
        count = there.sum(0)
        total = torch.where(there, days, torch.zeros_like(days)).sum(0)
        top = torch.fmax(torch.fmax(days[0], days[1]),
                         torch.fmax(days[2], days[3]))
        bottom = torch.fmin(torch.fmin(days[0], days[1]),
                            torch.fmin(days[2], days[3]))
        # The median of two, three or four.
        median = torch.where(count > 2, (total - top - bottom)
                             / (count - 2).clamp(min=1), total * .5)
        median = torch.where((count > 1) & there[0], median,
                             torch.full_like(median, float('nan')))
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
        inputs = torch.where(having, squash(inputs), torch.zeros_like(inputs))
        inputs = torch.cat([inputs, live.to(x.dtype)])

        far = gap.abs()
        far = torch.where(times >= 10., torch.minimum(far, spread * 6. + least),
                          far)
        times2 = times + 1.
        spread2 = spread + (1. / times2).clamp(min=1. / 800.) * (far - spread)
        kept2 = torch.cat([at, torch.where(ok, spread2, spread),
                           torch.where(ok, times2, times)])
        return inputs, torch.where(live, centre, torch.full_like(
            centre, float('nan'))), kept2

    def facts(self, n: Tensor, mean: Tensor, spread: Tensor, quantile: Tensor,
              zeros: Tensor, candidates: Tensor, least: Tensor, begun: Tensor
              ) -> Tuple[Tensor, Tensor]:
        """What the band is made from: nothing of this tick's value."""
        scale = torch.maximum(spread[0], spread[1])
        scale = scale + (mean[0].abs() + least) / (n + 1.)
        there = candidates == candidates
        away = torch.where(there, (candidates - mean[0]) / scale,
                           torch.zeros_like(candidates))
        sides = torch.stack([quantile[2] - quantile[1],
                             quantile[1] - quantile[0]]) / scale
        facts = torch.cat([
            ((mean[2] - mean[0]) / scale)[None], away[1:], sides.clamp(max=4.),
            there[2:].to(n.dtype),
            torch.stack([torch.log1p(n) * .125, spread[1] / scale,
                         (scale / (mean[0].abs() + scale)), zeros])])
        return torch.where(begun, facts.clamp(-4., 4.),
                           torch.zeros_like(facts)), scale
