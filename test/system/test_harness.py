"""The harness itself: a test bench that lies is worse than none."""

import os
import signal
import subprocess
import sys

import pytest

import strace
from backend import (answer, drip, hang_up, raw, reset, truncate)
from harness import Load, Nginx, fetch, wait_until

pytestmark = pytest.mark.once(because="the test bench is Python")

PROXY = """
upstream u { server @backend@; keepalive 4; }
server {
    listen @port@;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location / { proxy_pass http://u; }
    location /own { return 200 "own"; }
}
"""

CGI = """
server {
    listen @port@;
    location / { @protocol@_pass @backend@; include @params@; }
}
"""


def test_backend_follows_its_script(start_backend):
    backend = start_backend(answer(200, b"default"))
    url = f"http://{backend.address}/x?y"
    backend.script(answer(503, b"no", {"X-A": "b"}), drip(b"slow", 0.01))

    first = fetch(url)
    assert (first.status, first.body, first.headers["x-a"]) == (503, b"no", "b")
    assert fetch(url).body == b"slow"
    assert fetch(url, "POST", body=b"data").body == b"default"
    assert backend.requests[0].target == "/x?y"
    assert backend.requests[2].body == b"data"


@pytest.mark.parametrize("action", [
    reset(), hang_up(), raw(b"HTTP/1.1 200 OK\r\n\0bad\r\n\r\n"),
    reset(b"HTTP/1.1 200 OK\r\nA: b"),
])
def test_broken_answers_are_502_for_nginx(start_nginx, start_backend, action):
    backend = start_backend(action)
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    assert nginx.get("/").status == 502


def test_truncated_answer_is_noticed(start_nginx, start_backend):
    backend = start_backend(truncate(1000, 10))
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    with pytest.raises(Exception):
        nginx.get("/")
    nginx.wait_log("upstream prematurely closed connection")


def test_refused_then_back(start_nginx, start_backend):
    backend = start_backend(answer(200, b"back"))
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    backend.refuse()
    assert nginx.get("/").status == 502
    backend.listen()
    assert nginx.get("/").body == b"back"


def test_black_hole_times_out(start_nginx, black_hole):
    nginx = start_nginx(
        "server { listen @port@; location / { proxy_connect_timeout 200ms;"
        " proxy_pass http://@hole@; } }",
        hole=black_hole.address, module=False)
    assert nginx.get("/").status == 504


@pytest.mark.parametrize("protocol", ["fastcgi", "scgi", "uwsgi"])
def test_cgi_protocols(start_nginx, start_backend, protocol):
    backend = start_backend(answer(200, b"cgi" * 20000), protocol=protocol)
    nginx = start_nginx(
        CGI, backend=backend.address, protocol=protocol, module=False,
        params=f"/etc/nginx/{protocol}_params")
    reply = nginx.get("/a?b=c", method="POST", body=b"hello")
    assert (reply.status, reply.body) == (200, b"cgi" * 20000)
    assert backend.requests[0].method == "POST"
    assert backend.requests[0].body == b"hello"
    assert backend.requests[0].headers["QUERY_STRING"] == "b=c"


def test_load_counts(start_nginx, start_backend):
    backend = start_backend(answer(200))
    nginx = start_nginx(PROXY, backend=backend.address, module=False)
    with Load(nginx.url("/"), threads=2) as load:
        load.wait_for(50)
    assert load.failed == 0
    assert load.statuses[200] == load.sent == len(backend.requests)


def test_reload_and_kill_under_load(start_nginx):
    nginx = start_nginx("server { listen @port@; return 200 one; }",
                        module=False)
    with Load(nginx.url("/"), threads=2) as load:
        load.wait_for(20)
        old = nginx.reload("server { listen @port@; return 200 two; }")
        wait_until(lambda: nginx.get("/").body == b"two")
        load.wait_for(20)
    nginx.wait_drained(old)
    assert load.failed == 0
    killed = nginx.kill_worker()
    assert killed not in nginx.worker_pids()
    assert nginx.get("/").status == 200


def test_alert_in_the_log_fails_the_test(directory):
    nginx = Nginx(directory("nginx"), "server { listen @port@; return 200; }",
                  module=False).start()
    os.kill(nginx.worker_pids()[0], signal.SIGKILL)
    wait_until(nginx.complaints)
    with pytest.raises(AssertionError, match="exited on signal 9"):
        nginx.stop()


def test_config_error_is_returned(nginx_test):
    code, said = nginx_test("servre {}", module=False)
    assert code != 0 and 'unknown directive "servre"' in said


@pytest.mark.parametrize("unix", [False, True])
def test_redis_lives_and_dies(start_redis, unix):
    redis = start_redis(unix=unix, durable=True)
    redis.client.xadd("s", {"a": "1", "b": "ä"})
    redis.kill()
    redis.start()
    (entry,) = redis.wait_entries("s", 1)
    assert (entry["a"], entry["b"]) == ("1", "ä")


