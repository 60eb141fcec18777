"""Scores a detector by labelled events, as `tocsin backtest` does (see
sidecar/command/events.c for the rules), for detectors in Python."""
import statistics

LEARNING = .15
APART, QUIET, LASTS = 3, 10, 30
BEFORE, BEHIND = 1, 3
LEVELS = [k / 12. for k in range(6, 64)]


def spans(rows, apart, lasts=None):
    """Rows that belong together -> [(first, last)]"""
    out = []
    for i in rows:
        if out and i - out[-1][1] <= apart and (
                lasts is None or i - out[-1][0] < lasts):
            out[-1][1] = i
        else:
            out.append([i, i])
    return out


class File:
    def __init__(self, labels, scores):
        self.skip = int(LEARNING * len(labels))
        self.scores = scores
        self.events = spans([i for i in range(self.skip, len(labels))
                             if labels[i]], APART)

    def tally(self, threshold):
        """-> found, wrong, delays"""
        alerts = spans([self.skip + int(i) for i in
                        (self.scores[self.skip:] >= threshold).nonzero()[0]],
                       QUIET, LASTS)
        used, delays = set(), []
        for first, last in self.events:
            hits = [k for k, (a, b) in enumerate(alerts)
                    if a <= last + BEHIND and b >= first - BEFORE]
            used.update(hits)
            if hits:
                delays.append(max(0, alerts[hits[0]][0] - first))
        return len(delays), len(alerts) - len(used), delays


def best(files):
    """-> F1, precision, recall, median delay, threshold: one for all files"""
    events = sum(len(f.events) for f in files)
    scores = sorted(s for f in files for s in f.scores[f.skip:])
    out = (0., 0., 0., float('nan'), float('inf'))
    for level in LEVELS:
        at = min(len(scores) - 1, int(len(scores) * (1. - 10. ** -level)))
        tallies = [f.tally(scores[at]) for f in files]
        found, wrong = (sum(t[k] for t in tallies) for k in (0, 1))
        delays = [d for t in tallies for d in t[2]]
        if found:
            out = max(out, (2. * found / (found + wrong + events),
                            found / (found + wrong), found / events,
                            statistics.median(delays), scores[at]))
    return out
