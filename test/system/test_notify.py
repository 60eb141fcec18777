"""Alertmanager, webhooks and mail hear of what fires, and of its end."""

import functools
import json
import signal
import subprocess

import pytest

from harness import wait_until
from receivers import Alertmanager, MailServer, Webhook
from traffic import Route, Traffic

LABELS = {"cloud_provider": "aws", "cloud_region": "us-east-1",
          "upstream": "shop", "peer": "10.0.0.2:80"}


def told_once(hook):
    """What a webhook was told; fails if it was told anything twice."""
    states = [(b["status"], b["commonLabels"]["severity"])
              for b in hook.bodies]
    assert len(states) == len(set(states)), f"told twice: {states}"
    return states


class Scene:
    """One upstream, one of whose peers can be made slow."""

    def __init__(self, redis, start_sidecar, notify, **config):
        self.traffic = Traffic(
            redis, [Route("/shop", "shop", "aws", "us-east-1")])
        self.traffic.run(120)
        self.sidecar = start_sidecar(
            redis, {"model": {"train": False}, "notify": notify, **config})
        wait_until(lambda: int(self.sidecar.wait_board()["tick"]) // 1000
                   >= self.traffic.now - 2000, 60, "the sidecar to catch up")

    def told(self, state):
        return [a for a in self.sidecar.alerts() if a["state"] == state]

    def break_it(self):
        self.traffic.peers["shop"][1].latency *= 10
        self.traffic.follow(lambda: self.told("firing"))
        return self.told("firing")[0]

    def mend_it(self):
        self.traffic.peers["shop"][1].latency /= 10
        self.traffic.follow(lambda: self.told("resolved"), 120)


@pytest.fixture
def scene(redis, start_sidecar):
    return functools.partial(Scene, redis, start_sidecar)


