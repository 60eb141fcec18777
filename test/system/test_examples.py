"""The files of conf/ that people copy: they must work as they stand."""

import json
import re
import subprocess

from redis import exceptions as redis_errors

from harness import ROOT, Nginx, Redis, tocsin, wait_until
from test_silence import listed, post, silence

CONF = ROOT / "conf"

SITE = """
tocsin on;
tocsin_redis @redis@ user=tocsin-nginx password_file=@password@;
server {
    listen @port@;
    location / { return 200 "ok"; }
    location /_alerts { tocsin off; tocsin_alerts write=on; }
}
"""


def acl_redis(directory, running):
    """A Redis that knows the two users of conf/redis-acl.conf only."""
    acl = (CONF / "redis-acl.conf").read_text()
    acl = acl.replace("CHANGE-ME-1", "secret1").replace("CHANGE-ME-2",
                                                       "secret2")
    users = [line for line in acl.splitlines() if line.startswith("user ")]
    assert len(users) == 2
    users.append("user default on >admin allkeys allchannels +@all")
    redis = running(Redis(directory("redis")))
    (redis.dir / "users.acl").write_text("\n".join(users) + "\n")
    redis.options = ["--aclfile", str(redis.dir / "users.acl")]
    redis._client = redis.connect(password="admin")
    return redis.start()


def secret(directory, text):
    path = directory("secrets") / "password"
    path.parent.mkdir()
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def denied(redis):
    return [(e["username"], e["reason"], e["object"])
            for e in redis.client.acl_log()]


def test_acl_is_enough_for_both(directory, running, start_nginx,
                                start_sidecar):
    redis = acl_redis(directory, running)
    nginx = start_nginx(SITE, redis=redis.url,
                        password=secret(directory, "secret1"))
    sidecar = start_sidecar(redis, {"redis": {
        "username": "tocsin-sidecar",
        "password_file": str(secret(directory, "secret2"))}})
    assert nginx.get("/").status == 200
    redis.wait_entries("tocsin:request", 1)
    wait_until(lambda: re.search(r"^tocsin_series 2$", nginx.get(
        "/_alerts/metrics").text, re.M), 30, "the board in nginx")
    for made in (post(nginx, silence()).json()["silenceID"],
                 tocsin("silence", "add", "-c",
                        str(sidecar.dir / "tocsin.yaml"), "a=b").stdout):
        wait_until(lambda: made.strip() in listed(nginx), what="the silence")
    for verb in ("status", "alerts"):
        assert tocsin(verb, "-c", str(sidecar.dir / "tocsin.yaml")
                      ).returncode == 0
    assert denied(redis) == []


def test_acl_keeps_them_apart(directory, running):
    redis = acl_redis(directory, running)
    nginx = redis.connect(username="tocsin-nginx", password="secret1")
    sidecar = redis.connect(username="tocsin-sidecar", password="secret2")
    for key in ("request", "request:{7}", "upstream", "beat", "commands"):
        nginx.xadd(f"tocsin:{key}", {"a": "b"})
    for one, command in (
            *((who, command) for who in (nginx, sidecar) for command in (
                ["SET", "x", "1"], ["XADD", "other", "*", "a", "b"],
                ["DEL", "tocsin:request"], ["CONFIG", "GET", "*"],
                ["XTRIM", "tocsin:request", "MAXLEN", "0"])),
            # neither forges what is the other's to say
            (nginx, ["XADD", "tocsin:alerts", "*", "a", "b"]),
            (nginx, ["XADD", "tocsin:board", "*", "a", "b"]),
            (nginx, ["XREAD", "STREAMS", "tocsin:request", "0"]),
            (nginx, ["XREAD", "STREAMS", "tocsin:commands", "0"]),
            (sidecar, ["XADD", "tocsin:request", "*", "a", "b"]),
            (sidecar, ["XADD", "tocsin:beat", "*", "a", "b"])):
        try:
            one.execute_command(*command)
        except redis_errors.NoPermissionError:
            continue
        raise AssertionError(f"{command} was let through")
    redis.client.acl_log_reset()


def test_nginx_conf(directory):
    text = (CONF / "nginx.conf").read_text()
    body = text[text.index("http {") + 6 : text.rindex("}")]
    body = body.replace("wallet.internal", "127.0.0.1")
    body = body.replace("listen 80;", "listen @port@;")
    body = body.replace("127.0.0.1:8081", "127.0.0.1:@port2@")
    code, said = Nginx.test(directory("nginx"), body)
    assert code == 0, said


def test_prometheus_rules():
    done = subprocess.run(
        ["promtool", "check", "rules", CONF / "prometheus/tocsin-rules.yml"],
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_and_rules_use_metrics_that_exist(
        redis, start_nginx, start_sidecar, directory):
    nginx = start_nginx("tocsin on; tocsin_redis @redis@; server { "
                        "listen @port@; location /_alerts { tocsin_alerts; }"
                        " }", redis=redis.url)
    start_sidecar(redis)
    wait_until(lambda: "tocsin_series" in nginx.get("/_alerts/metrics").text)
    known = set(re.findall(r"^# TYPE (\w+)",
                           nginx.get("/_alerts/metrics").text, re.M))
    dashboard = json.loads((CONF / "grafana/tocsin.json").read_text())
    used = set(re.findall(r"\btocsin_\w+", json.dumps(dashboard["panels"])))
    rules = (CONF / "prometheus/tocsin-rules.yml").read_text()
    used |= set(re.findall(r"\btocsin_\w+", rules))
    assert used - known == set()
