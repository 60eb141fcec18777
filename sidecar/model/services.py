"""Synthetic services: all columns of one series behind one cause.

Requests come at a rate, take a time that grows with the load, sometimes fail;
what is in flight follows from both. A fault changes the causes, and so many
columns at once, the way real faults do. A label says how far the fault takes
a column from where its noise keeps it; that of the row adds up the columns
which it hurts. What hurts nobody (more traffic, other sizes, a deployment) is
put in as well and is nothing to tell of.
"""
import math

import numpy as np
import torch
from numba import njit
from numpy.random import binomial, gamma, poisson, randint, randn, random

from detector import KINDS
from generator import CLEAR, ONSET, add_walk, add_wander, between, severity, \
    waves

COLUMNS = len(KINDS)
(RATE, P50, ERRORS, CLIENT_ERRORS, LOCAL_ERRORS, P95, INFLIGHT, OLDEST, BYTES,
 CONNECT, HEADER, RETRIES, CACHE_HITS) = range(COLUMNS)
FLOORS = np.array([k[1] for k in KINDS])
RISES = np.array([k[2] for k in KINDS])
FALLS = np.array([k[3] for k in KINDS])
FAULTS = 13
WARM = 30            # ticks before anything is injected
TICKS = np.array([1., 1., 1., 1., 1., 5., 10., 60., 300.])

# The causes, each a row of [CAUSES, n].
(LOAD, TIME, TAIL, FAIL, CLIENT, LOCAL, RETRY, SIZE, CONNECTS, HITS, STUCK,
 HEADERS) = range(12)
CAUSES = 12


@njit(cache=True)
def causes(n, tick):
    """What is normal: load in 1/s, time in s, shares, sizes."""
    c = np.zeros((CAUSES, n))
    load = np.zeros(n)
    day = max(2, int(86400. / tick))
    if day <= 20000 and random() < .8:
        profile = between(-1., 0.) * waves(day, 2)
        start = randint(0, day)
        for i in range(n):
            load[i] += profile[(start + i) % day]
    add_wander(load, between(.5, 2.5), between(-2.5, -.6))
    if random() < .3:
        add_walk(load, between(-4., -2.2))
    c[LOAD] = between(-1., 3.) * np.exp(load)

    slow = load * random() * .6           # the busier the slower
    add_wander(slow, between(.3, 2.), between(-2.5, -.9))
    c[TIME] = between(-3., .3) * np.exp(slow)
    c[TAIL] = .2 + 1.2 * random()         # spread of the log of a time
    wander = np.zeros(n)
    add_wander(wander, between(.5, 2.), between(-2., -.3))
    if random() < .7:
        c[FAIL] = np.minimum(between(-5., -1.5) * np.exp(wander), .5)
    c[CLIENT] = np.minimum(between(-4., -.7) * np.exp(.5 * wander), .9)
    if random() < .4:
        c[LOCAL] = between(-5., -2.5)
    c[RETRY] = c[LOCAL] * random()
    c[SIZE] = between(2., 6.)
    c[CONNECTS] = between(-4., -1.2)
    c[HITS] = .2 + .79 * random()
    c[HEADERS] = .3 + .7 * random()
    return c


@njit(cache=True)
def disturb(c, t, tick):
    """Changes that hurt nobody, from t on."""
    n, what = c.shape[1], randint(0, 5)
    end = min(n, t + int(between(.3, 2.5)))
    if what == 0:                         # more traffic
        c[LOAD, t:end] *= between(.15, .9)
    elif what == 1:                       # a release: other sizes and times
        c[SIZE, t:] *= between(-.6, .6)
        c[TIME, t:] *= between(-.05, .05)
    elif what == 2:                       # a shoulder of the day
        for i in range(t, n):
            c[LOAD, i] *= math.exp(-.5 * min(1., (i - t) / 200.))
    elif what == 3:                       # faster than before
        c[TIME, t:end] *= between(-.7, -.1)
    else:                                 # big downloads
        c[SIZE, t:end] *= between(.3, 1.5)
    return end