def query(alertmanager):
    done = subprocess.run(
        ["amtool", f"--alertmanager.url={alertmanager.url}", "alert", "query",
         "--output=json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_every_alertmanager_is_told(scene, running, directory):
    real = running(Alertmanager(directory("alertmanager"))).start()
    other = running(Webhook())
    s = scene({"alertmanager": [real.url, f"{other.url}/api/v2/alerts"]})
    alert = s.break_it()
    found = wait_until(lambda: query(real), what="an alert in Alertmanager")
    assert len(found) == 1
    labels = found[0]["labels"]
    assert labels == {**LABELS, "alertname": alert["alertname"],
                      "severity": alert["severity"]}
    assert found[0]["annotations"]["summary"] == alert["summary"]
    assert found[0]["endsAt"] > found[0]["updatedAt"]
    wait_until(lambda: other.posts, what="the other one")
    path, headers, body = other.posts[0]
    assert path == "/api/v2/alerts"
    assert headers["Content-Type"] == "application/json"
    assert body[0]["labels"] == labels
    s.mend_it()
    wait_until(lambda: query(real) == [], what="the end in Alertmanager")
    last = wait_until(lambda: other.bodies[-1][0]["labels"] == labels
                      and other.bodies[-1][0], what="the end")
    assert last["startsAt"] == body[0]["startsAt"]


def test_webhook_in_the_shape_of_alertmanager(scene, running, tmp):
    secret = tmp / "bearer"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    hook = running(Webhook())
    s = scene({"webhook": [{"url": f"{hook.url}/in?x=1",
                            "bearer_file": str(secret)}]})
    alert = s.break_it()
    wait_until(lambda: hook.posts, what="a post")
    path, headers, body = hook.posts[0]
    assert path == "/in?x=1"
    assert headers["Authorization"] == "Bearer s3cret"
    assert body["version"] == "4"
    assert body["status"] == "firing"
    assert body["commonLabels"] == body["alerts"][0]["labels"]
    assert body["alerts"][0]["fingerprint"] == alert["fingerprint"]
    assert body["alerts"][0]["labels"].items() >= LABELS.items()
    s.mend_it()
    wait_until(lambda: hook.bodies[-1]["status"] == "resolved",
               what="the end")
    told_once(hook)
    assert "s3cret" not in s.sidecar.log


def test_a_webhook_that_fails_is_asked_again(scene, running):
    hook = running(Webhook(lambda number: 500 if number < 3 else 204))
    s = scene({"webhook": [{"url": hook.url}]})
    s.break_it()
    wait_until(lambda: len(hook.posts) >= 3, 30, "a third try")
    s.sidecar.wait_log(r"was not told of 1 alerts: it answered 500")
    s.sidecar.wait_log(r"takes notifications again")


def test_a_webhook_that_refuses_is_not(scene, running):
    no = running(Webhook(lambda number: 400))
    yes = running(Webhook())
    s = scene({"webhook": [{"url": no.url}, {"url": yes.url}]})
    s.break_it()
    s.sidecar.wait_log(r"it answered 400; given up")
    wait_until(lambda: yes.posts, what="the other one")
    s.traffic.run(5)
    told = {(b["status"], b["commonLabels"]["severity"]) for b in no.bodies}
    assert len(no.posts) == len(told)


def test_one_that_hangs_delays_nobody(scene, running):
    hung = running(Webhook(lambda number: None))
    yes = running(Webhook())
    s = scene({"webhook": [{"url": hung.url}, {"url": yes.url}]})
    s.break_it()
    wait_until(lambda: hung.posts and yes.posts, what="both")
    s.mend_it()
    wait_until(lambda: yes.bodies[-1]["status"] == "resolved",
               what="the end, at the other")
    s.sidecar.wait_board()
    s.sidecar.stop()  # the harness fails if it does not end


def test_mail(scene, running):
    server = running(MailServer())
    s = scene({"smtp": {"server": server.url, "from": "tocsin@example.org",
                        "to": "a@example.org, b@example.org"}})
    alert = s.break_it()
    wait_until(lambda: server.mails, what="a mail")
    sender, recipients, mail = server.mails[0]
    assert sender == "<tocsin@example.org>"
    assert recipients == ["<a@example.org>", "<b@example.org>"]
    assert mail["Subject"] == "[tocsin] firing: " + alert["summary"]
    text = mail.get_content()
    assert alert["description"] in text
    assert "FIRING LatencyHigh" in text
    s.mend_it()
    wait_until(lambda: "resolved" in server.mails[-1][2]["Subject"],
               what="the second mail")


def test_what_is_not_told_is_tried_at_the_end(scene, running):
    hook = running(Webhook(lambda number: 503 if number == 1 else 200))
    s = scene({"webhook": [{"url": hook.url}]})
    s.break_it()
    wait_until(lambda: hook.posts, what="a try")
    s.sidecar.stop()
    assert len(hook.posts) >= 2


def test_the_end_of_what_broke_off_is_told(scene, running):
    """It may have been heard, though it was not answered well."""
    answers = {"status": 500}
    hook = running(Webhook(lambda number: answers["status"]))
    s = scene({"webhook": [{"url": hook.url}]})
    s.break_it()
    wait_until(lambda: hook.posts, what="a try")
    s.mend_it()
    answers["status"] = 200
    wait_until(lambda: hook.bodies[-1]["status"] == "resolved", 60, "the end")


def test_a_restart_tells_again_whom_it_should(scene, running):
    hook, prometheus = running(Webhook()), running(Webhook())
    s = scene({"webhook": [{"url": hook.url}],
               "alertmanager": [prometheus.url]})
    s.break_it()
    wait_until(lambda: hook.posts and prometheus.posts, what="both")
    s.sidecar.stop()
    before = len(prometheus.posts)
    s.sidecar.start()
    s.traffic.run(40)  # it is told anew to the stream every 30
    wait_until(lambda: len(prometheus.posts) > before,
               what="Alertmanager to hear again")
    s.mend_it()
    wait_until(lambda: hook.bodies[-1]["status"] == "resolved",
               what="the end")
    told_once(hook)


def test_a_reload_forgets_nobody(scene, running):
    hook, other = running(Webhook()), running(Webhook())
    s = scene({"webhook": [{"url": hook.url}]})
    s.break_it()
    wait_until(lambda: hook.posts, what="a post")
    s.sidecar.config["notify"]["webhook"].append({"url": other.url})
    s.sidecar.write()
    s.sidecar.signal(signal.SIGHUP)
    s.sidecar.wait_log("reloaded")
    wait_until(lambda: other.posts, what="the one that came")
    s.mend_it()
    for each in (hook, other):
        wait_until(lambda: each.bodies[-1]["status"] == "resolved",
                   what="the end")
        told_once(each)


def test_a_killed_sidecar_tells_it_later(scene, running):
    """The stream has it, so it is no news there; the webhook has not."""
    answers = {"status": 503}
    hook = running(Webhook(lambda number: answers["status"]))
    s = scene({"webhook": [{"url": hook.url}]}, state={"every": "1h"})
    s.sidecar.stop()  # the checkpoint is that of the calm
    s.sidecar.start()
    s.break_it()
    wait_until(lambda: hook.posts, what="a try")
    s.sidecar.kill()
    tried, alerts = len(hook.posts), len(s.told("firing"))
    answers["status"] = 200
    s.sidecar.start()
    wait_until(lambda: len(hook.posts) > tried, what="the next run's try")
    assert hook.bodies[-1]["status"] == "firing"
    assert len(s.told("firing")) == alerts
