"""The page as people see it: headless Chromium in front of real nginx."""

import contextlib
import re
import shutil
import socket

import pytest

import boards
from alerting import HTTP, pretend, wait_feed, watch  # noqa: F401
from harness import ROOT, wait_until

pytest.importorskip("selenium.webdriver")

from browser import Page, open_browser  # noqa: E402
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

if not shutil.which("chromedriver"):
    pytest.skip("needs chromium-driver", allow_module_level=True)

pytestmark = pytest.mark.once(
    because="Chromium runs a script; what the module answers to it is asked "
            "for by test_board, test_status and test_stream, too")

HOSTILE = [
    "<script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned=1'>",
    "\"><svg onload=window.pwned=1>",
    "javascript:window.pwned=1",
    "</script></style></title>{{7*7}}${7*7}",
    "line\nbreak\ttab \"quotes\" 'single' \\ &amp; é 🔔",
    "\u202eright to left\u202c שלום",
    "A" * 200,
]


@pytest.fixture(scope="module")
def chromium():
    driver = open_browser(1500, 1200)
    yield driver
    driver.quit()


@pytest.fixture
def look(chromium):
    """look(nginx, path="/_alerts") -> Page; the page is left at the end."""
    yield lambda nginx, path="/_alerts": Page(chromium, nginx.url(path))
    with contextlib.suppress(WebDriverException):
        chromium.get("about:blank")
        chromium.set_window_size(1500, 1200)
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                 {"features": []})


def tell(redis, **fields):
    redis.client.xadd("tocsin:alerts", boards.alert(**fields))


def slow(**fields):
    """An alert as the sidecar raises it."""
    normal = [(0.1, 0.1, 0.05, 0.2)] * 40
    return {
        "id": "a-1", "summary": "Latency in eu-west-1 is high",
        "labels": boards.pairs(cloud_provider="aws", cloud_region="eu-west-1"),
        "evidence": boards.points(normal + [(1.25, 0.1, 0.05, 0.2)] * 20),
        "parts": boards.part("p1", 80, "latency_p95", peer="10.0.0.1:80"),
        **fields,
    }


# ---------------------------------------------------------------- what it shows

@pytest.mark.parametrize("path", ["/_alerts", "/_alerts/"])
def test_an_alert_with_all_that_matters(redis, watch, pretend, look, path):
    nginx = watch(redis)
    tell(redis, **slow(started=boards.now() - 100 * 1000000))
    pretend(redis, active="a-1")
    page = look(nginx, path)
    page.wait_state("critical")
    assert page.text("#word") == "Critical"
    assert page.all("#shape svg"), "a shape beside the colour"
    wait_until(lambda: page.driver.title == "(1) Tocsin")
    page.wait_text(".alert", "Latency in eu-west-1 is high", "AWS",
                   "eu-west-1", "1.25 s", "100 ms", "50 ms to 200 ms",
                   "98 / 100", "critical", "model 7")
    assert page.all(".alert svg.chart path.band[d^=M]")
    assert page.all(".alert svg.chart path.observed[d^=M]")
    assert len(page.all(".alert svg.chart .outside")) == 20
    page.wait_text(".alert .age b", "1 m")
    age = page.text(".alert .age b")
    wait_until(lambda: page.text(".alert .age b") != age, what="a ticking age")
    assert page.text("#banners") == ""
    assert page.complaints() == []


def test_quiet_and_watching(redis, watch, pretend, look):
    nginx = watch(redis)
    pretend(redis, rollups=boards.row(
        labels=boards.pairs(cloud_provider="gcp", cloud_region="us-central1"),
        score=12, rate=4, errors=0.5, latency_p95=0.1))
    page = look(nginx)
    page.wait_state("quiet")
    assert page.text("#word") == "All quiet"
    assert page.driver.title == "Tocsin"
    page.wait_text("#places", "Google Cloud", "us-central1", "50 %", "100 ms")
    page.wait_text("#facts", "1,234,567", "250 ms")
    page.wait_text("#link", "live")