@njit(cache=True)
def break_down(c, t, tick):
    """A fault from t on -> where it ends."""
    n, what = c.shape[1], randint(0, FAULTS)
    rows = int(between(.5, 2.6))
    end = min(n, t + max(rows, 3))
    share = between(-1.8, 0.)
    factor = between(.12, 1.6)
    if what == 0:                         # slow, at once
        c[TIME, t:end] *= factor
    elif what == 1:                       # slower and slower
        for i in range(t, end):
            c[TIME, i] *= factor ** min(1., (i - t + 1) / 10.)
    elif what == 2:                       # slow for some
        c[TAIL, t:end] += math.log(factor) * .7
    elif what == 3 or what == 4:          # answers with an error
        c[FAIL, t:end] = c[FAIL, t:end] * (1. - share) + share
        if random() < .5:                 # quickly, often
            c[TIME, t:end] *= between(-1., 0.)
    elif what == 5:                       # refused
        c[LOCAL, t:end] = c[LOCAL, t:end] * (1. - share) + share
        c[RETRY, t:end] += share
        if random() < .5:
            c[FAIL, t:end] = c[FAIL, t:end] * (1. - share) + share
    elif what == 6:                       # swallowed: nothing comes back
        c[STUCK, t:end] = max(share, .2)
    elif what == 7:                       # silence
        c[LOAD, t:end] *= 0. if random() < .7 else .1 * random()
    elif what == 8:                       # brown-out
        for i in range(t, end):
            rise = min(1., (i - t + 1) / 5.)
            c[TIME, i] *= factor ** rise
            c[FAIL, i] += (1. - c[FAIL, i]) * share * rise
            c[LOAD, i] *= 1. - .6 * rise * random()
    elif what == 9:                       # slow to connect
        c[CONNECTS, t:end] *= between(.5, 2.5)
        c[TIME, t:end] += c[CONNECTS, t:end]
    elif what == 10:                      # the cache is cold
        c[HITS, t:end] *= .7 * random()
        c[TIME, t:end] *= factor ** .3
    elif what == 11:                      # flapping
        on = 2 + randint(0, 8)
        for i in range(t, end):
            if (i - t) // on % 2 == 0:
                c[FAIL, i] += (1. - c[FAIL, i]) * share
                c[TIME, i] *= factor ** .5
    else:                                 # asked wrongly
        c[CLIENT, t:end] += (1. - c[CLIENT, t:end]) * max(share, .1)
    return end


@njit(cache=True)
def means(c):
    """What each column would show without noise, [COLUMNS, n]."""
    n = c.shape[1]
    m = np.zeros((COLUMNS, n))
    whole = 1. - c[STUCK]
    m[RATE] = c[LOAD] * whole
    m[P50] = c[TIME]
    m[P95] = c[TIME] * np.exp(1.645 * c[TAIL])
    m[ERRORS] = c[FAIL]
    m[CLIENT_ERRORS] = c[CLIENT]
    m[LOCAL_ERRORS] = c[LOCAL]
    m[RETRIES] = c[RETRY]
    m[BYTES] = c[SIZE]
    m[CONNECT] = c[CONNECTS]
    m[HEADER] = c[TIME] * c[HEADERS]
    m[CACHE_HITS] = c[HITS]
    return m


@njit(cache=True)
def flights(c, m, tick):
    """In flight and its oldest age, from what is asked and what comes back;
    what is stuck is given up after a minute."""
    stuck, age = 0., 0.
    for i in range(c.shape[1]):
        mean = c[TIME, i] * math.exp(.5 * c[TAIL, i] ** 2)
        stuck = (stuck + c[LOAD, i] * c[STUCK, i] * tick) \
            * math.exp(-tick / 60.)
        age = min(age + tick, 60.) if c[STUCK, i] > 0. else age * .5
        m[INFLIGHT, i] = c[LOAD, i] * mean + stuck
        m[OLDEST, i] = max(mean * math.log1p(c[LOAD, i] * mean), age)


@njit(cache=True)
def observe(c, m, tick):
    """The columns as they are counted, NaN where there was nothing to."""
    n = c.shape[1]
    x = np.full((n, COLUMNS), np.nan)
    peer, cached = random() < .6, random() < .3
    kept_alive, lumpy = random(), between(.3, 3.)
    for i in range(n):
        busy = m[RATE, i] * tick
        if lumpy < 30.:
            busy *= gamma(lumpy, 1. / lumpy) if lumpy < 1e3 else 1.
        count = float(poisson(busy)) if busy < 1e6 else busy
        x[i, RATE] = count / tick
        if peer:
            flying = m[INFLIGHT, i]
            x[i, INFLIGHT] = poisson(flying) if flying < 1e6 else flying
            x[i, OLDEST] = m[OLDEST, i] * (.4 + random()) \
                if x[i, INFLIGHT] > 0. else 0.
        if count < 1.:
            continue
        total = int(min(count, 1e6))
        tail = c[TAIL, i]
        narrow = tail / math.sqrt(count)
        x[i, P50] = m[P50, i] * math.exp(min(1.25 * narrow * randn(), 5.))
        top = 1.645 if count > 20. else 1.645 * math.log1p(count) / 3.
        x[i, P95] = max(m[P50, i] * math.exp(min(
            top * tail + 2.1 * narrow * randn(), 9.)), x[i, P50])
        x[i, ERRORS] = binomial(total, m[ERRORS, i]) / total
        x[i, CLIENT_ERRORS] = binomial(
            total, min(m[CLIENT_ERRORS, i], 1. - m[ERRORS, i])) / total
        x[i, BYTES] = m[BYTES, i] * math.exp(
            min(tail * 2. / math.sqrt(count) * randn(), 4.))
        if peer:
            x[i, LOCAL_ERRORS] = binomial(total, m[LOCAL_ERRORS, i]) / total
            x[i, RETRIES] = binomial(total, min(m[RETRIES, i], 1.)) / total
            x[i, HEADER] = m[HEADER, i] * math.exp(min(1.25 * narrow * randn(),
                                                       5.))
            fresh = poisson(min(count * (1. - kept_alive), 1e6))
            if fresh > 0:
                x[i, CONNECT] = m[CONNECT, i] * math.exp(
                    min(tail / math.sqrt(fresh) * randn(), 5.))
        if cached:
            x[i, CACHE_HITS] = binomial(total, m[CACHE_HITS, i]) / total
    return x


