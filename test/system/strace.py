"""What a process asked of the kernel, and whether any of it could have waited.

A program started behind tracer(prefix) leaves a file for each process, which
read() follows: which descriptors are sockets, which of those are in
non-blocking mode, and what was done with them. What is not known never to
wait is a complaint, so a new way of waiting needs no rule of its own.

The life of an event loop's process is from its second epoll_wait() (by the
first one nginx tries what the kernel can do) to its last; descriptors and
transfers are followed from its birth, and inherited.
"""

import collections
import copy
import dataclasses
import re
import shutil
import subprocess

from waiting import wait_until

CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(.*)")

# They wait only on a descriptor in blocking mode.
TRANSFERS = {
    "accept", "accept4", "connect", "read", "readv", "recvfrom", "recvmsg",
    "sendfile", "sendmsg", "sendto", "write", "writev",
}

# They never wait for another process, a peer or a disk; getrandom() did while
# the machine was booting.
HARMLESS = {
    "brk", "clock_gettime", "close", "epoll_create", "epoll_create1",
    "epoll_ctl", "epoll_wait", "eventfd2", "fcntl", "fstat", "getpeername",
    "getpid", "getrandom", "getsockname", "getsockopt", "gettid",
    "gettimeofday", "ioctl", "kill", "lseek", "madvise", "mmap", "mprotect",
    "mremap", "munmap",
    "rt_sigprocmask", "rt_sigreturn", "setsockopt", "shutdown", "socket",
    "socketpair",
}


def available():
    """May we trace processes?"""
    if not shutil.which("strace"):
        return False
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"],
                          capture_output=True, check=False)
    return done.returncode == 0


def tracer(prefix):
    """What to put in front of a command line: its pid stays the program's."""
    return ["strace", "-D", "-ff", "-s", "2", "-e", "signal=none",
            "-o", str(prefix)]


@dataclasses.dataclass
class Descriptor:
    socket: bool
    patient: bool  # in blocking mode


@dataclasses.dataclass
class Process:
    """What was found; `connects` counts by port or path of the peer."""

    descriptors: dict
    connects: collections.Counter
    transfers: int = 0
    loops: int = 0
    complaints: list = dataclasses.field(default_factory=list)


def _numbers(text):
    return [int(word) for word in re.findall(r"-?\d+", text)]


class _Reader:
    def __init__(self, inherited=None):
        self.process = Process(
            copy.deepcopy(inherited or {
                fd: Descriptor(False, True) for fd in range(3)}),
            collections.Counter())
        self.suspects = []  # since the last epoll_wait()
        self.children = {}

    def read(self, lines):
        for line in lines:
            line = line.rstrip("\n")
            if line.startswith(("+++ ", "--- ")):
                continue
            match = CALL.fullmatch(line)
            if not match:
                self.complain(line)
                continue
            self.call(line, match[1], match[2], match[3])
        return self

    def complain(self, line):
        self.process.complaints.append(line)

    def call(self, line, name, args, result):
        if name == "epoll_wait":
            if self.process.loops > 1:
                self.process.complaints += self.suspects
            self.suspects = []
            self.process.loops += 1
        elif name in TRANSFERS:
            self.transfer(line, name, args)
        elif not self.harmless(name, args):
            self.suspects.append(line)
        if not result.startswith("-"):
            self.follow(name, args, result)

    @staticmethod
    def harmless(name, args):
        if name == "futex":
            return "FUTEX_WAKE" in args
        if name in ("poll", "ppoll"):
            return args.rsplit(", ", 1)[1] == "0"
        if name == "fcntl":
            return "SETLKW" not in args
        return name in HARMLESS

    def transfer(self, line, name, args):
        """A socket must not be in blocking mode, whatever has become of it;
        files (the error log) have no other."""
        fd = _numbers(args)[0]
        known = self.process.descriptors.get(fd)
        if known is None:
            self.complain(line)
            return
        if not known.socket:
            return
        self.process.transfers += 1
        if known.patient and "MSG_DONTWAIT" not in args:
            self.complain(line)
        if name == "connect":
            peer = re.search(r"htons\((\d+)\)|sun_path=@?\"([^\"]*)", args)
            self.process.connects[peer and (peer[1] or peer[2])] += 1

    def follow(self, name, args, result):
        """What this call did to the table of descriptors."""
        table = self.process.descriptors
        first = int(result, 0) if result != "?" else -1
        if name in ("socket", "accept4", "accept"):
            table[first] = Descriptor(True, "SOCK_NONBLOCK" not in args)
        elif name == "socketpair":
            for fd in _numbers(args[args.index("["):]):
                table[fd] = Descriptor(True, "SOCK_NONBLOCK" not in args)
        elif name in ("open", "openat", "eventfd2", "epoll_create",
                      "epoll_create1", "memfd_create"):
            table[first] = Descriptor(False, True)
        elif name == "dup2":
            old, new = _numbers(args)[:2]
            table[new] = copy.copy(table[old])
        elif name == "ioctl" and "FIONBIO" in args:
            fd = _numbers(args)[0]
            if fd in table:
                table[fd].patient = "[0]" in args
        elif name == "fcntl" and "F_SETFL" in args:
            fd = _numbers(args)[0]
            if fd in table:
                table[fd].patient = "O_NONBLOCK" not in args
        elif name == "close":
            table.pop(_numbers(args)[0], None)
        elif name in ("clone", "clone3", "fork", "vfork"):
            self.children[first] = copy.deepcopy(table)


def judge(lines, inherited=None):
    """The Process that left these lines."""
    return _Reader(inherited).read(lines).process


def read(prefix, pid):
    """Child of `pid` -> its Process, once all of them have ended."""
    def lines(number):
        path = f"{prefix}.{number}"

        def ended():
            with open(path, encoding="latin-1") as f:
                found = f.readlines()
            return found[-1:] and found[-1].startswith("+++ ") and found

        return wait_until(ended, 30, f"the end of {path}")

    children = _Reader().read(lines(pid)).children
    return {child: judge(lines(child), table)
            for child, table in children.items()}
