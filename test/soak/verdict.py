"""What is judged at the end of a soak, each with the lines of a table."""

import calendar
import datetime
import math
import re
import statistics

from watch import quarter

FLAT, FLAT_SHORT = 0.02, 0.5  # growth from the second to the last quarter
LONG = 1800  # seconds; a shorter soak still warms up in its second quarter
SHARED = 16 * 4 + 10 << 20  # a ring for each of 16 slots, the board, slots
COUNTS = ("descriptors", "clients")
SLACK = {"descriptors": 2, "clients": 2, "private": 65536,
         "client memory": 65536}


class Table:
    """Rows that are printed, and whether all of them are well."""

    def __init__(self):
        self.failed = []

    def title(self, text):
        print(f"\n{text}\n", flush=True)

    def row(self, name, value, aim="", well=None, notes=()):
        verdict = {None: "", True: "ok", False: "FAILED"}[well]
        print(f"  {name:<34} {value:>22}  {aim:<26} {verdict}", flush=True)
        for note in list(notes)[:20]:
            print(f"      {note}", flush=True)
        if well is False:
            self.failed.append(name)


def explained(faults, at, trait, **margins):
    return any(getattr(fault.kind, trait) and fault.covers(at, **margins)
               for fault in faults)


# ------------------------------------------------------------------ requests


def judge_requests(table, lines, faults, rate):
    """Open loop: as many as were due; failed ones need a fault."""
    keys = ("bad", "closed", "refused", "late", "overrun")
    total = {key: sum(line[key] for _, line in lines)
             for key in (*keys, "sent", "ok", "again")}
    excused, strange = 0, []
    for at, line in lines:
        failed = sum(line[key] for key in keys)
        if failed and explained(faults, at, "fails", before=2):
            excused += failed
        elif failed:
            strange.append(f"{stamp(at)} " + ", ".join(
                f"{line[key]} {key}" for key in keys if line[key]))
    quiet, troubled = [], []
    for at, line in lines[:-1]:
        (troubled if any(f.covers(at, after=1) for f in faults)
         else quiet).append(line["p99"])
    table.title("Requests")
    table.row("sent", f"{total['sent']:,}", f"{rate:,} a second")
    table.row("answered well", f"{total['ok']:,}")
    table.row("sent again, as clients do", f"{total['again']:,}")
    table.row("failed by a killed worker, backend", f"{excused:,}")
    table.row("failed otherwise", f"{len(strange)} s", "0",
              not strange, strange)
    for name, values in (("without", quiet), ("with", troubled)):
        values.sort()
        if values:
            table.row(f"p99 of seconds {name} a fault, median",
                      f"{values[len(values) // 2] / 1000:.1f} ms")
    return total


# -------------------------------------------------------------------- events


def masters_of(sources):
    """Sums of what producers have in the streams, master by master, in the
    order in which the masters were started."""
    found = {}
    for src, account in sources.items():
        born = int(src.rsplit("/", 1)[1].split("-")[0], 16)
        sums = found.setdefault(born, dict.fromkeys(
            ("last", "distinct", "lost", "repeats"), 0))
        for stream in ("request", "upstream"):
            for key in sums:
                sums[key] += account[stream][key]
    return [found[born] for born in sorted(found)]


def judge_events(table, stage, now, sources, total, faults):
    """emitted = distinct + lost by Redis + dropped + buffered."""
    *masters, mine = masters_of(sources)
    dropped = {reason: now[reason]
               for reason in ("full", "refused", "shutdown", "slot")}
    told = sum(map(int, re.findall(r"tocsin: (\d+) events could not be sent",
                                   stage.nginx.log)))
    before = sum(counters[reason] for counters in stage.retired
                 for reason in ("full", "refused", "shutdown"))
    gone = {key: sum(m[key] for m in masters) for key in mine}
    found = mine["distinct"] + mine["lost"] + sum(dropped.values())
    table.title("Events: emitted = delivered + dropped + buffered")
    table.row("emitted (as numbered)",
              f"{now['emitted']:,} ({mine['last']:,})", "the same",
              now["emitted"] == mine["last"] + dropped["slot"])
    table.row("distinct in the streams", f"{mine['distinct']:,}")
    table.row("lost by Redis, acknowledged", f"{mine['lost']:,}")
    table.row("dropped " + ", ".join(
        f"{reason} {n:,}" for reason, n in dropped.items() if n),
        f"{sum(dropped.values()):,}")
    table.row("buffered", f"{now['buffered']:,}", "0", now["buffered"] == 0)
    table.row("unaccounted for", f"{now['emitted'] - found:,}", "0",
              now["emitted"] == found)
    table.row("acknowledged", f"{now['delivered']:,}", "distinct + lost",
              now["delivered"] == mine["distinct"] + mine["lost"])
    table.row("twice in the streams", f"{mine['repeats']:,}")
    tail = 0
    if stage.retired:
        missing = gone["last"] - gone["distinct"] - gone["lost"]
        # the last ones of a source may be gone, as when Redis is full at its
        # end, and then nobody knows them but who dropped them
        tail = before + told - missing
        table.row(f"{len(stage.retired)} upgraded masters: emitted",
                  f"{gone['last'] + tail:,}")
        table.row("missing of them", f"{missing + tail:,}",
                  f"counted, told: {before + told:,}", tail >= 0)
        known = sum(counters["emitted"] for counters in stage.retired)
        table.row("emitted before they were left", f"{known:,}",
                  "no more than that", known <= gone["last"] + tail)
    requests = sum(account["request"]["last"] for account in sources.values())
    answered = total["ok"] + total["bad"]
    # A worker sends an answer, then comes to the log phase: it may be killed
    # between the two, with one request. Without a slot nothing is numbered.
    killed = sum(fault.kind.name == "worker killed" for fault in faults)
    logged = requests + tail + sum(counters["slot"] for counters in
                                   (now, *stage.retired))
    table.row("requests, as nginx and clients say", f"{logged:,} {answered:,}",
              f"all but one a kill: {killed}", logged >= answered - killed)


