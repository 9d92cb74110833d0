"""Chromium, as far as the tests of the dashboard use it."""

import base64
import json
import pathlib
import time

from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# What is waited for either happens or is broken.
PATIENCE = 60


class Browser:
    def __init__(self, *arguments):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        # Root has no sandbox, and containers little shared memory.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", *arguments):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path="/usr/bin/chromedriver")
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_window_size(1280, 900)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def go(self, url):
        self.driver.get(url)

    def address(self):
        return self.driver.current_url

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def has(self, selector):
        return self.count(selector) > 0

    def count(self, selector):
        return self.script("return document.querySelectorAll(arguments[0]).length", selector)

    def text(self, selector):
        return self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)

    def fill(self, selector, text):
        field = self.driver.find_element(By.CSS_SELECTOR, selector)
        field.send_keys(Keys.CONTROL + "a" + Keys.NULL, Keys.DELETE, text)

    def click(self, selector):
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def focus(self, selector):
        self.script("document.querySelector(arguments[0]).focus()", selector)

    def press(self, key):
        ActionChains(self.driver).send_keys(getattr(Keys, key.upper())).perform()

    def until(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"never happened: {what}; the page:\n{self.text('body')}"

    def look(self, scheme, width):
        """As the page looks with a theme, on a screen of a width."""
        scheme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
        phone = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)

    def before_each_page(self, script):
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})

    def picture(self, path: pathlib.Path, selector="html"):
        place = """
            const { x, y, width, height } = document.querySelector(arguments[0]).getBoundingClientRect();
            return { x: x + scrollX, y: y + scrollY, width, height, scale: 1 };
        """
        shot = {"format": "png", "captureBeyondViewport": True, "clip": self.script(place, selector)}
        path.write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", shot)["data"]))

    def axe(self, source):
        """What axe-core finds fault with."""
        if not self.script("return Boolean(window.axe)"):
            self.script(pathlib.Path(source).read_text())
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document).then(done, (error) => done({ failed: String(error) }))"
        )
        assert "failed" not in found, found
        return found["violations"]

    def requests(self):
        """The addresses of everything that was asked for, WebSockets included."""
        urls = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(message["params"]["request"]["url"])
            if message["method"] == "Network.webSocketCreated":
                urls.append(message["params"]["url"])
        return urls

    def complaints(self):
        """What is in the console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]
