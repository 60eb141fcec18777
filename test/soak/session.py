"""A run in a directory of its own, which is kept when something is wrong."""

import pathlib
import shutil
import signal
import tempfile


def interrupt(number, frame):
    raise KeyboardInterrupt


def session(name, keep, run):
    """run(directory) returns what failed; returns the exit code."""
    signal.signal(signal.SIGTERM, interrupt)
    directory = pathlib.Path(
        keep or tempfile.mkdtemp(prefix=f"tocsin-{name}-"))
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    failed = ["it did not end"]
    try:
        failed = run(directory)
    finally:
        if failed:
            print(f"\n{name}: FAILED ({', '.join(failed)}); "
                  f"logs: {directory}", flush=True)
        else:
            print(f"\n{name}: passed", flush=True)
            if not keep:
                shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0
