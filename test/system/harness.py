"""Real servers for tests: Redis, nginx with the module, the sidecar.

Each lives in a temporary directory, listens on loopback ports that nobody
else uses, and is stopped by its pid. What went wrong in it (an alert in
nginx' error log, a sanitizer's report, an exit code) fails the test that
stops it. Environment:

    TOCSIN_BUILD       where the programs were built; default build/
    TOCSIN_SANITIZER   what they were built with: address, address,undefined,
                       thread (the sidecar alone)
    TOCSIN_PATIENCE    factor for all time limits
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import redis as redis_client
import yaml

from backend import Backend, BlackHole
from client import Load, Response, exchange, fetch
from waiting import PATIENCE, free_port, is_listening, wait_until

__all__ = [
    "BUILD", "MODEL", "MODULE", "PATIENCE", "ROOT", "SANITIZER", "TOCSIN",
    "Backend", "BlackHole", "Load", "Nginx", "Process", "Redis", "Response",
    "Sidecar", "children", "exchange", "fetch", "free_port", "is_alive",
    "is_listening", "tocsin", "wait_until",
]

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TOCSIN_BUILD", ROOT / "build")).resolve()
SANITIZER = os.environ.get("TOCSIN_SANITIZER", "")
MODULE = BUILD / "ngx_http_tocsin_module.so"
TOCSIN = BUILD / "tocsin"
MODEL = ROOT / "conf" / "default.pt"

# Exit of a process that a sanitizer stopped; see sanitizer_env().
SANITIZER_EXIT = 99


def sanitizer_env(directory, leaks):
    """Environment that makes reports land in directory/sanitizer.*"""
    if not SANITIZER:
        return {}
    options = ":".join([
        f"log_path={directory}/sanitizer",
        f"exitcode={SANITIZER_EXIT}",
        f"detect_leaks={int(leaks)}",
        "abort_on_error=0",
        "handle_abort=1",
        "detect_stack_use_after_return=1",
        # libtorch and Debian's nginx modules are not instrumented
        "detect_odr_violation=0",
        "alloc_dealloc_mismatch=0",
    ])
    suppressions = ROOT / "test" / "system" / "lsan.supp"
    return {
        "ASAN_OPTIONS": options,
        "UBSAN_OPTIONS": f"print_stacktrace=1:{options}",
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
        "TSAN_OPTIONS": f"log_path={directory}/sanitizer:"
                        f"exitcode={SANITIZER_EXIT}",
    }


def sanitizer_reports(directory):
    return [
        f"{path}:\n{path.read_text(errors='replace')}"
        for path in sorted(pathlib.Path(directory).glob("sanitizer.*"))
    ]


def runtime_library(name):
    """Path of a sanitizer's runtime, to be preloaded."""
    found = subprocess.run(
        ["gcc", f"-print-file-name={name}"],
        capture_output=True, text=True, check=True,
    )
    return os.path.realpath(found.stdout.strip())


