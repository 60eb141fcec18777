"""Silencing on the page: headless Chromium, nginx, Redis and a sidecar.

Where a test needs alerts but no detector, the alerts are told by hand and the
sidecar's snapshots are pretended.
"""

import base64
import json

import pytest

import boards
from alerting import HTTP, pretend, watch  # noqa: F401
from harness import wait_until
from test_page import (CONTRAST, HOSTILE, Page, chromium, look,  # noqa: F401
                       slow, tell)
from test_silence import matcher, moment, post, silence

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.once(
    because="Chromium runs a script; what the module answers to it is asked "
            "for by test_silence and test_silence_told, too")

WRITE = HTTP.replace("tocsin_alerts;", "tocsin_alerts write=on;")
ID = "0123abcd-0123-4123-8123-0123456789ab"


def row(id=ID, **fields):
    """A line of `silences` in a snapshot."""
    made = {"starts": boards.now() - 1000000,
            "ends": boards.now() + 3600 * 1000000, "updated": boards.now(),
            "author": "ada", "comment": "repair",
            "matchers": "upstream=eq=shop", **fields}
    return "\t".join([id] + [boards.percent(str(made[name])) for name in (
        "starts", "ends", "updated", "author", "comment", "matchers")]) + "\n"


@pytest.fixture
def open_page(redis, watch, pretend, look):
    """open_page(http, **snapshot) -> (page, nginx, sidecar), two alerts"""
    def start(http=WRITE, **fields):
        nginx = watch(redis, http=http)
        tell(redis, **slow())
        tell(redis, **slow(id="b-1", fingerprint="b", severity="warning",
                           summary="Errors of shop",
                           labels=boards.pairs(upstream="shop")))
        sidecar = pretend(redis, active="a-1,b-1", **fields)
        page = look(nginx)
        wait_until(lambda: len(page.all("#alerts .alert")
                               + page.all("#silenced .alert")) == 2)
        return page, nginx, sidecar

    return start


def press(page, *keys):
    """Keys to whatever has the focus."""
    for key in keys:
        page.driver.switch_to.active_element.send_keys(key)


def wait_focus(page, css):
    wait_until(lambda: page.script(
        "return document.activeElement.matches(arguments[0])", css),
        what=f"the focus on {css}")


def tab_to(page, css):
    for _ in range(60):
        if page.script("return document.activeElement.matches(arguments[0])",
                       css):
            return
        press(page, Keys.TAB)
    raise AssertionError(f"the keyboard does not reach {css}")


def commands(redis):
    return redis.entries("tocsin:commands")


# ----------------------------------------------------------------- by keyboard

def test_an_alert_is_silenced_and_told_again(redis, look, start_nginx,
                                             start_sidecar):
    """All of it with a real sidecar, and no mouse."""
    nginx = start_nginx(WRITE.replace("@more@", ""), redis=redis.url)
    sidecar = start_sidecar(redis, {"model": {"train": False}})
    sidecar.wait_board()
    page = look(nginx)
    page.wait_state("quiet")
    made = post(nginx, silence(comment="by hand")).json()["silenceID"]
    page.wait_text("#silences", "by hand", "upstream", "shop", "by ada",
                   "ends in 59 m")
    tab_to(page, "#silences button")
    assert page.script("return document.activeElement.getAttribute("
                       "'aria-label')") == "Expire: by hand"
    press(page, Keys.ENTER)
    page.wait_text("#said", "The silence was ended.")
    wait_until(lambda: page.script(
        "return document.getElementById('silences-part').hidden"))
    assert [c["what"] for c in commands(redis)] == ["silence", "expire"]
    assert commands(redis)[1]["id"] == made
    assert page.complaints() == []


def test_the_dialog_by_keyboard(redis, open_page):
    page, _, sidecar = open_page()
    tab_to(page, "[data-id='b-1'] button")
    press(page, Keys.ENTER)
    wait_focus(page, "dialog[open] [name=comment]")
    rows = {r.get_attribute("data-name"): r
            for r in page.all(".matchers li")}
    assert set(rows) == {"alertname", "severity", "upstream"}
    chosen = {name: r.find_element(By.CSS_SELECTOR, "[type=checkbox]")
              .is_selected() for name, r in rows.items()}
    assert chosen == {"alertname": True, "severity": False, "upstream": True}
    page.wait_text(".silencing [role=status]", "Matches 1 of 2")
    press(page, Keys.ESCAPE)
    wait_until(lambda: page.all("dialog") == [])
    wait_focus(page, "[data-id='b-1'] button")  # where it was

    press(page, Keys.ENTER)
    wait_focus(page, "dialog[open] [name=comment]")
    press(page, "being repaired")
    page.all("[name=author]")[0].send_keys("ada", Keys.ENTER)
    page.wait_text("#said", "Silenced for 2 h")
    wait_until(lambda: page.all("dialog") == [])
    (made,) = commands(redis)
    assert made["what"] == "silence" and made["via"] == "http"
    assert made["author"] == "ada" and made["comment"] == "being repaired"
    assert made["matchers"] == "alertname=eq=LatencyHigh,upstream=eq=shop"
    assert int(made["ends"]) - int(made["starts"]) == 7200 * 1000000

    sidecar.fields.update(
        silences=row(made["id"], matchers=made["matchers"], author="ada",
                     comment="being repaired"),
        silenced="b-1=" + made["id"])
    page.wait_text("#silenced .alert .hushed", "Silenced by ada until",
                   "being repaired")
    assert [n.get_attribute("data-id") for n in page.all("#alerts .alert")] \
        == ["a-1"]
    assert page.all("#silenced .alert button") == []
    page.wait_text("#figures", "Silenced1")
    page.wait_text("#why", "1 more is silenced")
    page.wait_text("#silences", "being repaired")
    sidecar.fields.update(silenced="", silences=row(ends=1))
    wait_until(lambda: len(page.all("#alerts .alert")) == 2)
    assert not page.all("#silenced .alert") + page.all("#silences .silence")
    assert page.complaints() == []