def test_wide_figures_leave_a_card_its_edge(redis, watch, pretend, look,
                                            chromium):
    wide = {"score": 100, "rate": 167, "errors": 0.00599, "latency_p95": 0.105}
    pretend(redis, rollups="".join(
        boards.row(labels=boards.pairs(cloud_provider=cloud, **region), **wide)
        for cloud in ("alibaba_cloud", "aws", "azure", "gcp")
        for region in ({}, {"cloud_region": "ap-southeast-1"},
                       {"cloud_region": "a-region-with-a-long-name"})))
    nginx = watch(redis)
    chromium.set_window_size(1920, 1080)
    page = look(nginx)
    page.wait_text("#places", "Alibaba Cloud", "0.599 %", "105 ms")
    cut, names = page.script("""
        const wider = (css) => [...document.querySelectorAll(css)]
            .filter((n) => n.scrollWidth > n.clientWidth)
            .map((n) => n.textContent);
        return [wider('.place-card'), wider('.place-card td:first-child')];
    """)
    assert cut == [], "figures are shown whole"
    assert set(names) == {"a-region-with-a-long-name"}, "names give way"


NOBODY = """location ~ ^/_alerts/(stream|api/) {
        proxy_pass http://127.0.0.1:@nobody@;
    }
    location /_alerts {"""
CALM = ("Nothing is wrong", "as it should", "All quiet", "None.", "No cloud")


def test_nothing_is_called_well_before_it_is_known(redis, watch, pretend,
                                                   look):
    pretend(redis)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nginx = watch(redis, nobody=nobody.getsockname()[1],
                      http=HTTP.replace("location /_alerts {", NOBODY))
        page = look(nginx)
        wait_until(lambda: page.text("#clock") and page.all("#shape svg"),
                   what="a first drawing")
        assert page.attribute("#overall", "data-state") == "wait"
        assert page.text("#word") == "Not known yet"
        for part in ("#alerts", "#places", "#past"):
            assert page.text(part) == "Not known yet.", part
        assert "quiet" not in page.attribute("#icon", "href")
        assert [text for text in CALM if text in page.text("body")] == []

        page.wait_text("#word", "No contact")  # having asked in vain
        page.wait_text("#alerts", "Not known: nginx does not answer")
        assert [text for text in CALM if text in page.text("body")] == []


def test_nothing_is_called_well_after_contact_is_lost(redis, watch, pretend,
                                                      look):
    nginx = watch(redis)
    pretend(redis)
    page = look(nginx)
    page.wait_text("#alerts", "Nothing is wrong.")
    nginx.stop()
    page.wait_text("#alerts", "None was known when contact was lost.")
    assert "Nothing is wrong" not in page.text("body")


def test_it_lives(redis, watch, pretend, look):
    nginx = watch(redis)
    sidecar = pretend(redis)
    page = look(nginx)
    page.wait_state("quiet")

    tell(redis, **slow(state="pending"))
    sidecar.fields["active"] = "a-1"
    page.wait_text(".alert.pending", "not sure yet")
    assert page.text("#word") == "All quiet"
    tell(redis, **slow(state="firing", severity="warning"))
    page.wait_state("warning")
    page.wait_text("#icon ~ title, title", "(1)")

    sidecar.fields["active"] = ""
    tell(redis, **slow(state="resolved", ended=boards.now()))
    page.wait_state("quiet")
    page.wait_text("#past", "Latency in eu-west-1 is high")
    assert page.all(".alerts .alert") == []
    assert page.complaints() == []


def test_the_table_sorts_and_finds(redis, watch, pretend, look):
    nginx = watch(redis)
    pretend(redis, rows="".join(
        boards.row(labels=boards.pairs(server=f"s{i}"), score=50 - i, rate=i,
                   spark="1,2,3,,5") for i in range(60)))
    page = look(nginx)
    wait_until(lambda: len(page.all("#series tbody tr")) == 50)
    assert "s0" in page.text("#series tbody tr")
    assert page.all("#series tbody svg.spark path[d^=M]")

    page.all("#series th button")[3].send_keys(Keys.ENTER)  # rate, by keyboard
    page.wait_text("#series tbody tr", "s49")
    assert page.attribute("#series th:nth-child(4)", "aria-sort") == "descending"
    assert page.script("return document.activeElement.textContent") == "Rate"
    page.all("#all")[0].click()
    wait_until(lambda: len(page.all("#series tbody tr")) == 60)
    page.all("#find")[0].send_keys("s59")
    wait_until(lambda: len(page.all("#series tbody tr")) == 1)


def test_what_is_open_stays_open(redis, watch, pretend, look):
    nginx = watch(redis)
    tell(redis, **slow())
    pretend(redis, active="a-1")
    page = look(nginx)
    page.wait_text(".alert details summary", "1 series")
    page.all(".alert details summary")[0].send_keys(Keys.ENTER)
    page.wait_text(".alert details[open]", "10.0.0.1:80")
    tell(redis, **slow(summary="It got worse"))
    page.wait_text(".alert h3", "It got worse")
    assert page.all(".alert details[open]")


