"""The page as it hangs on a wall: a picture of it, and what is missing there.

When an alert fires a browser opens /_alerts and waits until the page shows it,
with all that an operator looks for: the cloud and region, since when, the line
of what was observed, and the state of all in the big panel.

The browser starts before the traffic does, and yields to everything else: its
start takes a second of two cores, which clouds simulated on the same machine
would feel as a fault of their own.
"""

import os
import pathlib
import re
import threading

from browser import Page, open_browser
from waiting import wait_until

PROVIDERS = {"aws": "AWS", "azure": "Azure", "gcp": "Google Cloud",
             "alibaba_cloud": "Alibaba Cloud"}
WIDTH, HEIGHT = 1920, 1080
POINTS = 10  # of a line that deserves the name
WAIT = 30.0  # seconds for the page to know and to draw
YIELD = 10  # niceness of the browser

SHOWN = """
    const card = document.querySelector(
        '#alerts article[data-id="' + CSS.escape(arguments[0]) + '"]');
    if (card === null) {
        return null;
    }
    const text = (css) => (card.querySelector(css) || {}).textContent || '';
    const line = card.querySelector('svg.chart path.observed');
    const chart = line && line.ownerSVGElement.getBoundingClientRect();
    return {
        summary: text('h3'), age: text('.age b'),
        places: [...card.querySelectorAll('.place bdi')]
            .map((n) => n.textContent),
        points: line ? line.getAttribute('d').split(/[ML]/).length - 1 : 0,
        chart: chart && [chart.width, chart.height],
        bottom: card.getBoundingClientRect().bottom,
        right: document.documentElement.scrollWidth,
        cut: [...document.querySelectorAll('.place-card, .alert, .scroll')]
            .filter((n) => n.scrollWidth > n.clientWidth)
            .map((n) => n.textContent.slice(0, 40)),
        trends: document.querySelectorAll(
            '#series tbody svg.spark path[d^=M]').length,
        overall: document.getElementById('overall').dataset.state,
    };
"""


def missing(shown, seen):
    """What the page lacks of an alert (see judge.Seen)."""
    if shown is None:
        yield "the alert itself"
        return
    summary = seen.alert["annotations"]["summary"]  # of now: it may change
    if shown["summary"] != summary:
        yield f"the summary {summary!r}; it says {shown['summary']!r}"
    cloud = seen.labels.get("cloud_provider")
    region = seen.labels.get("cloud_region")
    for place in (PROVIDERS.get(cloud, cloud), region):
        if place is not None and place not in shown["places"]:
            yield f"{place} among its places {shown['places']}"
    if not re.fullmatch(r"\d+ s|\d+ m \d\d s", shown["age"]):
        yield f"its age; it says {shown['age']!r}"
    width, height = shown["chart"] or (0, 0)
    if shown["points"] < POINTS or width < 200 or height < 40:
        yield f"its line: {shown['points']} points in {width} x {height}"
    for text in shown["cut"]:
        yield f"room for what begins with {text!r}"
    if shown["trends"] == 0:
        yield "the trends of series"
    severity = seen.alert["labels"]["severity"]
    if shown["overall"] != severity:
        yield f"the state {severity}; it is {shown['overall']}"
    if shown["bottom"] > HEIGHT or shown["right"] > WIDTH:
        yield f"room: the alert ends at {shown['bottom']:.0f} of {HEIGHT}, " \
              f"the page at {shown['right']} of {WIDTH}"


class Wall:
    """Looks, in a thread of its own: the fault goes on meanwhile."""

    def __init__(self, picture):
        self.picture = pathlib.Path(picture).resolve()
        self.url = self.seen = None
        self.complaints = ["no alert to look for on the page"]
        self._ready = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def show(self, url, seen):
        """Look for this alert; later ones are not looked for."""
        if not self._wanted.is_set():
            self.url, self.seen = url, seen
            self._wanted.set()

    def close(self):
        """Wait for the picture, if there was anything to take one of."""
        self._wanted.set()
        self._thread.join()

    def _run(self):
        os.setpriority(os.PRIO_PROCESS, 0, YIELD)  # this thread's, inherited
        try:
            driver = open_browser(WIDTH, HEIGHT)
            try:
                self._ready.set()
                self._wanted.wait()
                if self.seen:
                    self.complaints = self._look(driver)
            finally:
                driver.quit()
        except Exception as e:  # whatever a browser may die of
            self.complaints = [f"no picture of the page: {e!r}"]
        finally:
            self._ready.set()

    def _look(self, driver):
        page = Page(driver, self.url)
        alert = self.seen.alert["tocsin"]["id"]
        lacks = []

        def whole():
            lacks[:] = missing(page.script(SHOWN, alert), self.seen)
            return not lacks

        try:
            wait_until(whole, WAIT, interval=0.1)
        except AssertionError:
            pass  # what is missing then is the verdict
        # headless windows have a frame: the picture shall not
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1,
            "mobile": False})
        self.picture.parent.mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(self.picture))
        return [f"the page lacks {what}" for what in lacks] \
            + [f"the page's console: {text}" for text in page.complaints()]
