"""nginx as a daemon, whose binary can be upgraded while it serves.

nginx ignores USR2 unless the process that started it is gone, so it has to
be a daemon here, and daemons are nobody's children. In a module that imports
this one orphans become children of the test's process, which waits for them
by their pids: none of them is left behind, nor as a zombie.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time

import pytest

from harness import Nginx, is_alive, is_listening, wait_until

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans(on):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Adopted:
    """What subprocess.Popen is for a child, for a process known by its pid.

    A new master is a child of the old one until that ends, and ours from then
    on. Of one that its own parent has waited for the exit code is None.
    """

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None
        self.over = False

    def gone(self):
        if not self.over:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # not ours, or not yet
                self.over = not is_alive(self.pid)
            else:
                self.over = pid != 0
                if self.over:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.over

    def wait(self, timeout=20):
        deadline = time.monotonic() + timeout
        while not self.gone():
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"pid {self.pid}", timeout)
            time.sleep(0.02)
        return self.returncode


class Master(Nginx):
    """One master of a daemon; its pid is what nginx.pid said."""

    TEMPLATE = Nginx.TEMPLATE.replace("daemon off;", "daemon on;")

    @property
    def argv(self):
        # a master starts the new binary by the path it was started by
        return [shutil.which("nginx")] + super().argv[1:]

    @property
    def running(self):
        return self.process is not None and not self.process.gone()

    @property
    def pid_path(self):
        return self.dir / "nginx.pid"

    def start(self):
        done = subprocess.run(
            [str(word) for word in self.argv], check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=self.dir,
            env={**os.environ, **self.environment()})
        assert done.returncode == 0, f"nginx did not start:\n{self.log}"
        self.take_over()
        return self

    def take_over(self, but=None):
        """Know the master in nginx.pid, another one than `but`."""
        def pid():
            text = self.pid_path.read_text().strip()
            return text and int(text) != but and int(text)

        self.process = Adopted(wait_until(pid, what="nginx.pid"))
        wait_until(
            lambda: len(self.worker_pids()) >= self.workers and all(
                is_listening(("127.0.0.1", port))
                for port in self.ports.values()),
            what="nginx")

    def upgrade(self):
        """USR2: the new master, which serves beside this one."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        self.signal(signal.SIGUSR2)
        new.take_over(but=self.pid)
        return self.register(new)

    def retire(self):
        """WINCH: the workers drain and end, the master stays."""
        workers = self.worker_pids()
        self.signal(signal.SIGWINCH)
        self.wait_drained(workers)

    def return_(self):
        """HUP after retire(): workers again, with the same rings."""
        self.signal(signal.SIGHUP)
        wait_until(lambda: len(self.worker_pids()) >= self.workers,
                   what="workers of the old master")

    def stop(self, number=signal.SIGQUIT):
        """As for any nginx; the exit code is not always ours to see."""
        if self.running:
            workers = self.worker_pids()
            code = self.end(number)
            assert not code, f"nginx: exit {code}\n{self.log[-4000:]}"
            self.wait_drained(workers)
        self.check()

    def kill(self):
        """The last resort: workers do not survive their master here."""
        if self.running:
            pids = [self.pid] + self.worker_pids()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in pids:
                Adopted(pid).wait()


@pytest.fixture(autouse=True)
def orphans():
    """Before all servers of a test, and until they have ended."""
    adopt_orphans(True)
    yield
    adopt_orphans(False)


@pytest.fixture
def start_daemon(orphans, running, directory):
    """start_daemon(http, **options) -> Master; its upgrades end with it."""

    def start(http, **options):
        master = running(Master(directory("nginx"), http, **options))
        master.register = running
        return master.start()

    return start