@njit(cache=True)
def spreads(x, m, t):
    """How far each column usually is from its mean before t; its width."""
    unit = np.zeros(COLUMNS)
    for k in range(COLUMNS):
        total, count = 0., 0
        for i in range(max(0, t - 150), t):
            if not np.isnan(x[i, k]):
                total += (x[i, k] - m[k, i]) ** 2
                count += 1
        unit[k] = math.sqrt(total / max(count, 1)) + FLOORS[k] \
            + .05 * abs(m[k, max(0, t - 1)])
        if count == 0:
            unit[k] = 1e30
    return unit


@njit(cache=True)
def tell(x, before, after, t, end, harmless, own, own_weight, row, weight):
    """Labels of a change from t to end."""
    unit = spreads(x, before, t)
    peak = np.zeros(COLUMNS)
    hurt = 0.
    last = min(end, t + ONSET)
    for k in range(COLUMNS):
        down = False
        for i in range(t, last):
            far = (after[k, i] - before[k, i]) / unit[k]
            if abs(far) > peak[k]:
                peak[k], down = abs(far), far < 0.
        side = FALLS[k] if down else RISES[k]
        if peak[k] > 0.:
            hurt += (min(peak[k], 3. * CLEAR) * side) ** 2
    sure = 0. if harmless else severity(math.sqrt(hurt))
    for i in range(t, last):
        for k in range(COLUMNS):
            far = abs(after[k, i] - before[k, i]) / unit[k]
            own[i, k] = severity(max(far, .7 * peak[k] if i > t + 1 else far))
            own_weight[i, k] = 2.
        row[i, 0] = sure
        row[i, 1] = 1. if sure > .3 else 0.
        weight[i] = 2. if i > t or sure > .9 else 0.
    for i in range(last, min(end + 5, x.shape[0])):
        weight[i] = 0.
        own_weight[i] = 0.


@njit(cache=True)
def service(seed, n):
    """-> x [n,F], seasons [n,6,2], label and weight of columns [n,F], label
    of the row [n,2], weight of it [n]"""
    np.random.seed(seed)
    tick = TICKS[randint(0, len(TICKS))]
    c = causes(n, tick)
    normal = means(c)
    flights(c, normal, tick)
    begins, ends = np.zeros(16, np.int64), np.zeros(16, np.int64)
    plain = np.zeros((16, COLUMNS, n))
    harmless = np.zeros(16, np.bool_)
    found, t = 0, WARM
    for k in range(randint(0, 7)):
        t += int(10. + random() * random() * n * .7)
        if t > n - 10:
            break
        plain[found] = means(c)
        flights(c, plain[found], tick)
        harmless[found] = random() < .35
        begins[found] = t
        ends[found] = disturb(c, t, tick) if harmless[found] \
            else break_down(c, t, tick)
        t = ends[found] if ends[found] < n else t + 200
        found += 1
    m = means(c)
    flights(c, m, tick)
    x = observe(c, m, tick)
    own, own_weight = np.zeros((n, COLUMNS)), np.ones((n, COLUMNS))
    row, weight = np.zeros((n, 2)), np.ones(n)
    own_weight[:WARM], weight[:WARM] = 0., 0.
    for k in range(found):
        tell(x, plain[k], m, begins[k], ends[k], harmless[k], own, own_weight,
             row, weight)

    # Yesterday and last week, where there was one.
    season = np.full((n, 6, 2), np.nan)
    if random() < .5:
        weeks, spans = random() < .5, max(1, int(300. / tick))
        for p in range(6):
            if not weeks and (p == 1 or p == 3):
                continue
            scale = math.exp(.1 * randn())
            for i in range(n):
                b = i // spans * spans
                season[i, p, 0] = normal[RATE, b] * scale \
                    * (1. + .03 * randn())
                season[i, p, 1] = normal[P50, b] * math.exp(.05 * randn())
    return x, season, own, own_weight, row, weight


def batch(replay, seed, count, ticks, rows):
    """`count` services as Rows."""
    made = [service(seed + i, ticks) for i in range(count)]
    x, season, own, own_weight, row, weight = (
        torch.from_numpy(np.stack([m[k] for m in made]).astype(np.float32))
        for k in range(6))
    return rows(replay, x, season, own, own_weight, row,
                weight[:, :, None].expand(-1, -1, 2))