def test_features_have_the_names_that_alerts_give_them():
    table = (ROOT / "sidecar/base/feature_table.h").read_text()
    page = (ROOT / "ngx_module/page/format.js").read_text()
    told = re.findall(r'X\([A-Z_0-9]+, "(\w+)", "[^"]*", \w+, \w+,[\s\\]*'
                      r'"([^"]+)",', table)
    page = page[page.index("FEATURES = {"):page.index("};")]
    assert len(told) == 13
    assert dict(re.findall(r'(\w+): "([^"]+)"', page)) == dict(told)


# ------------------------------------------------------------------- hostility

def test_hostile_texts_stay_texts(redis, watch, pretend, look):
    nginx = watch(redis)
    rows = ""
    for i, text in enumerate(HOSTILE):
        labels = boards.pairs(route=text, cloud_provider=text,
                              cloud_region=text)
        tell(redis, **slow(
            id=f"h{i}", summary=text, description=text + "!", labels=labels,
            alertname=text, feature=text, unit=text, model=text,
            severity=text if i % 2 else "critical",
            parts=boards.part("p", 3, boards.percent(text), route=text)))
        rows += boards.row(labels=labels, feature=boards.percent(text),
                           score=1, observed=2)
    tell(redis, id="bad", summary=b"\xff\xfe<b>\xc0\xaf")
    pretend(redis, active=",".join(f"h{i}" for i in range(9)) + ",bad",
            rows=rows, rollups=rows, version=HOSTILE[0], model=HOSTILE[1])
    page = look(nginx)
    wait_until(lambda: len(page.all(".alert")) == len(HOSTILE) + 1)
    wait_until(lambda: len(page.all("#series tbody tr")) == len(HOSTILE))
    page.wait_text("#facts", HOSTILE[0], HOSTILE[1])
    shown = {n.get_attribute("textContent") for n in page.all(".alert h3")}
    assert shown == set(HOSTILE) | {"\ufffd\ufffd<b>\ufffd\ufffd"}
    for text in HOSTILE:
        assert text in page.text("#series") and text in page.text("#places")
    assert page.script("return window.pwned") is None
    assert page.all("script:not([type=module]), img, iframe, .alert b b") == []
    assert len(page.all("script")) == 1
    wide = page.script("return document.documentElement.scrollWidth"
                       " - document.documentElement.clientWidth")
    assert wide <= 0, "long words must not widen the page"
    assert page.complaints() == []


def test_nothing_is_asked_of_third_parties(redis, watch, pretend, look):
    nginx = watch(redis)
    tell(redis, **slow())
    pretend(redis, active="a-1")
    page = look(nginx)
    page.wait_state("critical")
    asked = [url for url in page.requests() if not url.startswith("about:")]
    assert len(asked) > 8
    assert [u for u in asked if not u.startswith(nginx.url("/_alerts"))] == []


def test_a_script_that_got_in_would_not_run(redis, watch, look):
    page = look(watch(redis))
    page.wait_state("blind")
    page.script("""
        const s = document.createElement('script');
        try { s.textContent = 'window.pwned = 1'; } catch (e) {}
        document.body.append(s);
        try { document.body.innerHTML += '<b>x</b>'; } catch (e) {
            window.refused = 1; }
    """)
    assert page.script("return window.pwned") is None
    assert page.script("return window.refused") == 1


# --------------------------------------------------------------------- silence

def test_it_says_when_redis_is_silent_and_shows_what_it_knows(
        redis, watch, pretend, look):
    nginx = watch(redis)
    tell(redis, **slow())
    pretend(redis, active="a-1")
    page = look(nginx)
    page.wait_state("critical")
    redis.kill()
    page.wait_text("#banners", "Redis is silent since")
    page.wait_text("#banners", "The sidecar is silent since")
    page.wait_text("#why", "Latency in eu-west-1 is high", "blind")
    wait_until(lambda: "blind" in page.driver.title)
    assert len(page.all(".alerts .alert")) == 1
    redis.start()
    wait_until(lambda: page.text("#banners") == "", 30)
    assert page.driver.title == "(1) Tocsin"


def test_it_is_blind_without_a_sidecar(redis, watch, look):
    redis.client.xadd("tocsin:board", boards.board(
        ts=boards.now() - 7200 * 1000000))
    page = look(watch(redis))
    page.wait_state("blind")
    page.wait_text("#banners", "The sidecar is silent since", "2 h 00 m ago")
    page.wait_text("#alerts", "Tocsin cannot see at the moment")
    assert page.attribute("#banners", "role") == "alert"


