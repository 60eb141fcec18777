"""Synthetic series of one column, the changes injected in them, and labels.

Two thirds are kind: what is odd about them was put there. One third is
unkind: it has rare spikes and shifts of its own, so it cannot teach what
sticks out (head A), only what is news (head B).

Labels are on the onset alone. Head A's is soft, by the peak of the change in
units of the recent spread; head B's is 1 for the first change of a kind that
keeps coming back, masked for the second, 0 afterwards: that is no news.
"""
import math

import numpy as np
from numba import njit

from numpy.random import (exponential, gamma, laplace, poisson, randint,
                          randn, random)

DAYS = np.array([24, 24, 24, 24, 48, 96, 144, 288, 288, 288, 288,
                 1440, 1440, 1440])       # rows a day
UNLABELLED = 40      # first rows, in which nothing is injected
ONSET = 8            # rows of a label, where the change lasts so long
FAINT, CLEAR = 2.5, 12.


@njit(cache=True)
def between(low, high):
    """10 to the power of something between."""
    return 10. ** (low + (high - low) * random())


# ------------------------------------------------------------ what is normal

@njit(cache=True)
def add_wander(x, memory, size):
    """An AR(1) of this memory (in rows) and standard deviation."""
    level = 0.
    keep = math.exp(-1. / memory)
    push = size * math.sqrt(1. - keep * keep)
    for i in range(len(x)):
        level = keep * level + push * randn()
        x[i] += level


@njit(cache=True)
def add_walk(x, size):
    level = 0.
    for i in range(len(x)):
        level += size * randn()
        x[i] += level


@njit(cache=True)
def waves(day, harmonics):
    """One day as a sum of waves."""
    profile = np.zeros(day)
    for h in range(1, harmonics + 1):
        height, phase = randn() / h, random() * 6.283
        for i in range(day):
            profile[i] += height * math.sin(6.2832 * h * i / day + phase)
    return profile


@njit(cache=True)
def blocks(day, count, longest):
    profile = np.zeros(day)
    for _ in range(count):
        start, height = int(random() * day), exponential(1.)
        for i in range(1 + int(random() * longest)):
            profile[(start + i) % day] += height
    return profile


@njit(cache=True)
def weekend():
    factor = np.ones(7)
    if random() < .5:
        factor[5] = factor[6] = random()
    return factor


