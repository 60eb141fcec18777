"""What people use instead. Each takes the values of one series and the number
of its rows in a day, and gives a score for each row from the rows before it.
"""
import numpy as np

LEARNING = .15


def filled(values):
    """Unobserved values as the last one observed."""
    out, last = np.array(values, float), 0.
    for i, v in enumerate(out):
        last = out[i] = v if v == v else last
    return out


def static(values, day, rows=0):
    """A level that somebody has set, looking at the first days: how far
    beyond what was seen in 98 % of them, in units of that range."""
    first = values[:rows or max(10, int(LEARNING * len(values)))]
    low, high = np.percentile(first, [1, 99])
    over = np.maximum(values - high, low - values)
    return np.maximum(over, 0.) / max(high - low, 1e-9 + 1e-3 * abs(high))


def ratio(values, day):
    """So many times the average of the last day, or that many times less:
    x > 2 * avg_over_time(x[1d])"""
    window = day or 288
    total = np.concatenate([[0.], np.cumsum(np.abs(values))])
    at = np.arange(1, len(values))
    start = np.maximum(0, at - window)
    mean = (total[at] - total[start]) / (at - start)
    least = 1e-3 * max(total[-1] / len(values), 1e-12)
    out = np.zeros(len(values))
    out[1:] = np.abs(np.log((np.abs(values[1:]) + least) / (mean + least)))
    out[:30] = 0.
    return out


def gaussian(values, day, window=400):
    """Distance from the mean of a sliding window, in its deviations."""
    out = np.zeros(len(values))
    shifted = values - values[0]
    one = np.concatenate([[0.], np.cumsum(shifted)])
    two = np.concatenate([[0.], np.cumsum(shifted ** 2)])
    for i in range(30, len(values)):
        a = max(0, i - window)
        mean = (one[i] - one[a]) / (i - a)
        var = (two[i] - two[a]) / (i - a) - mean ** 2
        out[i] = min(abs(shifted[i] - mean) / max(var, 1e-12) ** .5, 1e3)
    return out


def seasonal(values, day, pull=.3):
    """A mean and a deviation for every time of the day, both forgotten
    exponentially (Brutlag, Aberrant behavior detection in time series, 2000);
    of all rows where a day is not known."""
    bins = day or 1
    mean, spread = np.zeros(bins), np.zeros(bins)
    seen = np.zeros(bins, int)
    level, wide, out = values[0], 0., np.zeros(len(values))
    slow = 1. / 300. if bins > 1 else .01
    for i, v in enumerate(values):
        b = i % bins
        least = .1 * wide + 1e-9 + 1e-4 * abs(level)
        if seen[b] > 1 or (bins == 1 and i > 30):
            out[i] = abs(v - mean[b]) / max(spread[b], least)
        elif i > 30:
            out[i] = abs(v - level) / max(wide, least) / 3.
        rate = max(pull if bins > 1 else slow, 1. / (seen[b] + 1.))
        if seen[b]:
            spread[b] += rate * (min(abs(v - mean[b]), 6. * max(
                spread[b], least)) - spread[b])
        mean[b] += rate * (v - mean[b])
        seen[b] += 1
        rate = max(slow, 1. / (i + 1.))
        wide += rate * (abs(v - level) - wide)
        level += rate * (v - level)
    return out


def two_means(points, dice):
    """-> two centres, and what distances to them are usual: 0, 99 %"""
    centres = points[dice.choice(len(points), 2, replace=False)].copy()
    for _ in range(10):
        near = distances(points, centres).argmin(1)
        for k in (0, 1):
            if (near == k).any():
                centres[k] = points[near == k].mean(0)
    usual = distances(points, centres).mean(1)
    low, high = np.percentile(usual, [0, 99])
    return centres, low, max(high - low, 1e-9)


def distances(points, centres):
    return np.sqrt(((points[:, None] - centres[None]) ** 2).sum(2))


def kmeans(values, day, past=1440, every=360, models=9, first=200):
    """Netdata's recipe: six lags of the smoothed differences, two means, a
    model for every few hours; a row is odd if it is for all of them."""
    steps = np.diff(values, prepend=values[0])
    smooth = np.convolve(steps, np.ones(3) / 3.)[:len(steps)]
    points = np.stack([np.concatenate([np.zeros(k), smooth[:len(smooth) - k]])
                       for k in range(6)], 1)
    dice, alive, out = np.random.default_rng(1), [], np.zeros(len(values))
    starts = [first] + list(range(every, len(values), every))
    for start, end in zip(starts, starts[1:] + [len(values)]):
        alive.append(two_means(points[max(5, start - past):start], dice))
        alive = alive[-models:]
        block = points[start:end]
        if len(block):
            out[start:end] = np.min([
                (distances(block, centres).mean(1) - low) / wide
                for centres, low, wide in alive], 0)
    return out


ALL = {'static level': static, 'x times the daily mean': ratio,
       'windowed Gaussian': gaussian, 'seasonal EWMA': seasonal,
       'k-means (Netdata)': kmeans}
