"""Who is told of silenced alerts: nobody, till the silence ends."""

import json

import pytest

from harness import wait_until
from receivers import Alertmanager, MailServer, Webhook
from test_notify import Scene, query
from test_silence import command


@pytest.fixture
def scene(redis, start_sidecar):
    return lambda notify: Scene(redis, start_sidecar, notify)


def shown(sidecar):
    """Silences as the command line shows them, by id."""
    done = command(sidecar, "list", "--all", "--json")
    assert done.returncode == 0, done.stderr
    return {s["id"]: s for s in json.loads(done.stdout)}


def silence_now(sidecar, *args):
    done = command(sidecar, "add", *args)
    assert done.returncode == 0, done.stderr
    id = done.stdout.strip()
    wait_until(lambda: id in shown(sidecar), what="the silence")
    return id


def silenced(redis):
    (_, fields), = redis.client.xrevrange("tocsin:board", count=1)
    pairs = fields["silenced"].split(",") if fields["silenced"] else []
    return dict(pair.split("=") for pair in pairs)


def test_nobody_at_all_is_told(scene, running, redis, directory):
    real = running(Alertmanager(directory("alertmanager"))).start()
    hook, mail = running(Webhook()), running(MailServer())
    s = scene({"alertmanager": [real.url], "webhook": [{"url": hook.url}],
               "smtp": {"server": mail.url, "from": "tocsin@example.org",
                        "to": "a@example.org"}})
    id = silence_now(s.sidecar, "upstream=shop")
    fired = s.break_it()
    wait_until(lambda: silenced(redis) == {fired["id"]: id},
               what="a suppressed alert")
    s.traffic.run(5)
    assert (hook.posts, mail.mails, query(real)) == ([], [], [])
    assert s.told("firing")[0]["id"] == fired["id"]  # but it is on record
    assert command(s.sidecar, "expire", id).returncode == 0
    wait_until(lambda: hook.posts and mail.mails and query(real),
               what="the word that it fires, to all")
    assert "firing" in mail.mails[0][2]["Subject"]


def test_what_is_not_in_a_checkpoint_yet_is_in_the_stream(scene, running,
                                                          redis):
    hook = running(Webhook())
    s = scene({"webhook": [{"url": hook.url}]})
    id = silence_now(s.sidecar, "upstream=shop")
    s.sidecar.kill()  # without the checkpoint of an orderly end
    redis.client.delete("tocsin:board")
    s.sidecar.start()
    s.sidecar.wait_board()
    assert shown(s.sidecar)[id]["status"]["state"] == "active"
    fired = s.break_it()
    wait_until(lambda: silenced(redis) == {fired["id"]: id},
               what="a suppressed alert")
    assert hook.posts == []


def test_nobody_is_told_until_it_ends(scene, running, redis):
    hook = running(Webhook())
    s = scene({"webhook": [{"url": hook.url}]})
    id = silence_now(s.sidecar, "--comment", "repair", "upstream=~sh.p")
    fired = s.break_it()
    wait_until(lambda: silenced(redis) == {fired["id"]: id},
               what="a suppressed alert")
    s.traffic.run(5)
    assert hook.posts == []
    s.sidecar.stop()
    s.sidecar.start()
    before = len(s.told("firing"))
    s.traffic.follow(lambda: len(s.told("firing")) > before, 60)
    assert silenced(redis) == {fired["id"]: id}
    assert hook.posts == []
    done = command(s.sidecar, "expire", id)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: hook.posts, what="the word that it fires")
    assert hook.bodies[0]["status"] == "firing"
    wait_until(lambda: silenced(redis) == {}, what="a board that says so")
    assert shown(s.sidecar)[id]["status"]["state"] == "expired"
    s.mend_it()
    wait_until(lambda: hook.bodies[-1]["status"] == "resolved",
               what="the end")


def test_it_ends_by_itself(scene, running, redis):
    hook = running(Webhook())
    s = scene({"webhook": [{"url": hook.url}]})
    silence_now(s.sidecar, "--duration", "8s", "peer=~10.*", "route!=/x")
    s.break_it()
    wait_until(lambda: hook.posts, 30, what="the word that it fires")
    (silence,) = shown(s.sidecar).values()
    assert silence["status"]["state"] == "expired"


def test_a_silence_that_begins_while_it_fires(scene, running,
                                              redis):
    hook = running(Webhook())
    s = scene({"webhook": [{"url": hook.url}]})
    fired = s.break_it()
    wait_until(lambda: hook.posts, what="the word that it fires")
    silence_now(s.sidecar, "alertname=" + fired["alertname"])
    told, before = len(hook.posts), len(s.told("firing"))
    s.traffic.follow(lambda: len(s.told("firing")) > before, 60)
    assert len(hook.posts) == told
    s.mend_it()  # those who know of it hear that it is over
    wait_until(lambda: hook.bodies[-1]["status"] == "resolved",
               what="the end")
