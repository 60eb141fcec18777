#!/usr/bin/python3
"""make bench: what Tocsin costs, side by side, against what was aimed at.

    bench.py [requests] [redis] [faults] [scoring] [training]   all by default
    bench.py endtoend   not by default: it wants a machine of its own

Rates are per second of CPU time of one core, so that what else the machine
does changes them little. Instructions are counted, not timed.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

from harness import BUILD, MODEL, Redis  # noqa: E402

EVENTS = 400_000

# An upstream event as the module writes it: 24 fields.
EVENT = {
    "v": "1", "src": "web-1/0/7f3a", "seq": "123456", "req": "123450",
    "ts": "1767323045678901", "dur": "12345", "server": "shop.example.org",
    "route": "/api/orders", "upstream": "orders", "peer": "10.20.30.40:8080",
    "attempt": "1", "status": "200", "error": "", "connect": "210",
    "header": "11000", "in": "512", "out": "14321", "grpc": "",
    "cloud": "aws", "region": "eu-west-1", "zone": "", "weight": "1",
    "flags": "", "labels": "",
}


missed = []


class Table:
    def __init__(self, title):
        print(f"\n{title}\n")
        self.row("", "measured", "aim", "")

    def row(self, name, measured, aim="", verdict=None):
        if verdict is False:
            missed.append(name)
        if isinstance(verdict, bool):
            verdict = "reached" if verdict else "MISSED"
        print(f"  {name:<44} {measured:>14}  {aim:<16} {verdict or ''}",
              flush=True)


def figures_of(program, *words):
    """What a program prints as one "name value" a line."""
    done = subprocess.run([str(BUILD / "test/bench" / program), *words],
                          check=True, capture_output=True, text=True)
    return {name: float(value) for name, value in
            re.findall(r"^(\w+) ([\d.]+)$", done.stdout, re.M)}


def bench_requests():
    """Instructions per request under callgrind."""
    done = subprocess.run([sys.executable, str(HERE / "callgrind.py")],
                          check=False)
    if done.returncode != 0:
        missed.append("requests")


def cpu_of(redis):
    info = redis.client.info("cpu")
    return info["used_cpu_user"] + info["used_cpu_sys"]


def redis_rate(redis):
    """XADDs that one core of Redis takes in a second, pipelined."""
    fields = [word for pair in EVENT.items() for word in pair]
    before = cpu_of(redis)
    subprocess.run(
        ["redis-benchmark", "-p", str(redis.port), "-q", "-P", "100", "-c",
         "4", "-n", str(EVENTS), "XADD", "bench", "MAXLEN", "~", "1000000",
         "*"] + fields, check=True, stdout=subprocess.DEVNULL)
    return EVENTS / (cpu_of(redis) - before)


def intake_rate(redis):
    done = subprocess.run(
        [str(BUILD / "test/bench/intake"), redis.url, str(EVENTS)],
        check=True, capture_output=True, text=True)
    print("  " + "\n  ".join(done.stdout.strip().splitlines()))
    return float(re.search(r"^intake\s+([\d.]+)", done.stdout, re.M).group(1))


def series_rate():
    """Events that one core of the sidecar decodes and aggregates."""
    done = subprocess.run([str(BUILD / "test/bench/series")], check=True,
                          capture_output=True, text=True)
    print("  " + "\n  ".join(done.stdout.strip().splitlines()))
    return float(re.search(r"^together\s+([\d.]+)", done.stdout,
                           re.M).group(1))


def bench_redis():
    """Is Redis the bottleneck?"""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        redis = Redis(directory).start()
        try:
            taken = redis_rate(redis)
            redis.client.flushall()
            table = Table("Events a second of one core")
            table.row("Redis takes in (XADD, pipelined)", f"{taken:,.0f}")
            read = intake_rate(redis)
            table.row("sidecar reads", f"{read:,.0f}", "> Redis",
                      read > taken)
            counted = series_rate()
            table.row("sidecar decodes and aggregates", f"{counted:,.0f}",
                      "> Redis", counted > taken)
            both = 1 / (1 / read + 1 / counted)
            table.row("both, one after the other", f"{both:,.0f}",
                      "> Redis", both > taken)
        finally:
            redis.stop()


def bench_scoring():
    """10,000 series, a tick of one second."""
    figures = figures_of("score", str(MODEL), "10000")
    table = Table("10,000 series, ticks of 1 s: share of one core")
    table.row("counting one event a series", f"{figures['events']:.2%}")
    table.row("closing the tick", f"{figures['close']:.2%}")
    table.row("features", f"{figures['features']:.2%}")
    table.row("scoring: the model's step", f"{figures['score']:.2%}",
              "<= 5 %", figures["score"] <= 0.05)
    table.row("detect", f"{figures['detect']:.2%}")
    table.row("alert", f"{figures['alert']:.2%}")
    memory, aim = figures["memory"], 300e6 + 18e3 * 10000
    table.row("memory", f"{memory / 1e6:.0f} MB", f"<= {aim / 1e6:.0f} MB",
              memory <= aim)


def bench_training():
    """10,000 series in real time, with rounds of training and without."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        model = pathlib.Path(directory) / "model.pt"
        model.write_bytes(MODEL.read_bytes())
        model.chmod(0o600)
        figures = figures_of("train", str(model), directory)
    table = Table("10,000 series in real time, a trainer beside them")
    share = figures["share"]
    table.row("training, while a round runs: share of a core",
              f"{share:.1%}", "<= 25 %", share <= 0.25 * 1.02)
    table.row("the most in one second", f"{figures['share_max']:.1%}")
    table.row("threads (OpenBLAS' own sleep)", f"{figures['threads']:.0f}")
    for name, what in (("alone", "without a round"),
                       ("beside", "with a round")):
        table.row(f"a tick {what}: CPU", f"{figures[name + '_cpu']:.1f} ms")
        table.row(f"a tick {what}: time, largest",
                  f"{figures[name + '_wall']:.1f}, "
                  f"{figures[name + '_wall_max']:.1f} ms")
    table.row("a tick's time with a round : without", "%.2f" % (
        figures["beside_wall"] / figures["alone_wall"]))


def bench_faults():
    """Latency of proxied requests while Redis is at fault."""
    done = subprocess.run([sys.executable, str(HERE / "faults.py")],
                          check=False)
    if done.returncode != 0:
        missed.append("requests failed")


def bench_endtoend():
    """100,000 events a second from nginx to the scores."""
    done = subprocess.run([sys.executable, str(HERE / "endtoend.py")],
                          check=False)
    if done.returncode != 0:
        missed.append("endtoend")


def main():
    wanted = sys.argv[1:] or ["requests", "redis", "faults", "scoring",
                              "training"]
    for name in wanted:
        globals()[f"bench_{name}"]()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