def children(pid):
    """Pids of the children of a process."""
    path = f"/proc/{pid}/task/{pid}/children"
    try:
        with open(path, encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except FileNotFoundError:
        return []


def is_alive(pid):
    """True while the process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Process:
    """A server that a test starts: its directory, its log, its end."""

    name = "process"

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.log_path = self.dir / f"{self.name}.log"
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def log(self):
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(errors="replace")

    def spawn(self, argv, env=None):
        with open(self.log_path, "ab") as out:
            self.process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, **(env or {})}, cwd=self.dir,
                start_new_session=True,  # Ctrl-C is for the test alone
            )

    def signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        """SIGKILL; nothing is checked."""
        if self.running:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def end(self, number, timeout=20):
        """Send a signal and wait; returns the exit code."""
        self.signal(number)
        try:
            return self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"{self.name} ignored signal {number}:\n{self.log[-4000:]}"
            ) from None

    def check_reports(self):
        reports = sanitizer_reports(self.dir)
        assert not reports, "\n".join(reports)

    def wait_log(self, pattern, timeout=15):
        """Wait until a line of the log matches; returns the match."""
        return wait_until(
            lambda: re.search(pattern, self.log, re.M), timeout,
            f"{pattern!r} in the log of {self.name}",
        )


class Redis(Process):
    """redis-server on a free port, or on a unix socket with unix=True.

    `options` go onto its command line: Redis(d, "--maxmemory", "1mb"). It
    forgets everything when it ends, unless durable=True.
    """

    name = "redis"
    host = "127.0.0.1"

    def __init__(self, directory, *options, unix=False, durable=False):
        super().__init__(directory)
        self.options = list(options)
        self.durable = durable
        self.port = 0 if unix else free_port()
        self.socket = str(self.dir / "redis.sock") if unix else None
        self._client = None

    @property
    def url(self):
        if self.socket:
            return f"unix:{self.socket}"
        return f"redis://{self.host}:{self.port}/0"

    @property
    def client(self):
        """A client of the default user, text in and out."""
        if self._client is None:
            self._client = self.connect()
        return self._client

    def connect(self, **options):
        if self.socket:
            options["unix_socket_path"] = self.socket
        else:
            options.update(host=self.host, port=self.port)
        return redis_client.Redis(
            decode_responses=True, encoding_errors="backslashreplace",
            socket_timeout=20, **options,
        )

    def start(self):
        argv = ["redis-server", "--port", self.port, "--bind", self.host,
                "--dir", self.dir, "--save", "", "--daemonize", "no",
                "--appendonly", "yes" if self.durable else "no",
                "--appendfsync", "always"]
        if self.socket:
            argv += ["--unixsocket", self.socket]
        before = len(self.log)  # of earlier lives
        self.spawn(argv + self.options)
        address = self.socket or (self.host, self.port)
        wait_until(lambda: "eady to accept" in self.log[before:], what="Redis")
        wait_until(lambda: is_listening(address), what="Redis")
        return self

    def stop(self):
        if not self.running:
            return
        try:
            self.resume()
        finally:
            self.kill()  # there is nothing to save

    def restart(self):
        self.stop()
        return self.start()

    def entries(self, stream, start="-", end="+"):
        """Entries of a stream as dicts of str; "_id" is the entry's id."""
        rows = self.client.xrange(stream, start, end)
        return [{"_id": id, **fields} for id, fields in rows]

    def wait_entries(self, stream, count, timeout=15, where=None):
        """Wait for at least `count` entries that `where` is true for."""
        def enough():
            rows = [e for e in self.entries(stream) if not where or where(e)]
            return rows if len(rows) >= count else None

        try:
            return wait_until(enough, timeout)
        except AssertionError:
            rows = self.entries(stream)
            raise AssertionError(
                f"waited in vain for {count} entries in {stream}; has "
                f"{len(rows)}: {rows[-5:]}"
            ) from None


class Nginx(Process):
    """Debian's nginx with the module in front of everything else.

    `http` is the text within http {}. Words like @this@ are replaced: @port@,
    @port2@ and so on by free ports (also in nginx.ports), @dir@ by the
    directory, and all keyword arguments by their values.

        Nginx(d, "tocsin on; tocsin_redis @redis@; server { listen @port@; }",
              redis=redis.url).start()
    """

    name = "error"

    TEMPLATE = """\
@user@
daemon off;
pid @dir@/nginx.pid;
lock_file @dir@/nginx.lock;
error_log @dir@/error.log @level@;
worker_processes @workers@;
@modules@
@env@
@main@
events {
    worker_connections 1024;
    @events@
}
http {
    access_log off;
    default_type text/plain;
    client_body_temp_path @dir@/temp_body;
    proxy_temp_path @dir@/temp_proxy;
    fastcgi_temp_path @dir@/temp_fastcgi;
    uwsgi_temp_path @dir@/temp_uwsgi;
    scgi_temp_path @dir@/temp_scgi;
@http@
}
"""

    def __init__(self, directory, http, main="", events="", workers=2,
                 modules=(), level="info", module=True, **values):
        super().__init__(directory)
        self.http, self.main, self.events = http, main, events
        self.workers, self.modules = workers, list(modules)
        self.level, self.module = level, module
        self.values = values
        self.ports = {}
        self.allowed = []
        self.write()

    # -- configuration

    def _replace(self, match):
        name = match.group(1)
        if re.fullmatch(r"port\w*", name) and name not in self.values:
            if name not in self.ports:
                self.ports[name] = free_port()
            return str(self.ports[name])
        if name in self.values:
            return str(self.values[name])
        return match.group(0)

    def write(self, http=None):
        """Write nginx.conf, with another `http` if given."""
        if http is not None:
            self.http = http
        loads = self.modules + ([MODULE] if self.module else [])
        own = {
            "user": "user root;" if os.geteuid() == 0 else "",
            "workers": self.workers, "level": self.level,
            "modules": "\n".join(f"load_module {m};" for m in loads),
            "env": "".join(f"env {name};\n" for name in self.environment()),
            "main": self.main, "events": self.events, "http": self.http,
        }
        text = re.sub(
            r"@(\w+)@", lambda m: str(own.get(m.group(1), m.group(0))),
            self.TEMPLATE,
        )
        self.values["dir"] = self.dir
        text = re.sub(r"@(\w+)@", self._replace, text)
        (self.dir / "nginx.conf").write_text(text)

    def environment(self):
        if "address" not in SANITIZER:
            return {}
        return {"LD_PRELOAD": runtime_library("libasan.so"),
                **sanitizer_env(self.dir, leaks=False)}

    @property
    def argv(self):
        return ["nginx", "-p", self.dir, "-c", self.dir / "nginx.conf",
                "-e", self.dir / "error.log"]

    @classmethod
    def test(cls, directory, http, **options):
        """`nginx -t`; returns (exit code, what it said)."""
        nginx = cls(directory, http, **options)
        done = subprocess.run(
            [str(word) for word in nginx.argv + ["-t"]],
            capture_output=True, text=True, check=False,
            env={**os.environ, **nginx.environment()},
        )
        nginx.check_reports()
        return done.returncode, done.stderr

    # -- life

    @property
    def port(self):
        return self.ports["port"]

    def url(self, path="/", port="port"):
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def get(self, path="/", port="port", **options):
        return fetch(self.url(path, port), **options)

    def start(self):
        self.spawn(self.argv, self.environment())

        def ready():
            assert self.running, f"nginx did not start:\n{self.log}"
            return len(self.worker_pids()) >= 1 and all(
                is_listening(("127.0.0.1", port))
                for port in self.ports.values()
            )

        wait_until(ready, what="nginx")
        return self

    def worker_pids(self):
        """Pids of the workers, old ones that drain included."""
        pids = []
        for pid in children(self.pid):
            try:
                with open(f"/proc/{pid}/cmdline", encoding="latin-1") as f:
                    title = f.read()
            except OSError:
                continue
            if "worker process" in title and is_alive(pid):
                pids.append(pid)
        return sorted(pids)

    def reload(self, http=None, wait=True):
        """Reload, with another `http` if given; waits for the new workers.

        Old ones may still drain: see wait_drained().
        """
        self.write(http)
        old = set(self.worker_pids())
        self.signal(signal.SIGHUP)
        if wait:
            wait_until(
                lambda: len(set(self.worker_pids()) - old) >= self.workers,
                what=f"new workers after reload:\n{self.log[-2000:]}",
            )
        return old

    def wait_drained(self, old, timeout=15):
        """Wait until none of these workers is left."""
        wait_until(lambda: not any(is_alive(pid) for pid in old), timeout,
                   f"the end of old workers {old}")

    def kill_worker(self, pid=None):
        """SIGKILL one worker and wait for its successor."""
        before = self.worker_pids()
        pid = pid or before[0]
        self.allow(rf"worker process {pid} exited on signal 9")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(self.worker_pids()) - set(before),
                   what="another worker")
        return pid

    def allow(self, *patterns):
        """Lines of the error log that do not fail this test."""
        self.allowed += patterns

    def complaints(self):
        """Lines of severity alert, emerg or crit that nobody allowed."""
        return [
            line for line in self.log.splitlines()
            if re.search(r"\[(alert|emerg|crit)\]", line)
            and not any(re.search(p, line) for p in self.allowed)
        ]

    def stop(self, number=signal.SIGQUIT):
        """Graceful end (or that of another signal), then look for trouble."""
        if self.running:
            workers = self.worker_pids()
            code = self.end(number)
            assert code == 0, f"nginx: exit {code}\n{self.log[-4000:]}"
            self.wait_drained(workers)
        self.check()

    def check(self):
        self.check_reports()
        found = self.complaints()
        assert not found, "nginx complained:\n" + "\n".join(found)