def test_it_says_that_nginx_is_gone_and_returns(redis, watch, pretend, look):
    nginx = watch(redis)
    tell(redis, **slow())
    pretend(redis, active="a-1")
    page = look(nginx)
    page.wait_state("critical")
    nginx.stop()
    page.wait_state("blind")
    page.wait_text("#word", "No contact")
    page.wait_text("#banners", "No contact with nginx since")
    assert len(page.all(".alerts .alert")) == 1
    nginx.start()
    page.wait_state("critical")
    page.wait_text("#link", "live")
    assert page.text("#banners") == ""


def test_it_polls_when_events_do_not_come(redis, watch, pretend, look):
    http = HTTP.replace("location /_alerts {",
                        "location = /_alerts/stream { return 404; }\n"
                        "    location /_alerts {")
    nginx = watch(redis, http=http)
    sidecar = pretend(redis)
    page = look(nginx)
    page.wait_state("quiet")
    page.wait_text("#link", "polling")
    tell(redis, **slow())
    sidecar.fields["active"] = "a-1"
    page.wait_state("critical")


def test_reload_of_nginx_does_not_disturb_it(redis, watch, pretend, look):
    nginx = watch(redis)
    tell(redis, **slow())
    pretend(redis, active="a-1")
    page = look(nginx)
    page.wait_state("critical")
    nginx.wait_drained(nginx.reload())
    tell(redis, **slow(summary="after the reload"))
    page.wait_text(".alert h3", "after the reload")
    page.wait_text("#link", "live")


# --------------------------------------------------------------- for everybody

CONTRAST = """
const lum = (c) => {
    const m = c.match(/[\\d.]+/g).slice(0, 3).map((v) => {
        v /= 255;
        return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    });
    return .2126 * m[0] + .7152 * m[1] + .0722 * m[2];
};
const probe = document.createElement('i');
document.body.append(probe);
const of = (name) => {
    probe.style.color = 'var(--' + name + ')';
    return lum(getComputedStyle(probe).color);
};
const found = [];
for (const [front, back] of arguments[0]) {
    const a = of(front), b = of(back);
    found.push([front, back, (Math.max(a, b) + .05) / (Math.min(a, b) + .05)]);
}
probe.remove();
return found;
"""


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_contrast_suffices(redis, watch, look, chromium, scheme):
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": scheme}]})
    page = look(watch(redis))
    page.wait_state("blind")
    pairs = [(front, back) for front in ("text", "soft")
             for back in ("ground", "panel", "sunk")]
    for tone in ("critical", "warning", "info", "quiet", "blind"):
        pairs += [(tone, "panel"), (tone, tone + "-ground"),
                  ("text", tone + "-ground")]
    weak = [p for p in page.script(CONTRAST, pairs) if p[2] < 4.5]
    assert weak == []


def test_structure_for_those_who_do_not_see(redis, watch, pretend, look):
    nginx = watch(redis)
    tell(redis, **slow())
    pretend(redis, active="a-1", rows=boards.row(labels="server=a", score=1))
    page = look(nginx)
    page.wait_state("critical")
    wait_until(lambda: page.all("#series tbody tr"))
    assert page.attribute("html", "lang") == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert page.attribute("#overall", "aria-live") == "polite"
    nameless = page.script("""
        return [...document.querySelectorAll('button, input, svg[role=img]')]
            .filter((n) => !(n.getAttribute('aria-label') || n.textContent.trim()
                || (n.labels && n.labels.length))).map((n) => n.outerHTML)""")
    assert nameless == []
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert page.script("return document.activeElement.hash") == "#alerts"


def test_it_fits_a_phone(redis, watch, pretend, look, chromium):
    nginx = watch(redis)
    tell(redis, **slow())
    pretend(redis, active="a-1", rows=boards.row(
        labels=boards.pairs(server="a" * 60, route="/b" * 40), score=1))
    chromium.set_window_size(500, 900)
    page = look(nginx)
    page.wait_state("critical")
    wait_until(lambda: page.all("#series tbody tr"))
    assert page.script("return document.documentElement.scrollWidth"
                       " <= document.documentElement.clientWidth")


def test_the_theme_can_be_switched_and_is_kept(redis, watch, look):
    nginx = watch(redis)
    page = look(nginx)
    page.wait_state("blind")
    before = page.script("return getComputedStyle(document.body).background")
    page.all("#theme")[0].click()
    after = page.script("return getComputedStyle(document.body).background")
    assert before != after
    page = look(nginx)
    page.wait_state("blind")
    assert after == page.script(
        "return getComputedStyle(document.body).background")
    page.script("localStorage.clear()")