# A worker's life as strace writes it, with one line to be tried in it.
LIFE = """\
socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4
ioctl(4, FIONBIO, [1])                  = 0
openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 5
epoll_wait(7, [...], 1, 5000)           = 1
nanosleep({tv_sec=1, tv_nsec=0}, NULL)  = 0
epoll_wait(7, [...], 512, 60000)        = 1
%s
epoll_wait(7, [...], 512, 60000)        = 1
poll([{fd=4, events=POLLIN}], 1, 20)    = 1
exit_group(0)                           = ?
+++ exited with 0 +++
"""


@pytest.mark.parametrize("line", [
    'connect(3, {sa_family=AF_INET, sin_port=htons(6379), sin_addr=inet_addr'
    '("127.0.0.1")}, 16) = 0',
    'recvfrom(3, ""..., 16384, 0, NULL, NULL) = 17',
    'sendto(3, ""..., 24576, 0, NULL, 0)     = 24576',
    'writev(3, [...], 2)                     = 144',
    'read(9, ""..., 16)                      = 16',
    "nanosleep({tv_sec=0, tv_nsec=1}, NULL)  = 0",
    "clock_nanosleep(CLOCK_REALTIME, 0, {tv_sec=1, tv_nsec=0}, NULL) = 0",
    "poll([{fd=4, events=POLLIN}], 1, 1)     = 1",
    "select(5, [4], NULL, NULL, NULL)        = 1",
    "fsync(5)                                = 0",
    "flock(5, LOCK_EX)                       = 0",
    "fcntl(5, F_SETLKW, {l_type=F_WRLCK})    = 0",
    "futex(0x7f, FUTEX_WAIT, 2, NULL)        = 0",
    'openat(AT_FDCWD, "/etc/resolv.conf", O_RDONLY|O_CLOEXEC) = 9',
    "wait4(-1, NULL, 0, NULL)                = 12",
    "something_new(4)                        = 0",
    "what is this",
])
def test_a_call_that_may_wait_is_found(line):
    found = strace.judge((LIFE % line).splitlines())
    assert found.complaints == [line]


@pytest.mark.parametrize("line", [
    'connect(4, {sa_family=AF_INET, sin_port=htons(6379), sin_addr=inet_addr'
    '("127.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)',
    'recvfrom(4, ""..., 16384, 0, NULL, NULL) = 17',
    'recvfrom(3, ""..., 16384, MSG_DONTWAIT, NULL, NULL) = 17',
    'write(5, ""..., 80)                     = 80',
    "futex(0x7f, FUTEX_WAKE_PRIVATE, 1)      = 0",
    "poll([{fd=4, events=POLLIN}], 1, 0)     = 1",
    "close(3)                                = 0",
])
def test_a_call_that_never_waits_is_not(line):
    found = strace.judge((LIFE % line).splitlines())
    assert (found.complaints, found.loops) == ([], 3)
    assert found.connects == ({"6379": 1} if "connect" in line else {})


def test_what_a_call_does_to_descriptors_is_followed():
    """A mode that is changed, a number that is used again, an heir."""
    lines = """\
ioctl(4, FIONBIO, [0])                  = 0
sendto(4, ""..., 1, 0, NULL, 0)         = 1
close(4)                                = 0
accept4(8, NULL, NULL, SOCK_NONBLOCK)   = 4
sendto(4, ""..., 2, 0, NULL, 0)         = 2
socketpair(AF_UNIX, SOCK_STREAM, 0, [10, 11]) = 0
sendto(11, ""..., 3, 0, NULL, 0)        = 3
fcntl(11, F_SETFL, O_RDWR|O_NONBLOCK)   = 0
sendto(11, ""..., 4, 0, NULL, 0)        = 4"""
    found = strace.judge((LIFE % lines).splitlines(),
                         {8: strace.Descriptor(True, False)})
    assert [line.split("= ")[1] for line in found.complaints] == ["1", "3"]


@pytest.mark.skipif(not strace.available(), reason="no process can be traced")
def test_a_real_trace_is_read(tmp, redis):
    """Two children of a shell connect to Redis, one of them patiently."""
    talk = ("import select, socket; s = socket.socket(); s.setblocking(%s);"
            f"s.connect_ex(('127.0.0.1', {redis.port})); e = select.epoll();"
            "e.poll(0.1), e.poll(0.1), e.poll(0.1)")
    shell = subprocess.Popen(strace.tracer(tmp / "calls") + [
        "sh", "-c", '"$0" -c "$1" & "$0" -c "$2" & wait', sys.executable,
        talk % False, talk % True])
    assert shell.wait(60) == 0
    found = strace.read(tmp / "calls", shell.pid)
    assert [p.connects[str(redis.port)] for p in found.values()] == [1, 1]
    assert sorted(sum("connect(" in line for line in p.complaints)
                  for p in found.values()) == [0, 1]
