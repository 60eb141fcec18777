"""Headless Chromium, and a look at /_alerts through it."""

import json
import shutil

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from waiting import wait_until


def open_browser(width, height):
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu",
                     "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--window-size={width},{height}",
                     "--no-first-run", "--disable-background-networking"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs",
                           {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options,
                            service=Service(shutil.which("chromedriver")))


class Page:
    """One look at /_alerts."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url
        driver.get("about:blank")
        driver.get_log("browser"), driver.get_log("performance")
        driver.get(url)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css):
        """Text of the first such element, "" while there is none."""
        return self.driver.execute_script(
            "const n = document.querySelector(arguments[0]);"
            "return n ? n.textContent : ''", css)

    def wait_text(self, css, *parts):
        wait_until(lambda: all(p in self.text(css) for p in parts), 30,
                   f"{parts} in {css}: {self.text(css)!r}")

    def wait_state(self, state):
        wait_until(lambda: self.attribute("#overall", "data-state") == state,
                   30, f"the state {state}; it is {self.text('#overall')}")

    def attribute(self, css, name):
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])"
            ".getAttribute(arguments[1])", css, name)

    def script(self, code, *args):
        return self.driver.execute_script(code, *args)

    def complaints(self):
        """What the console says: violations of the policy, errors."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        found = []
        for line in self.driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found