def test_choices_of_the_dialog(redis, open_page):
    page, nginx, _ = open_page()
    page.all("[data-id='b-1'] button")[0].click()
    for name in ("alertname", "upstream"):
        page.all(f"[data-name={name}] [type=checkbox]")[0].click()
    page.wait_text(".silencing [role=status]", "Choose a label")
    assert not page.all(".silencing [type=submit]")[0].is_enabled()

    page.all("[data-name=severity] [type=checkbox]")[0].click()
    page.all("[data-name=severity] option[value='=~']")[0].click()
    value = page.all("[data-name=severity] [type=text]")[0]
    value.clear()
    value.send_keys("warning|crit(")
    page.wait_text(".silencing [role=status]", "not complete")
    page.all("[name=author]")[0].send_keys("ada")
    page.all("[name=comment]")[0].send_keys("x", Keys.ENTER)
    page.wait_text(".trouble", "Not silenced: ", "without a )")
    assert commands(redis) == []

    value.send_keys("ical)")
    page.wait_text(".silencing [role=status]", "Matches 2 of 2")
    page.all("[name=duration] option[value='1800']")[0].click()
    page.all(".silencing [type=submit]")[0].click()
    page.wait_text("#said", "Silenced for 30 m")
    (made,) = commands(redis)
    assert made["matchers"] == "severity=re=warning|crit(ical)"
    assert int(made["ends"]) - int(made["starts"]) == 1800 * 1000000

    page.all("[data-id='a-1'] button")[0].click()  # the name is remembered
    assert page.script("return document.querySelector('[name=author]').value"
                       ) == "ada"
    page.all("[name=comment]")[0].send_keys("x")
    nginx.allow("tocsin")
    redis.kill()
    page.all(".silencing [type=submit]")[0].click()
    page.wait_text(".trouble", "Not silenced: Redis is away")


def test_who_is_logged_in_is_the_author(redis, open_page, tmp, chromium):
    users = tmp / "users"
    users.write_text("ada:{PLAIN}secret\n")
    login = base64.b64encode(b"ada:secret").decode()
    http = WRITE.replace("write=on;", "write=on; auth_basic tocsin;"
                         f" auth_basic_user_file {users};")
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd("Network.setExtraHTTPHeaders", {
        "headers": {"Authorization": "Basic " + login}})
    try:
        page, _, _ = open_page(http)
        page.all("[data-id='a-1'] button")[0].click()
        assert page.script("return document.querySelector('[name=author]')"
                           ".value") == "ada"
        page.all("[name=comment]")[0].send_keys("x", Keys.ENTER)
        page.wait_text("#said", "Silenced")
        assert commands(redis)[0]["user"] == "ada"
    finally:
        chromium.execute_cdp_cmd("Network.setExtraHTTPHeaders",
                                 {"headers": {}})


# ------------------------------------------------------------------- read-only

def test_read_only_has_no_controls(open_page):
    page, _, _ = open_page(HTTP, silences=row(), silenced=f"a-1={ID}")
    page.wait_text("#silences", "repair", "by ada")
    page.wait_text("#silenced .alert", "Silenced by ada")
    assert page.all(".alert button, #silences button, dialog") == []