# ---------------------------------------------------------------------- logs


def stamp(at):
    return datetime.datetime.utcfromtimestamp(at).strftime("%H:%M:%S")


def local_time(text, form):
    return datetime.datetime.strptime(text, form).timestamp()


def nginx_lines(text):
    for line in text.splitlines():
        match = re.match(r"(\S+ \S+) \[(error|crit|alert|emerg)\] (.*)", line)
        if match:
            yield local_time(match[1], "%Y/%m/%d %H:%M:%S"), match[0]


def sidecar_lines(text):
    for line in text.splitlines():
        match = re.match(r"(\S+T\S+)\.\d+Z error (.*)", line)
        if match:
            at = datetime.datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S")
            yield calendar.timegm(at.timetuple()), match[0]
        elif not re.match(r"\S+Z (warn|notice|info|debug) ", line):
            yield 0.0, line  # not one of its lines: an abort, a report


def redis_lines(text):
    for line in text.splitlines():
        if re.search(r"BUG REPORT|crashed by signal|ASSERTION|Bad file", line):
            yield 0.0, line


def judge_logs(table, stage, faults):
    logs = [("nginx", nginx_lines(stage.nginx.log)),
            ("tocsin", sidecar_lines(stage.sidecar.log)),
            ("redis", redis_lines(stage.redis.log))]
    logs += [("backend", nginx_lines(b.log)) for b in stage.backends]
    excused, strange = 0, []
    for program, lines in logs:
        for at, line in lines:
            if any(f.covers(at) and f.excuses(program, line) for f in faults):
                excused += 1
            else:
                strange.append(f"{program}: {line[:300]}")
    table.title("Logs, at [error] and worse")
    table.row("lines that a fault explains", f"{excused:,}")
    table.row("others", f"{len(strange):,}", "0", not strange, strange)


# -------------------------------------------------------------------- alerts


def clients_saw(lines, alert):
    """Was it as slow when clients measured it? More in flight at the same rate
    is slowness, too: three times the median that there is in general."""
    at = int(alert["started"]) / 1e6
    near = [line for when, line in lines if at - 5 <= when <= at + 5]
    usual = statistics.median(line["p50"] for _, line in lines)
    if alert["feature"] == "inflight":
        return any(line["p50"] >= 3 * usual for line in near)
    return alert["unit"] == "s" and any(
        line["p99"] / 1e6 >= float(alert["observed"]) / 2 for line in near)


def judge_alerts(table, alerts, lines, faults):
    """A fault explains it, or the clients saw the same at that time: on a
    machine that is busy otherwise, requests are slow now and then."""
    fired = {}
    for alert in alerts:
        if alert["state"] == "firing":
            fired.setdefault(alert["id"], alert)
    excused, seen, strange = 0, 0, []
    for alert in fired.values():
        at = int(alert["started"]) / 1e6
        if explained(faults, at, "alerts", before=3, after=20):
            excused += 1
        elif clients_saw(lines, alert):
            seen += 1
        else:
            strange.append(f"{stamp(at)} {alert['summary']}")
    table.title("Alerts")
    table.row("raised, that a fault explains", f"{excused}")
    table.row("raised, of slowness that clients saw", f"{seen}")
    table.row("others", f"{len(strange)}", "0", not strange, strange)


# -------------------------------------------------------------------- memory


def judge_memory(table, samples, began, seconds):
    """Flat: the last quarter within some per cent of the second. What is
    shared has a bound; how much of it is resident depends on which pages a
    process happened to touch, and is told only."""
    limit = FLAT if seconds >= LONG else FLAT_SHORT
    early, late = (quarter(samples, began, seconds, n) for n in (2, 4))
    table.title("Medians of the second and the last quarter")
    for name, then in early.items():
        now = late.get(name, math.inf)
        what = name.rsplit(": ")[1]
        grown = now / then - 1 if then else 0.0
        flat = grown <= limit or now - then <= SLACK.get(what, 0)
        aim = f"{grown:+.1%} (at most {limit:.0%})"
        if what in ("shared", "PSS") and not name.startswith("sidecar"):
            flat, aim = now <= SHARED, f"at most {SHARED >> 20} MB"
        number = "{:,.0f}" if what in COUNTS else "{:,.2f} MB"
        value = " ".join(
            number.format(value if what in COUNTS else value / 1e6)
            for value in (then, now))
        table.row(name, value, aim, flat)
