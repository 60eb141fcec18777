"""Fixtures: factories of servers that end with the test.

    def test_one(redis, start_nginx, start_backend):
        backend = start_backend(answer(200))
        nginx = start_nginx(HTTP, redis=redis.url, backend=backend.address)

What a fixture started is stopped in reverse order, checks included; when a
test fails, the ends of all logs are shown and the directory is kept.
"""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402


def pytest_configure(config):
    """SIGTERM (a time limit, CI) ends like Ctrl-C: servers are stopped."""

    def interrupt(number, frame):
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


def pytest_collection_modifyitems(items):
    """What shows a sanitizer nothing new is left to the plain run."""
    for item in items if harness.SANITIZER else []:
        once = item.get_closest_marker("once")
        if once:
            item.add_marker(pytest.mark.skip(reason=once.kwargs["because"]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    item.stash.setdefault(FAILED, False)
    if report.failed:
        item.stash[FAILED] = True
        for process in item.stash.get(PROCESSES, []):
            report.sections.append(
                (f"end of {process.log_path}", process.log[-6000:])
            )


FAILED = pytest.StashKey()
PROCESSES = pytest.StashKey()


@pytest.fixture
def tmp(request):
    """A directory with a short path: unix sockets allow 107 bytes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tocsin-"))
    path.chmod(0o755)
    yield path
    if request.node.stash.get(FAILED, False):
        print(f"kept: {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def running(request, tmp):
    """What this test has started; all of it is stopped at its end."""
    started = []
    request.node.stash[PROCESSES] = []

    def add(thing):
        started.append(thing)
        if isinstance(thing, harness.Process):
            request.node.stash[PROCESSES].append(thing)
        return thing

    yield add
    trouble = []
    for thing in reversed(started):
        try:
            thing.stop()
        except AssertionError as e:
            trouble.append(str(e))
        finally:
            if isinstance(thing, harness.Process):
                thing.kill()
    assert not trouble, "\n\n".join(trouble)


def _numbered(tmp):
    counts = {}

    def directory(name):
        counts[name] = counts.get(name, 0) + 1
        return tmp / (name if counts[name] == 1 else f"{name}{counts[name]}")

    return directory


@pytest.fixture
def directory(tmp):
    """directory("nginx") -> tmp/nginx, then tmp/nginx2, ..."""
    return _numbered(tmp)


@pytest.fixture
def start_redis(running, directory):
    """start_redis(*options, unix=False, durable=False) -> Redis"""
    return lambda *options, **kw: running(
        harness.Redis(directory("redis"), *options, **kw)
    ).start()


@pytest.fixture
def redis(start_redis):
    """One Redis on a TCP port."""
    return start_redis()


@pytest.fixture
def start_nginx(running, directory):
    """start_nginx(http, **options and @values@) -> Nginx"""
    return lambda http, **kw: running(
        harness.Nginx(directory("nginx"), http, **kw)
    ).start()


@pytest.fixture
def nginx_test(directory):
    """nginx_test(http, ...) -> (exit code, messages) of `nginx -t`"""
    return lambda http, **kw: harness.Nginx.test(
        directory("check"), http, **kw
    )


@pytest.fixture
def start_sidecar(running, directory):
    """start_sidecar(redis, config={}, ready=True) -> Sidecar"""
    return lambda redis, config=None, ready=True: running(
        harness.Sidecar(directory("sidecar"), redis, config)
    ).start(ready)


@pytest.fixture
def start_backend(running):
    """start_backend(action, host=, protocol=) -> Backend"""
    return lambda *args, **kw: running(harness.Backend(*args, **kw))


@pytest.fixture
def black_hole(running):
    """An address that neither accepts nor refuses."""
    return running(harness.BlackHole())


@pytest.fixture(scope="session")
def untrained(tmp_path_factory):
    """A model that knows nothing, so that whoever learns is better."""
    path = tmp_path_factory.mktemp("model") / "untrained.pt"
    subprocess.run(
        ["/usr/bin/python3", harness.ROOT / "sidecar/model/export.py", path,
         "--rounds", "0", "--version", "untrained-1"],
        check=True, capture_output=True)
    path.chmod(0o600)
    return path