def test_read_only_refuses_a_page_that_asks_nevertheless(redis, open_page):
    page, _, _ = open_page(HTTP)
    status = page.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        fetch('_alerts/api/v2/silences', {method: 'POST', body: arguments[0],
            headers: {'Content-Type': 'application/json'}})
            .then((answer) => done(answer.status));
    """, json.dumps(silence(matchers=[matcher("a", "b")],
                            endsAt=moment(60))))
    assert status == 405
    assert commands(redis) == []


# ------------------------------------------------------------------- hostility

def test_another_site_cannot_silence(redis, open_page, start_nginx, chromium):
    """A page elsewhere tries all that a browser lets it send unasked."""
    _, nginx, _ = open_page()
    other = start_nginx("client_header_timeout 3s; server { listen @port@;"
                        " default_type text/html; return 200 '<p>evil'; }")
    page = Page(chromium, f"http://localhost:{other.port}/")
    target = nginx.url("/_alerts/api/v2/silences")
    tries = page.driver.execute_async_script("""
        const [target, body, id, done] = arguments;
        const json = {'Content-Type': 'application/json'};
        const ask = (url, init) => fetch(url, {credentials: 'include', ...init})
            .then((answer) => answer.type + answer.status, () => 'refused');
        Promise.all([
            ask(target, {method: 'POST', body, mode: 'no-cors'}),
            ask(target, {method: 'POST', body, headers: json}),
            ask(target, {method: 'POST', body, headers: json, mode: 'no-cors'}),
            ask(target.replace('silences', 'silence/' + id),
                {method: 'DELETE'}),
            Promise.resolve(String(navigator.sendBeacon(target, body))),
        ]).then(done);
    """, target, json.dumps(silence(matchers=[matcher("a", "b")])), ID)
    assert tries[1] == tries[3] == "refused"
    page.script("""
        const form = document.createElement('form');
        form.method = 'POST'; form.enctype = 'text/plain';
        form.action = arguments[0];
        const input = document.createElement('input');
        input.name = arguments[1].slice(0, -1) + ',"x":"'; input.value = '"}';
        form.append(input); document.body.append(form); form.submit();
    """, target, json.dumps(silence(matchers=[matcher("a", "b")])))
    wait_until(lambda: "refused" in page.driver.page_source,
               what="the refusal of the form")
    assert commands(redis) == []
    post(nginx, silence())  # one's own way is open
    assert len(commands(redis)) == 1


def test_hostile_texts_stay_texts(redis, open_page):
    rows = "".join(row(f"{i:08x}" + ID[8:], author=text, comment=text,
                       matchers="route=eq=" + boards.percent(text))
                   for i, text in enumerate(HOSTILE))
    page, _, sidecar = open_page(silences=rows,
                                 silenced="a-1=00000000" + ID[8:])
    wait_until(lambda: len(page.all("#silences .silence")) == len(HOSTILE))
    for text in HOSTILE:
        assert text in page.text("#silences")
    page.wait_text("#silenced .hushed", HOSTILE[0])
    labels = boards.pairs(**{f"l{i}": text for i, text in enumerate(HOSTILE)})
    sidecar.fields["active"] += ",c-1"
    tell(redis, **slow(id="c-1", fingerprint="c", labels=labels,
                       summary=HOSTILE[0], alertname=HOSTILE[1]))
    wait_until(lambda: page.all("[data-id='c-1'] button"))
    page.all("[data-id='c-1'] button")[0].click()
    values = page.script("return [...document.querySelectorAll("
                         "'.matchers [type=text]')].map((n) => n.value)")
    assert HOSTILE[0] in values and HOSTILE[2] in values
    assert page.script("return window.pwned") is None
    assert page.script("return document.documentElement.scrollWidth"
                       " <= document.documentElement.clientWidth")
    assert page.complaints() == []


# --------------------------------------------------------------- for everybody

@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_can_be_read(open_page, chromium, scheme):
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": scheme}]})
    page, _, _ = open_page(silences=row(), silenced=f"b-1={ID}")
    page.wait_text("#silenced .alert", "Silenced by ada")
    page.all("[data-id='a-1'] button")[0].click()
    page.wait_text(".silencing [role=status]", "Matches 1 of 1")
    pairs = [(front, back) for front in ("text", "soft", "critical", "info")
             for back in ("panel", "sunk", "ground")]
    assert [p for p in page.script(CONTRAST, pairs) if p[2] < 4.5] == []
    nameless = page.script("""
        return [...document.querySelectorAll('button, input, select')]
            .filter((n) => !(n.getAttribute('aria-label') || n.textContent.trim()
                || (n.labels && n.labels.length))).map((n) => n.outerHTML)""")
    assert nameless == []


def test_it_fits_a_phone(open_page, chromium):
    chromium.set_window_size(500, 900)
    page, _, _ = open_page(silences=row(comment="c" * 300),
                           silenced=f"b-1={ID}")
    page.wait_text("#silenced .alert", "Silenced by ada")
    page.all("[data-id='a-1'] button")[0].click()
    assert page.script("return document.documentElement.scrollWidth"
                       " <= document.documentElement.clientWidth")
    box = page.script("const b = document.querySelector('dialog')"
                      ".getBoundingClientRect(); return [b.left, b.right,"
                      " document.documentElement.clientWidth]")
    assert box[0] >= 0 and box[1] <= box[2]
