"""Alerts and snapshots as the sidecar writes them, for tests of what shows them.

The names and forms are those of shared/alert_schema.h.
"""

import threading
import time

ALERT = {
    "v": "1", "id": "f00d-1", "fingerprint": "f00d", "alertname": "LatencyHigh",
    "state": "firing", "severity": "critical", "labels": "", "started": "0",
    "updated": "0", "ended": "0", "score": "97.5", "feature": "latency_p95",
    "unit": "s", "observed": "1.25", "expected": "0.1", "low": "0.05",
    "high": "0.2", "summary": "slow", "description": "", "evidence": "",
    "parts": "", "model": "7",
}

BOARD = {
    "v": "1", "ts": "0", "tick": "0", "tick_length": "1000000", "lag": "250000",
    "version": "0.1.0", "model": "7", "model_ts": "0", "trained": "12",
    "swapped": "3", "series": "124", "series_evicted": "0", "events": "1234567",
    "late": "3", "duplicates": "0", "gaps": "0", "malformed": "0",
    "active": "", "rollups": "", "rows": "",
}

ROW = ["labels", "score", "feature", "observed", "expected", "low", "high",
       "rate", "errors", "latency_p50", "latency_p95", "inflight", "spark"]


def now():
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def percent(text):
    """A part of PAIRS."""
    return "".join(
        chr(b) if b > 0x20 and b != 0x7f and b not in b"%,=" and b < 0x80
        else f"%{b:02X}" for b in text.encode("utf-8", "surrogateescape")
    )


def pairs(**labels):
    return ",".join(f"{k}={percent(v)}" for k, v in labels.items())


def points(values, start=None, step=1000000):
    """Evidence of (observed, expected, low, high), one a second, till now."""
    start = start if start is not None else now() - len(values) * step
    return ",".join(
        "=".join([str(start + i * step)] + ["" if v is None else f"{v:.6g}"
                                            for v in row])
        for i, row in enumerate(values)
    )


def part(fingerprint, score, feature, **labels):
    return f"{fingerprint}={score}={feature}={percent(pairs(**labels))}"


def alert(**fields):
    """Fields of an entry of tocsin:alerts; times default to now."""
    made = {**ALERT, "started": str(now()), "updated": str(now())}
    made.update({k: v if isinstance(v, bytes) else str(v)
                 for k, v in fields.items()})
    return made


def row(**cells):
    """A line of a snapshot; labels and spark come ready, as PAIRS."""
    def text(name):
        value = cells.get(name)
        return "" if value is None else str(value)

    return "\t".join(text(name) for name in ROW) + "\n"


def board(**fields):
    """Fields of an entry of tocsin:board."""
    made = {**BOARD, "ts": str(now()), "tick": str(now()),
            "model_ts": str(now() - 3600 * 1000000)}
    made.update({k: str(v) for k, v in fields.items()})
    return made


class Pretender:
    """Writes a snapshot every 200 ms, as a sidecar that lives."""

    def __init__(self, redis, prefix="tocsin", **fields):
        self.redis, self.prefix, self.fields = redis, prefix, fields
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        client = self.redis.connect()
        while not self.over.wait(0.2):
            try:
                client.xadd(f"{self.prefix}:board", board(**self.fields),
                            maxlen=10)
            except Exception:  # Redis may be killed by the test
                pass

    def stop(self):
        self.over.set()
        self.thread.join()