@njit(cache=True)
def add_season(x, day):
    """-> whether x became multiplicative"""
    height = between(-.5, .5)
    kind = random()
    if kind < .5:
        profile = waves(day, 1 + int(random() * 5))
    elif kind < .75:
        profile = np.zeros(day)
        start = int(random() * day)
        for i in range(int((.1 + .5 * random()) * day)):
            profile[(start + i) % day] = 1.
    else:
        profile = blocks(day, 1 + int(random() * 4), day / 20.)
    week = weekend()
    for i in range(len(x)):
        x[i] += height * profile[i % day] * week[(i // day) % 7]
    if random() < .5:
        for i in range(len(x)):
            x[i] = math.exp(.5 * x[i])


@njit(cache=True)
def add_noise(x, tail):
    size, kind = between(-2.5, -.5), random()
    uneven = random() < .3
    for i in range(len(x)):
        if kind < .5:
            e = randn()
        elif kind < .8:
            e = laplace(0., .7)
        else:
            e = randn() / math.sqrt(max(gamma(tail, 1. / tail), .05))
        x[i] += e * size * (abs(x[i]) + .1 if uneven else 1.)


@njit(cache=True)
def add_spikes(x, rate):
    height, sign = between(-.3, 1.), 1. if random() < .8 else -1.
    keep = random() * .8 if random() < .5 else 0.
    level = 0.
    for i in range(len(x)):
        level *= keep
        if random() < rate:
            level += height * exponential(1.)
        x[i] += sign * level


@njit(cache=True)
def add_beat(x):
    """A spike every so many rows."""
    every, height = 3 + int(random() * 60), between(-.3, .7)
    loose = random() < .5
    due = every
    for i in range(len(x)):
        if i >= due:
            x[i] += height * (.8 + .4 * random())
            due = i + every + (int(randn() * every * .1) if loose else 0)


@njit(cache=True)
def add_regimes(x, rate):
    level = 0.
    for i in range(len(x)):
        if random() < rate:
            level = randn() * between(-.5, .5)
        x[i] += level


@njit(cache=True)
def switch_off(x, rate):
    on = True
    for i in range(len(x)):
        if random() < rate:
            on = not on
        if not on:
            x[i] *= .02


@njit(cache=True)
def quantize(x, low, high):
    unit = x.std() * between(low, high) + 1e-9
    for i in range(len(x)):
        x[i] = np.round(x[i] / unit) * unit


@njit(cache=True)
def generic(n, day, kind):
    """Anything: levels, waves, noise, spikes. Frequent ones of its own are
    normal; with `kind` there are no rare ones."""
    x = np.zeros(n)
    if random() < .6:
        heavy = random() < .4
        memory = between(0., 3.)
        add_wander(x, memory, between(-2., 0.) * (3. if random() < .3 else 1.))
        if heavy:
            add_wander(x, memory * .1 + .1, between(-2., -.5))
    if random() < .15:
        add_walk(x, between(-3., -1.5))
    if random() < .7:
        add_season(x, day)
    add_noise(x, 2.5 if kind else 1.5)
    if random() < (.35 if kind else .5):
        add_spikes(x, between(-1.5, -.5) if kind else between(-3., -1.2))
    if random() < .2:
        add_beat(x)
    if random() < (.15 if kind else .35):
        add_regimes(x, between(-2.2, -1.4) if kind else between(-3., -2.))
    if random() < .1:
        switch_off(x, between(-2.5, -1.))
    form = random()
    if form < .15:
        gain = between(-.5, 1.5)
        for i in range(n):
            x[i] = poisson(max(min(gain * (x[i] + 1.), 1e6), 0.))
    elif form < .3:
        quantize(x, -1.5, -.2)
    elif form < .4:
        x = np.maximum(x, np.quantile(x, .02 + .5 * random()))
    return x * between(-3., 3.) + (randn() * 10. if random() < .3 else 0.)


@njit(cache=True)
def intensity(n, day, steady):
    """The logarithm of how much is going on."""
    x = np.zeros(n)
    if random() < .8:
        height = between(-1., .1)
        profile = height * waves(day, 1 + int(random() * 4 + 1))
        week = np.zeros(7)
        if random() < .5:
            fall = -1.2 * random() * height
            week[5], week[6] = fall * (.6 + .8 * random()), fall
        elif random() < .3:
            for d in range(7):
                week[d] = .3 * height * randn()
        daily, offset = between(-3., -.8), 0.
        for i in range(n):
            if i % day == 0:
                offset = .5 * offset + daily * randn()
            x[i] += profile[i % day] + week[(i // day) % 7] + offset
    if random() < .6:
        add_wander(x, between(.3, 3. if steady else 2.3), between(-2.3, -.5))
    if random() < .3:
        add_walk(x, between(-4., -2.))
    if random() < .2:                     # a daily job
        start, long = int(random() * day), 1 + int(random() * max(1, day / 24))
        more, sure, on = .3 + 1.5 * random(), random() < .5, True
        for i in range(n):
            at = (i - start) % day
            if at == 0:
                on = sure or random() < .9
            if at < long and on:
                x[i] += more
    return np.minimum(x, 8.)


@njit(cache=True)
def counts(load):
    gain, shape = between(-.7, 3.3), between(.3, 2.8)
    x = np.zeros(len(load))
    for i in range(len(x)):
        mean = gain * math.exp(load[i]) * gamma(shape, 1. / shape)
        x[i] = poisson(mean) if mean < 1e6 else mean
    return x / (1 + int(random() * 60)) if random() < .4 else x


@njit(cache=True)
def error_share(load):
    many, share = between(.5, 3.5), between(-3.5, -.8)
    wander = np.zeros(len(load))
    add_wander(wander, between(0., 1.5), between(-1.5, -.2))
    x = np.zeros(len(load))
    for i in range(len(x)):
        total = many * math.exp(load[i]) + 1.
        odd = total * share * math.exp(min(wander[i], 5.))
        x[i] = min(poisson(min(odd, 1e6)) / total, 1.)
    return x


@njit(cache=True)
def latency(load, kind):
    noise, upward, coupled = between(-2., -.6), random() < .4, random()
    tail, rate = 1.2 + 3. * random(), 0.
    if random() < (.4 if kind else .6):
        rate = between(-1.6, -.8) if kind else between(-3.5, -1.)
    keep = .7 * random() if random() < .5 else 0.
    height, burst = between(-.5, 1.), 0.
    x = np.zeros(len(load))
    for i in range(len(x)):
        e = randn() * noise
        burst *= keep
        if random() < rate:
            burst += height * (random() ** (-1. / tail) - .7)
        x[i] = math.exp(coupled * load[i] + min(abs(e) if upward else e, 5.)) \
            * (1. + burst)
    return x


@njit(cache=True)
def sparse(load):
    start, stop = between(-2.5, -.7), between(-1.5, -.2)
    on, noise, level = random() < .5, between(-1.5, -.3), 0.
    x = np.zeros(len(load))
    for i in range(len(x)):
        on = not (random() < stop) if on else random() < start
        level += .3 * ((1. if on else 0.) - level)
        x[i] = math.exp(load[i] + noise * randn()) * level \
            if level > .05 else 0.
    return x


@njit(cache=True)
def traffic(n, day, kind):
    """A rate, a count, a share, a latency, or little of anything."""
    load = intensity(n, day, kind)
    what = random()
    if what < .3:
        x = counts(load)
    elif what < .5:
        noise = between(-2.5, -.8)
        x = np.exp(load) * (1. + noise * randn(n))
    elif what < .68:
        x = error_share(load)
    elif what < .9:
        x = latency(load, kind)
    else:
        x = sparse(load)
    if random() < .35:                    # smoothed by whoever measures
        pull, level = .2 + .6 * random(), x[0]
        for i in range(n):
            level += pull * (x[i] - level)
            x[i] = level
    if random() < .12:                    # zeros for missing rows
        rate = between(-2., -.05) if kind else between(-3., -1.)
        for i in range(n):
            if random() < rate:
                x[i] = 0.
    if random() < .15:                    # bursts that are normal here
        rate = between(-1.5, -.7) if kind else between(-2.5, -1.3)
        height, keep, level = between(-.3, .9) * x.mean(), .7 * random(), 0.
        for i in range(n):
            level *= keep
            if random() < rate:
                level += height * exponential(1.)
            x[i] += level
    if random() < .1:
        quantize(x, -1.5, -.3)
    return x * between(-3., 3.)


# ----------------------------------------------------------- what is injected

@njit(cache=True)
def surroundings(x, t, again):
    """What a change at t is measured by: high, low, mean, median, spread of
    the last 600 rows, typical step, spread and mean of the last few."""
    past = x[max(0, t - 600):t]
    order = np.sort(past)
    last = len(order) - 1
    spread = past.std() + 1e-9 * abs(past.mean()) + 1e-12
    steps = np.sort(np.abs(past[1:] - past[:-1]))
    step = steps[int(.7 * (len(steps) - 1))] + .02 * spread
    near = np.sort(x[max(0, t - 150):t])
    end = len(near) - 1
    recent = max(.5 * (near[int(.84 * end)] - near[int(.16 * end)]),
                 .3 * step) + .01 * spread
    return (order[int((.93 if again else .995) * last)],
            order[int((.04 if again else 0.) * last)], past.mean(),
            order[len(order) // 2], spread, step, recent,
            x[max(0, t - 10):t].mean())


@njit(cache=True)
def change(x, t, what, sign, day, again):
    """Puts one change into x at t -> (rows it lasts, rows of its label)."""
    n = len(x)
    high, low, mean, median, spread, step, recent, local = \
        surroundings(x, t, again)
    reach = high - low + 1e-9
    day = min(day, 400)
    onset = ONSET
    if what <= 3:                         # a spike of a few rows
        rows, how = 1 + int(random() * random() * 5), random()
        if how < .35:
            height = step * between(.7, 1.5)
        elif how < .7:
            height = recent * between(.5, 1.3)
        elif how < .85:
            height = reach * between(-.6, .3)
        else:
            height = max(local, .2 * mean) * between(-.3, .5)
        for i in range(t, t + rows):
            x[i] += sign * height * (.6 + .4 * random())
    elif what == 4:                       # beyond all extremes
        rows = 1 + int(random() * random() * 15)
        height = reach * (.2 + 1.2 * random() * random())
        for i in range(t, min(n, t + rows)):
            x[i] = (high if sign > 0 else low) \
                + sign * height * (.4 + .6 * random())
    elif what <= 6:                       # a dip, or a drop to nothing
        rows = 1 + int(random() * random() * 40)
        left = random() * .5 if random() < .5 else 0.
        floor = 0. if low >= 0. else low - .1 * reach * random()
        for i in range(t, min(n, t + rows)):
            x[i] = floor + (x[i] - floor) * left
    elif what <= 8:                       # a burst that dies away
        memory = 1. + 20. * random() * random()
        rise = 1 if random() < .5 else 1 + int(random() * 8)
        rows, onset = int(3. * memory) + 1 + rise, ONSET + rise
        height = between(-.1, 1.) * max(abs(local), .3 * spread)
        for i in range(t, min(n, t + rows)):
            shape = min(1., (i - t + 1) / rise) \
                * math.exp(-max(0, i - t - rise + 1) / memory)
            x[i] += height * shape * (.8 + .4 * random())
    elif what <= 10:                      # a hump or a trough
        rows = int(4 + random() * random() * 80)
        onset = min(rows, ONSET + rows // 3)
        height = sign * max(spread * (.8 + 2.5 * random()), 3. * step)
        for i in range(t, min(n, t + rows)):
            x[i] += height * math.sin(3.1416 * (i - t + 1) / (rows + 1))
    elif what <= 12:                      # another level
        rows, onset = int(8 + random() * random() * 280), 15
        height = sign * max(max(spread * (.6 + 2.5 * random()), 3. * step),
                            reach * .2 * random())
        if random() < .25:
            rows = n - t
        for i in range(t, min(n, t + rows)):
            x[i] += height
    elif what == 13:                      # nothing moves any more
        rows, onset = int(8 + random() * 120), 60
        value = x[t - 1]
        if random() < .5:
            value = low if random() < .5 else median
        for i in range(t, min(n, t + rows)):
            x[i] = value
    elif what == 14:                      # noise
        rows, onset = int(8 + random() * 120), 40
        height = max(step, .1 * spread) * (1.5 + 4. * random())
        for i in range(t, min(n, t + rows)):
            x[i] += randn() * height
    elif what == 15:                      # another time of the day
        rows = int(day * (.3 + .9 * random()))
        shift, onset = int(day * (.25 + .5 * random())), 60
        if t - shift - rows <= 0:
            return 0, 0
        other = x[t - shift:t - shift + rows].copy()
        for i in range(t, min(n, t + rows)):
            x[i] = other[i - t]
    elif what == 16:                      # wider or narrower
        rows, onset = int(20 + random() * 200), 40
        factor = random() * .4 if random() < .4 else 1.6 + 2. * random()
        for i in range(t, min(n, t + rows)):
            x[i] = median + (x[i] - median) * factor
    elif what == 17:                      # a slope
        rows, onset = int(15 + random() * 180), 60
        height = sign * spread * (1.5 + 2.5 * random())
        for i in range(t, min(n, t + rows)):
            x[i] += height * (i - t) / rows
    elif what == 18:                      # many spikes
        rows, onset, rate = int(20 + random() * 120), 60, .1 + .4 * random()
        for i in range(t, min(n, t + rows)):
            if random() < rate:
                x[i] += sign * reach * (.2 + .5 * random())
    else:                                 # a day of another size
        rows, onset = int(day * (.4 + 1. * random())), 60
        factor = .3 + .5 * random() if random() < .5 else 1.3 + .9 * random()
        for i in range(t, min(n, t + rows)):
            x[i] = low + (x[i] - low) * factor
    return rows, onset


@njit(cache=True)
def severity(peak):
    return min(max(math.log(peak / FAINT + 1e-9) / math.log(CLEAR / FAINT),
                   0.), 1.)


@njit(cache=True)
def inject(x, day, recurrent):
    """Changes x in place -> labels [n,2], weights [n,2] of heads A and B."""
    n = len(x)
    label = np.zeros((n, 2), np.float32)
    weight = np.ones((n, 2), np.float32)
    weight[:UNLABELLED] = 0.
    before = x.copy()
    positive = x.min() >= 0.
    again = recurrent and random() < .42
    kinds = np.array([0, 0, 0, 4, 5, 7, 7, 9])
    same, side = kinds[randint(0, 8)], 1. if random() < .75 else -1.
    gap = 20. + 150. * random()
    done, t = 0, UNLABELLED
    for _ in range(5 + randint(0, 25) if again else randint(0, 7)):
        if again:
            t += int(5. - gap * math.log(random() + 1e-9))
        else:
            t += int(20. + random() * random() * 900.)
        if t > n - UNLABELLED:
            break
        what, sign = randint(0, 20), 1. if random() < .68 else -1.
        if again:
            what, sign = same, side
        rows, onset = change(x, t, what, sign, day, again)
        if rows == 0:
            continue
        end = min(n, t + rows)
        if positive:
            for i in range(t, end):
                x[i] = max(x[i], 0.)
        # A slope is not seen at its foot.
        first = t + rows // 2 if what == 17 else t
        last = max(min(end, t + onset), min(first + onset, end))
        if what == 17:
            weight[t:first] = 0.
        each = min(max(8. / max(last - first, 1), .25), 4.)
        done += 1
        unit = before[max(0, t - 150):t].std() \
            + .15 * before[max(0, t - 600):t].std() + 1e-12
        peak = 0.
        for i in range(t, min(n, t + max(onset, 5))):
            peak = max(peak, abs(x[i] - before[i]) / unit)
        label[first:last, 0] = severity(peak)
        weight[first:last, 0] = each
        if not again or done == 1:
            label[first:last, 1] = 1.
            weight[first:last, 1] = each
        elif done == 2:
            weight[first:last, 1] = 0.
        if rows == n - t:                 # a level that stays: then it is one
            end = min(n, t + 150)
        weight[last:min(n, end + 3), 0] = 0.
        if not again or done <= 2:
            weight[last:min(n, end + 3), 1] = 0.
        t = end + (3 if again else 5)
    return label, weight


@njit(cache=True)
def seasons(x, day):
    """[n, 6]: the bins of earlier days in the order of causal.SEASONS; a bin
    is one row, or 5 where a row is a minute."""
    n, wide = len(x), 5 if day == 1440 else 1
    out = np.full((n, 6), np.nan, np.float32)
    if day == 0:
        return out
    bins = np.zeros(n // wide + 1)
    for i in range(n // wide * wide):
        bins[i // wide] += x[i] / wide
    day //= wide
    back = np.array([day - 1, 7 * day - 1, day, 7 * day, 2 * day, 3 * day])
    for i in range(n):
        for p in range(6):
            b = i // wide - back[p]
            if b >= 0 and back[p] > 0:
                out[i, p] = bins[b]
    return out


@njit(cache=True)
def column(seed, n):
    """-> x [n], seasons [n,6], labels [n,2], weights [n,2]"""
    np.random.seed(seed)
    day = DAYS[randint(0, len(DAYS))]
    unkind = random() < .33
    if random() < (.6 if unkind else .45):
        x = generic(n, day, not unkind)
    else:
        x = traffic(n, day, not unkind)
    label, weight = inject(x, day, not unkind)
    if unkind:
        weight[:, 0] = 0.
    told = day                            # rows a day, as far as we know
    if random() < .08:
        told = int(day * (.3 + random())) + 2
    if random() < .07:
        told = 0
    return x, seasons(x, told), label, weight
