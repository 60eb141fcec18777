"""tocsin.yaml as `tocsin` sees it: messages, exit codes, generated files."""

import pathlib
import re

import pytest
import yaml

from harness import tocsin

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def check(tmp):
    """check(text) -> CompletedProcess of `tocsin check --config-only`"""
    path = tmp / "tocsin.yaml"

    def run(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tocsin("check", "--config-only", "-c", path, cwd=tmp)

    return run


@pytest.mark.parametrize("text", ["", "# nothing\n", "redis:\n", "{}\n"])
def test_nothing_is_a_valid_configuration(check, text):
    done = check(text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text, position, key, words", [
    ("redis:\n  shard: 2\n", "2:3", "redis.shard",
     "unknown key (nearest name: redis.shards)"),
    ("redis:\n  shards: many\n", "2:11", "redis.shards",
     "expected a whole number from 1 to 64"),
    ("series: {tick: 2h}\n", "1:16", "series.tick",
     "expected a duration as 500ms, 1s, 10m, 1h or 7d, from 100ms to 1h"),
    ("model: {train: [true]}\n", "1:16", "model.train",
     "a list, expected true or false"),
    ("log: {level: info}\nlog: {}\n", "2:1", "log", "a second time"),
    ("redis: &x {}\nlog: *x\n", "1:8", "", "anchors and aliases"),
    ("redis: {", "2:1", "", "not YAML"),
])
def test_errors_say_where_and_what(check, text, position, key, words):
    done = check(text)
    assert done.returncode == 1
    line, = done.stderr.splitlines()
    assert f"/tocsin.yaml:{position}: {key}" in line
    assert words in line


def test_hostile_bytes_reach_no_terminal(check):
    done = check(b'redis: {"\\e[31m": 1}\n')
    assert done.returncode == 1
    assert "\x1b" not in done.stderr
    assert "unknown key" in done.stderr


def test_a_password_in_a_url_is_refused_and_not_shown(check):
    done = check("redis: {url: 'redis://u:hunter2@h/0'}\n")
    assert done.returncode == 1
    assert "hunter2" not in done.stderr + done.stdout


def test_a_missing_file_is_an_error(tmp):
    done = tocsin("check", "-c", tmp / "none.yaml")
    assert done.returncode == 1
    assert "none.yaml: No such file" in done.stderr


def test_the_example_is_the_defaults(check):
    example = tocsin("check", "--print-example").stdout
    assert check(example).returncode == 0
    shown = yaml.safe_load(example)
    assert shown["series"]["tick"] == "1s"
    assert shown["series"]["by"][:2] == [[], ["server", "route"]]
    assert shown["notify"]["smtp"]["server"] == ""
    assert (ROOT / "conf/tocsin.yaml").read_text() == example


def test_every_key_is_in_the_man_page_and_in_help(check):
    def paths(tree, prefix=""):
        for name, value in tree.items():
            if isinstance(value, dict):
                yield from paths(value, f"{prefix}{name}.")
            else:
                yield prefix + name

    keys = list(paths(yaml.safe_load(tocsin("check", "--print-example").stdout)))
    page = (ROOT / "conf/man/tocsin.yaml.5").read_text()
    text = tocsin("run", "--help").stdout
    assert len(keys) > 25
    assert re.findall(r"^\.It Cm (\S+)$", page, re.M) == keys
    assert re.findall(r"^  ([a-z_]+\.[a-z_.]+) ", text, re.M) == keys


def test_run_refuses_a_bad_file(tmp):
    path = tmp / "tocsin.yaml"
    path.write_text("detect: {clear: never}\n")
    done = tocsin("run", "-c", path)
    assert done.returncode == 1
    assert ":1:17: detect.clear: " in done.stderr


def test_run_refuses_a_model_that_others_can_write(tmp):
    model = tmp / "model.pt"
    model.write_bytes(b"PK")
    model.chmod(0o666)
    path = tmp / "tocsin.yaml"
    path.write_text(f"model: {{path: {model}}}\nstate: {{dir: {tmp}/state}}\n")
    done = tocsin("run", "-c", path)
    assert done.returncode == 1
    assert "model.pt" in done.stderr
