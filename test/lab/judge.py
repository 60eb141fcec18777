"""What was said about a scenario's faults, and was it right.

The judge sees what an operator sees: the alerts that nginx shows under
/_alerts. He knows the scenario, which the detector does not.
"""

import dataclasses

from harness import fetch

# A fault may be noticed a little after it ended, and an alert about its end
# is no false alarm.
SETTLE = 20.0

LATENCY = {"latency_p50", "latency_p95", "header", "inflight", "oldest"}
FAILURE = {"errors", "local_errors", "retries"}
REASONS = {
    "latency": LATENCY, "spread": LATENCY, "drip": LATENCY,
    "errors": FAILURE, "reset": FAILURE, "truncate": FAILURE,
    "refuse": FAILURE | {"connect"},
    "black_hole": FAILURE | LATENCY | {"connect"},
    "hang": FAILURE | LATENCY, "rate": {"rate"},
}


@dataclasses.dataclass
class Seen:
    """One alert, from when it was first seen firing."""

    t: float
    labels: dict
    feature: str
    severity: str
    summary: str
    score: float
    alert: dict
    ended: float = None

    @classmethod
    def of(cls, alert, t):
        """From an alert in Alertmanager's shape."""
        own = alert["tocsin"]
        return cls(t, alert["labels"], own["feature"],
                   alert["labels"].get("severity", ""),
                   alert["annotations"].get("summary", ""),
                   own["score"], alert)

    @property
    def series(self):
        """Its labels, without those that every alert has."""
        return {k: v for k, v in self.labels.items()
                if k not in ("alertname", "severity")}

    @property
    def name(self):
        where = " ".join(self.series.values()) or "everything"
        return f"{self.labels.get('alertname', '?')} {where}"


class Watcher:
    """Follows /_alerts; tells what began to fire and what was resolved."""

    def __init__(self, url):
        self.url = f"{url}/api/v2/alerts"
        self.seen = []  # all that ever fired
        self.firing = {}  # fingerprint -> Seen

    def look(self, t):
        """(new ones, ended ones) since the last look."""
        reply = fetch(self.url)
        assert reply.status == 200, f"{self.url}: {reply.status}"
        now = {
            alert["fingerprint"]: alert for alert in reply.json()
            if alert["tocsin"]["state"] == "firing"
        }
        new, ended = [], []
        for fingerprint, alert in now.items():
            if fingerprint in self.firing:
                self.firing[fingerprint].alert = alert
                continue
            seen = Seen.of(alert, t)
            self.firing[fingerprint] = seen
            self.seen.append(seen)
            new.append(seen)
        for fingerprint in list(self.firing):
            if fingerprint not in now:
                seen = self.firing.pop(fingerprint)
                seen.ended = t
                ended.append(seen)
        return new, ended


@dataclasses.dataclass
class Verdict:
    """What was made of one fault."""

    fault: object
    alert: Seen = None
    delay: float = None
    wrong: list = dataclasses.field(default_factory=list)
    reason: bool = False
    lasting: list = dataclasses.field(default_factory=list)

    def complaints(self):
        name = self.fault.name
        if self.alert is None:
            yield f"missed: no alert names {self.fault.expect} ({name})"
        elif not self.reason:
            yield f"wrong reason: {self.alert.feature} ({name})"
        for seen in self.wrong:
            yield f"names the wrong thing: {seen.name} at {seen.t:.0f} s"
        for seen in self.lasting:
            yield f"not resolved: {seen.name}"


class Judge:
    def __init__(self, scenario, peers):
        self.scenario = scenario
        self.peers = peers

    def touched(self, fault):
        return [p for p in self.peers if fault.meets(
            cloud=p.cloud, region=p.region, server=p.server, path=p.path,
            peer=p.index)]

    def explains(self, fault, seen):
        """True if the fault harms the series that an alert names."""
        labels = seen.series
        return not labels or any(all((
            labels.get("cloud_provider", p.cloud) == p.cloud,
            labels.get("cloud_region", p.region) == p.region,
            labels.get("upstream", p.upstream) == p.upstream,
            labels.get("peer", f"{p.host}:{p.port}") == f"{p.host}:{p.port}",
            labels.get("server", p.server) == p.server,
            labels.get("route", p.path) == p.path,
        )) for p in self.touched(fault))

    @staticmethod
    def names(fault, seen):
        """True if an alert says what it should."""
        return all(seen.labels.get(key) == value
                   for key, value in fault.expect.items() if key != "features")

    @staticmethod
    def reasons(fault):
        if "features" in fault.expect:
            return set(fault.expect["features"])
        found = set()
        for _, behaviour in fault.phases:
            for key in behaviour:
                found |= REASONS.get(key, set())
        return found

    def is_of_another(self, fault, seen, shift):
        """True if it is about another fault that is on, or just was."""
        return any(
            self.explains(other, seen) for other in self.scenario.faults
            if other is not fault
            and other.at + shift <= seen.t <= other.end + shift + SETTLE)

    def verdict(self, fault, alerts, shift=0.0):
        """Judge the alerts of one fault that began at fault.at + shift."""
        start, end = fault.at + shift, fault.end + shift
        verdict = Verdict(fault)
        for seen in alerts:
            if not start <= seen.t <= end + SETTLE:
                continue
            if not self.explains(fault, seen):
                if not self.is_of_another(fault, seen, shift):
                    verdict.wrong.append(seen)
                continue
            if seen.ended is None:
                verdict.lasting.append(seen)
            if verdict.alert is None and self.names(fault, seen):
                verdict.alert = seen
                verdict.delay = seen.t - start
                verdict.reason = seen.feature in self.reasons(fault)
        return verdict

    def false_alarms(self, alerts, shift=0.0):
        """Alerts that began while nothing was wrong, or nothing of matter."""
        return [
            seen for seen in alerts
            if not any(f.at + shift <= seen.t <= f.end + shift + SETTLE
                       for f in self.scenario.faults if not f.quiet)
        ]
