"""Binary upgrade: two masters at once, each with counters of its own."""

import re

import pytest

from accounts import (
    HTTP, assert_no_gap, counters, distinct, drained, numbers, settled,
)
from harness import Load, is_alive, wait_until
from masters import *  # noqa: F403 (fixtures)


# so that clients connect anew now and then, to whichever master serves
RENEW = "keepalive_requests 20;"


@pytest.fixture
def daemon(start_daemon):
    return lambda url: start_daemon(HTTP, redis=url, more=RENEW)


def producer(src):
    """What tells masters from each other: host, begin and pid."""
    host, _, born = src.split("/")
    return host, born


def by_master(redis):
    """(host, begin and pid of the master) -> its seqs, slot by slot."""
    found = {}
    for src, seqs in numbers(redis).items():
        found.setdefault(producer(src), []).append(seqs)
    return found


def assert_once(redis):
    """No event is missing from the streams, none stands there twice."""
    assert_no_gap(redis)
    for src, seqs in numbers(redis).items():
        assert len(seqs) == len(set(seqs)), src


def told(redis, born):
    return sum(map(len, by_master(redis)[born]))


def wait_served_by(redis, known):
    """Wait for an event of a master that is not among these."""
    wait_until(lambda: set(by_master(redis)) - set(known),
               what="an event of the new master")


def test_upgrade_under_load(redis, daemon):
    old = daemon(redis.url)
    with Load(old.url("/")) as load:
        load.wait_for(300)
        before = set(by_master(redis))
        new = old.upgrade()
        wait_served_by(redis, before)
        load.wait_for(300)
        old.retire()
        load.wait_for(300)
        old.stop()
        assert not is_alive(old.pid)
        load.wait_for(300)
    assert load.failed == 0
    (first,), both = before, by_master(redis)
    (second,) = set(both) - before
    now = drained(new, load.sent - told(redis, first))
    assert sum(now.dropped.values()) == 0
    assert now.emitted == now.delivered == told(redis, second)
    assert distinct(redis) == load.sent
    assert_once(redis)


def test_the_way_back_under_load(redis, daemon):
    old = daemon(redis.url)
    with Load(old.url("/")) as load:
        load.wait_for(300)
        before = set(by_master(redis))
        new = old.upgrade()
        wait_served_by(redis, before)
        old.retire()
        load.wait_for(300)
        old.return_()
        load.wait_for(300)
        new.stop()
        load.wait_for(300)
    assert load.failed == 0
    (first,) = before
    (second,) = set(by_master(redis)) - before
    # the old master's slots are where they were, and still add up
    now = drained(old, load.sent - told(redis, second))
    assert sum(now.dropped.values()) == 0
    assert now.emitted == now.delivered == told(redis, first)
    assert distinct(redis) == load.sent
    assert_once(redis)


def test_what_the_old_binary_cannot_send_is_counted(start_redis, daemon):
    redis = start_redis()
    redis.kill()
    old = daemon(redis.url)
    with Load(old.url("/")) as load:
        load.wait_for(300)
    left = load.sent
    assert wait_until(lambda: settled(old, left), what="the log").buffered == left
    new = old.upgrade()
    old.retire()  # its workers drain for a while, in vain
    assert said_at_exit(old) == left
    with Load(new.url("/")) as load:
        load.wait_for(300)
    now = wait_until(lambda: settled(new, load.sent), what="the log")
    assert now.buffered == now.emitted == load.sent

    redis.start()
    assert drained(new).delivered == load.sent
    assert distinct(redis) == load.sent
    assert_once(redis)

    # what the old master knows, asked of it when its workers are back
    old.return_()
    new.stop()
    now = counters(old)
    assert (now.emitted, now.delivered, now.buffered) == (left, 0, 0)
    assert now.dropped["shutdown"] == left == sum(now.dropped.values())


def said_at_exit(nginx):
    """Events that workers told of in the log when they had to go."""
    return sum(map(int, re.findall(
        r"\[warn\].* tocsin: (\d+) events could not be sent", nginx.log)))
