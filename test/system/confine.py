"""Run a program as a systemd unit would confine it, without systemd:

    python3 confine.py UNIT PROGRAM ARGUMENT...

Of the unit it takes Environment, Limit*, CapabilityBoundingSet,
NoNewPrivileges, UMask, and by seccomp SystemCallFilter,
RestrictAddressFamilies and MemoryDenyWriteExecute, as systemd.exec(5) says
what they mean. What the unit says of files and namespaces is not tried.
"""

import ctypes
import errno
import os
import re
import resource
import socket
import subprocess
import sys

ALLOW = 0x7FFF0000
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000
MASKED_EQ, EQ = 7, 4  # enum scmp_compare


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def deny(number):
    return 0x00050000 | number


class Filter:
    """A list of system calls that are let through, all others refused."""

    def __init__(self, refusal):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.lib.seccomp_init(deny(refusal)))
        assert self.context

    def number(self, name):
        return self.lib.seccomp_syscall_resolve_name(name.encode())

    def rule(self, action, name, *compares):
        number = self.number(name)
        if number == -1:
            return  # newer than the library, or of another machine
        array = (Compare * len(compares))(*compares)
        rc = self.lib.seccomp_rule_add_array(
            self.context, action, number, len(compares), array)
        assert rc == 0, f"{name}: {os.strerror(-rc)}"

    def load(self):
        rc = self.lib.seccomp_load(self.context)
        assert rc == 0, os.strerror(-rc)


def read_unit(path):
    """[Service] as a list of (key, value), continued lines joined."""
    with open(path, encoding="utf-8") as f:
        text = f.read().replace("\\\n", " ")
    section = re.search(r"^\[Service\]$(.*?)(?=^\[|\Z)", text, re.M | re.S)
    return re.findall(r"^(\w+)=(.*)$", section.group(1), re.M)


def group(name):
    """System calls of a name, which may be that of a group (@...)."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name],
        capture_output=True, text=True, check=True).stdout
    names = [line.strip() for line in said.splitlines()[1:]]
    return set().union(*(group(n) for n in names if n and n[0] != "#"))


def allowed_calls(lists):
    """The first list tells what is meant; "~" takes away."""
    allowed = set()
    assert lists and not lists[0].startswith("~")
    for words in lists:
        calls = set().union(*(group(w) for w in words.lstrip("~").split()))
        allowed = allowed - calls if words[0] == "~" else allowed | calls
    # systemd lets these through always: it needs them to start a program
    return allowed | {"execve", "exit", "exit_group", "rt_sigreturn",
                      "getrlimit", "set_thread_area", "arch_prctl"}


def restrict_memory(seccomp, allowed):
    """No memory becomes code that was or is data."""
    both = PROT_WRITE | PROT_EXEC
    for call in ("mmap", "mmap2"):
        if call in allowed:
            for protection in (0, PROT_WRITE, PROT_EXEC):
                seccomp.rule(ALLOW, call,
                             Compare(2, MASKED_EQ, both, protection))
    for call, arg, bit in (("mprotect", 2, PROT_EXEC),
                           ("pkey_mprotect", 2, PROT_EXEC),
                           ("shmat", 2, SHM_EXEC)):
        if call in allowed:
            seccomp.rule(ALLOW, call, Compare(arg, MASKED_EQ, bit, 0))
    return allowed - {"mmap", "mmap2", "mprotect", "pkey_mprotect", "shmat"}


def restrict_sockets(seccomp, allowed, families):
    wanted = {getattr(socket, family) for family in families}
    for family in range(64):
        seccomp.rule(ALLOW if family in wanted else deny(errno.EAFNOSUPPORT),
                     "socket", Compare(0, EQ, family, 0))
    return allowed - {"socket"}


def restrict_calls(unit):
    values = dict(unit)
    allowed = allowed_calls([v for k, v in unit if k == "SystemCallFilter"])
    seccomp = Filter(getattr(errno, values["SystemCallErrorNumber"]))
    if values.get("MemoryDenyWriteExecute") == "yes":
        allowed = restrict_memory(seccomp, allowed)
    if "RestrictAddressFamilies" in values:
        allowed = restrict_sockets(seccomp, allowed,
                                   values["RestrictAddressFamilies"].split())
    for name in sorted(allowed):
        seccomp.rule(ALLOW, name)
    seccomp.load()


def restrict_process(unit):
    values = dict(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    if values.get("CapabilityBoundingSet") == "" and os.geteuid() == 0:
        for capability in range(64):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if values.get("NoNewPrivileges") == "yes":
        assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    for key, value in unit:
        if key.startswith("Limit"):
            limit = getattr(resource, "RLIMIT_" + key[5:])
            resource.setrlimit(limit, (int(value), int(value)))
        elif key == "UMask":
            os.umask(int(value, 8))
        elif key == "Environment":
            os.environ.update(word.split("=", 1) for word in value.split())


def main():
    unit = read_unit(sys.argv[1])
    restrict_process(unit)
    restrict_calls(unit)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