class Sidecar(Process):
    """`tocsin run` with a configuration of its own.

    `config` is a dict of dicts as in tocsin.yaml; redis, model and state are
    filled in when they are missing.
    """

    name = "tocsin"

    def __init__(self, directory, redis, config=None):
        super().__init__(directory)
        self.redis = redis
        self.config_path = self.dir / "tocsin.yaml"
        self.config = {section: dict(keys)
                       for section, keys in (config or {}).items()}
        self.write()

    def write(self):
        config = self.config
        config.setdefault("redis", {}).setdefault("url", self.redis.url)
        config.setdefault("state", {}).setdefault("dir", str(self.dir / "state"))
        pathlib.Path(config["state"]["dir"]).mkdir(mode=0o700, exist_ok=True)
        if MODEL.exists() and "path" not in config.setdefault("model", {}):
            # a checkout may be group-writable; the sidecar refuses such files
            model = self.dir / "default.pt"
            shutil.copyfile(MODEL, model)
            model.chmod(0o600)
            config["model"]["path"] = str(model)
        self.config_path.write_text(yaml.safe_dump(config, sort_keys=False))

    def start(self, ready=True):
        self.spawn([TOCSIN, "run", "-c", self.config_path],
                   sanitizer_env(self.dir, leaks=True))
        if ready:
            self.wait_board(60)
        return self

    @property
    def prefix(self):
        return self.config["redis"].get("prefix", "tocsin")

    def wait_board(self, timeout=15):
        """Wait for the next snapshot; returns it as a dict."""
        key = f"{self.prefix}:board"
        known = self.redis.client.xrevrange(key, count=1)

        def next_one():
            assert self.running, f"the sidecar ended:\n{self.log[-4000:]}"
            found = self.redis.client.xrevrange(key, count=1)
            return found and found != known and found[0][1]

        return wait_until(next_one, timeout, "a board")

    def alerts(self):
        return self.redis.entries(f"{self.prefix}:alerts")

    def run(self, *args, timeout=60):
        """Another subcommand with the same configuration."""
        return tocsin(*args, "-c", self.config_path, cwd=self.dir,
                      timeout=timeout)

    def stop(self):
        """SIGTERM; it must drain, checkpoint and end well."""
        if self.running:
            self.resume()
            code = self.end(signal.SIGTERM)
            self.check_reports()
            assert code == 0, f"tocsin: exit {code}\n{self.log[-4000:]}"
        self.check_reports()


def tocsin(*args, cwd=None, timeout=60, **options):
    """Run the program; returns a CompletedProcess with text."""
    directory = cwd or BUILD
    done = subprocess.run(
        [str(word) for word in (TOCSIN,) + args], cwd=directory,
        capture_output=True, text=True, check=False, errors="replace",
        timeout=timeout * PATIENCE,
        env={**os.environ, **sanitizer_env(directory, leaks=True)}, **options,
    )
    reports = sanitizer_reports(directory) if SANITIZER else []
    assert not reports, "\n".join(reports)
    return done
