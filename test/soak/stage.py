"""What a soak consists of: Redis, nginx with the module, two backends, the
sidecar, a load that comes whatever happens, and a ledger of the streams."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import redis as redis_client  # noqa: E402

import harness  # noqa: E402
from harness import BUILD, ROOT, children, wait_until  # noqa: E402
from masters import Adopted, Master, adopt_orphans  # noqa: E402

__all__ = ["Stage", "adopt_orphans", "wait_until"]

HTTP = """
tocsin on;
tocsin_redis @redis@ user=tocsin-nginx password_file=@secrets@/nginx.txt;
tocsin_stream tocsin maxlen=300000;
tocsin_buffer 4m;
tocsin_cloud upstream:app aws eu-west-1;
keepalive_requests 10000;
proxy_http_version 1.1;
proxy_set_header Connection "";
upstream app { @backends@ keepalive 32; }
server {
    listen 127.0.0.1:@port@;
    server_name soak.example;
    location / { return 200 "ok"; }
    location /app/ { proxy_pass http://app; }
    location /pid { tocsin off; return 200 "$pid"; }
    location /_alerts { tocsin off; tocsin_alerts; }
}
"""
PATHS = ["/=5", "/app/item=5"]
USERS = ("nginx", "sidecar")


class Backend(harness.Nginx):
    """An upstream server: nginx, because it answers quickly."""

    HTTP = ("server { listen 127.0.0.1:@port@; keepalive_requests 100000;"
            " location / { return 200 \"hello, world\"; } }")

    def __init__(self, directory):
        super().__init__(directory, self.HTTP, workers=1, module=False,
                         level="error")

    def kill(self):
        """The master and its workers, at once."""
        if self.running:
            pids = children(self.pid)
            super().kill()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                Adopted(pid).wait()


class Filter(threading.Thread):
    """Lines of JSON that a program prints, as they come."""

    def __init__(self, program, *words):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(
            [str(BUILD / "test/soak" / program), *map(str, words)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True)
        self.lines = []
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.lines.append((time.time(), json.loads(line)))

    def ask(self, command):
        """A command that is answered by one line."""
        before = len(self.lines)
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        wait_until(lambda: len(self.lines) > before or
                   self.process.poll() is not None, 120, command)
        assert len(self.lines) > before, "the ledger ended"
        return self.lines[-1][1]

    def stop(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
        self.process.kill()
        self.process.wait()
        self.join()


class Counted:
    """One connection to one worker: its answers are of one master."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.socket.makefile("rb")

    def get(self, path):
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: soak.example\r\n\r\n".encode())
        length = 0
        status = self.file.readline()
        while (line := self.file.readline().strip()):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if b" 200 " not in status:
            raise OSError(f"{path}: {status}")
        return self.file.read(length).decode()

    def close(self):
        self.file.close()
        self.socket.close()


def parse_counters(text):
    """name -> value of what the module counts of its events."""
    found = {}
    for name, reason, value in re.findall(
            r'^tocsin_events_(\w+?)(?:_total)?(?:\{reason="(\w+)"\})? (\d+)$',
            text, re.M):
        found[reason or name] = int(value)
    return found


class Stage:
    def __init__(self, directory, rate):
        self.dir = pathlib.Path(directory)
        self.rate = rate
        self.parts = []
        self.retired = []  # counters of masters that are gone
        self.attics = 0
        self.pages = []
        self.tmpfs = None
        self.trouble = []

    # -- beginning and end

    def start(self):
        self._secrets()
        self.redis = self._add(harness.Redis(
            self.dir / "redis", "--appendfsync", "no", "--aclfile",
            str(self.dir / "users.acl"), durable=True)).start()
        self.backends = [
            self._add(Backend(self.dir / f"backend{i}")).start()
            for i in range(2)]
        self.nginx = Master(
            self.dir / "nginx", HTTP, level="warn", redis=self.redis.url,
            secrets=self.dir, backends=" ".join(
                f"server 127.0.0.1:{backend.port} max_fails=0;"
                for backend in self.backends))
        self.nginx.register = self._add
        self.nginx.allow(r"worker process \d+ exited on signal 9")
        self._add(self.nginx).start()
        self.state = self._state()
        self.sidecar = self._add(harness.Sidecar(
            self.dir / "sidecar", self.redis, {
                "redis": {"username": "tocsin-sidecar",
                          "password_file": str(self.dir / "sidecar.txt")},
                "state": {"dir": str(self.state), "every": "5s"},
                # a sidecar that lives for minutes only is to have trained
                "model": {"train_every": "1m"}}))
        self.sidecar.start()
        self.ledger = self._add(Filter(
            "ledger", self.redis.host, self.redis.port, "tocsin"))
        return self

    def start_load(self):
        self.load = self._add(Filter(
            "load", self.nginx.port, self.rate, *PATHS))

    def _add(self, part):
        self.parts.append(part)
        return part

    def _secrets(self):
        acl = (ROOT / "conf/redis-acl.conf").read_text()
        lines = [line for line in acl.splitlines() if line.startswith("user")]
        for number, user in enumerate(USERS, 1):
            lines = [line.replace(f"CHANGE-ME-{number}", f"secret-{user}")
                     for line in lines]
            path = self.dir / f"{user}.txt"
            path.write_text(f"secret-{user}\n")
            path.chmod(0o600)
        lines.append("user default on nopass allkeys allchannels +@all")
        (self.dir / "users.acl").write_text("\n".join(lines) + "\n")

    def _state(self):
        """A directory that can be full, where one may mount it."""
        path = self.dir / "state"
        path.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tocsin",
             str(path)], check=False, capture_output=True)
        if done.returncode == 0:
            self.tmpfs = path
        return path

    def stop(self):
        """Everything ends; returns what was wrong with it."""
        trouble, self.trouble = self.trouble, []
        parts, self.parts = self.parts, []
        for page in self.pages:
            page.close()
        for part in reversed(parts):
            try:
                part.stop()
            except AssertionError as e:
                trouble += str(e).splitlines()
            finally:
                if isinstance(part, harness.Process):
                    part.kill()
        if self.tmpfs:
            shutil.copytree(self.tmpfs, self.dir / "state-kept")
            subprocess.run(["umount", str(self.tmpfs)], check=True)
            self.tmpfs = None
        return trouble

    # -- what the faults need

    def upgrade(self):
        """A new binary takes over; the old master's account is closed."""
        old = self.nginx
        new = old.upgrade()
        counters = self.counters_of(old)
        old.retire()
        old.stop()
        self.retired.append(counters)
        self.nginx = new

    def counters_of(self, master):
        """By a worker of this very master: another one may listen too."""
        def ask():
            counted = Counted(master.port)
            try:
                if int(counted.get("/pid")) not in master.worker_pids():
                    return None
                return parse_counters(counted.get("/_alerts/metrics"))
            finally:
                counted.close()

        return wait_until(ask, 60, "a worker of this master")

    def counters(self):
        return self.counters_of(self.nginx)

    def counters_now(self):
        """Of whichever master answers."""
        return parse_counters(self.nginx.get("/_alerts/metrics").text)

    def sidecar_lives(self):
        """Nobody but a fault ends it."""
        if not self.sidecar.running:
            self.trouble.append("the sidecar had ended by itself: "
                                + self.sidecar.log[-500:])
            self.sidecar.start(ready=False)

    def forget(self):
        """Redis comes back without what it knew; the ledger reads that."""
        self.redis.kill()
        self.attics += 1
        attic = self.dir / f"attic{self.attics}"
        attic.mkdir()
        shutil.move(self.redis.dir / "appendonlydir", attic)
        self.redis.start()
        old = harness.Redis(attic, unix=True, durable=True).start()
        try:
            self.ledger.ask(f"attic {old.socket}")
        finally:
            old.stop()
        shutil.rmtree(attic / "appendonlydir")

    def open_pages(self, count):
        """Readers of /_alerts/stream who never read."""
        for _ in range(count):
            page = socket.create_connection(("127.0.0.1", self.nginx.port), 20)
            page.sendall(b"GET /_alerts/stream HTTP/1.1\r\nHost: a\r\n\r\n")
            self.pages.append(page)

    def leave_pages(self, most):
        while len(self.pages) > most:
            self.pages.pop(0).close()

    def calm(self):
        """Under load, and yet next to nothing waits in the rings."""
        wait_until(lambda: self.counters()["buffered"] < self.rate, 60,
                   "calm")

    def drained(self):
        """Nothing waits in the rings, and the ledger has read it all."""
        def empty():
            now = self.counters()
            return now if now["buffered"] == 0 else None

        now = wait_until(empty, 60, "empty rings")
        wait_until(self._ledger_at_end, 60, "the ledger")
        return now

    def _ledger_at_end(self):
        ids = self.ledger.ask("report")["ids"]
        for stream in ("request", "upstream"):
            info = self.redis.client.xinfo_stream(f"tocsin:{stream}")
            if ids[stream] != info["last-generated-id"]:
                return False
        return True

    def quietly(self, command, *words):
        """A command of the driver's own to Redis, which may be away."""
        with contextlib.suppress(redis_client.RedisError):
            return self.redis.client.execute_command(command, *words)
