"""nginx under strace: no worker may make a call that could wait."""

import harness
import strace


def possible():
    return strace.available() and not harness.SANITIZER


class Nginx(harness.Nginx):
    """Every system call of it stands in a file."""

    @property
    def trace(self):
        return self.dir / "calls"

    def spawn(self, argv, env=None):
        super().spawn(strace.tracer(self.trace) + argv, env)


def assert_nothing_waits(server, port, connects):
    """Of a server that has ended: of its workers' lives, in which they went
    to this port of Redis so many times at least."""
    workers = strace.read(server.trace, server.pid)
    for pid, worker in workers.items():
        assert not worker.complaints, (pid, worker.complaints[:20])
        assert worker.loops > 100 and worker.transfers > 100, pid
    assert connects <= sum(
        worker.connects[str(port)] for worker in workers.values())
