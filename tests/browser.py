"""Chromium without a window, asked about a page through its debugging pipe: no driver, no network."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
# It reads commands from file 3 and writes to file 4; what they were before may have been these numbers.
_START = """import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 20) for number in sys.argv[1:3]]
for number, pipe in zip((3, 4), pipes):
    os.dup2(pipe, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
# Runs in the page: what is too wide, what did not load, and text that can hardly be read on what is behind it.
_MEASURE = """(() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (e) => e.closest('.wide, .broad, pre') !== null;
  const all = [...document.body.querySelectorAll('*')].filter((e) => e.getClientRects().length);
  const parse = (color) => { const v = color.match(/[\\d.]+/g).map(Number); return v.length === 4 ? v : [...v, 1]; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const behind = (e) => {
    const chain = [];
    for (let at = e; at; at = at.parentElement) chain.push(parse(getComputedStyle(at).backgroundColor));
    return chain.reverse().reduce((below, color) => over(color, below), dark ? [18, 18, 18, 1] : [255, 255, 255, 1]);
  };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const part = c[i] / 255;
    return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  }, 0);
  const contrast = (e) => {
    const back = behind(e), front = over(parse(getComputedStyle(e).color), back);
    const [low, high] = [light(front), light(back)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const own = (e) => [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const texts = all.filter(own).map((e) => [contrast(e), e.textContent.trim().slice(0, 40)]);
  texts.sort((a, b) => a[0] - b[0]);
  return {
    width, dark, scroll: document.documentElement.scrollWidth,
    wide: all.filter((e) => !scrolls(e) && e.getBoundingClientRect().right > width + 1).map((e) => e.tagName),
    images: document.images.length,
    broken: [...document.images].filter((e) => !e.complete || !e.naturalWidth).length,
    contrast: texts.length ? texts[0] : null,
    links: [...document.querySelectorAll('nav a')].filter((e) => !document.querySelector(e.hash)).length,
    smallest: Math.min(...all.filter(own).map((e) => parseFloat(getComputedStyle(e).fontSize))),
  };
})()"""


def find_browser():
    """Returns the path of a Chromium, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a Chromium; use it in a `with`.

    Args:
        program: String, the path of a Chromium.
    """

    def __init__(self, program):
        self._program, self._number, self._events = program, 0, []

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        # Chromium still writes into it while it ends.
        home = self._stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        (to_read, self._to), (self._from, to_write) = os.pipe(), os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
        flags += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(to_read), str(to_write), self._program, *flags,
             f"--user-data-dir={home}/profile", "about:blank"],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._reader = os.fdopen(self._from, "rb")
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network"):
            self._in_page(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(20)
        self._reader.close()
        os.close(self._to)
        self._stack.close()

    def open(self, url, width=1200, height=900, dark=False):
        """Opens a page and returns the addresses that it asked for, its own first."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._in_page("Emulation.setEmulatedMedia", features=scheme)
        phone = width < 600
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self._in_page("Emulation.setDeviceMetricsOverride", **size)
        self._events.clear()
        self._in_page("Page.navigate", url=url)
        self._until(lambda: any(event["method"] == "Page.loadEventFired" for event in self._events))
        sent = [event["params"]["request"] for event in self._events if event["method"] == "Network.requestWillBeSent"]
        return [request["url"][:200] for request in sent if not request["url"].startswith("data:")]

    def measure(self):
        """Returns what the page looks like, in figures."""
        return self.run(_MEASURE)

    def run(self, expression):
        """Returns the plain value of a JavaScript expression in the page."""
        found = self._in_page("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def screenshot(self, path):
        """Writes the whole page as PNG."""
        found = self._in_page("Page.captureScreenshot", captureBeyondViewport=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(found["data"]))

    def pdf(self):
        """Returns the page as it prints, the bytes of a PDF."""
        return base64.b64decode(self._in_page("Page.printToPDF")["data"])

    def _in_page(self, method, **params):
        return self._ask(method, self._session, **params)

    def _ask(self, method, session=None, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        answers = []
        self._until(lambda: answers, answers)
        if "error" in answers[0]:
            raise RuntimeError(f"{method}: {answers[0]['error']}")
        return answers[0]["result"]

    def _until(self, done, answers=None, seconds=60):
        limit = time.monotonic() + seconds
        while not done():
            if time.monotonic() > limit:
                raise TimeoutError("The browser does not answer.")
            content = bytearray()
            while (byte := self._reader.read(1)) not in (b"\0", b""):
                content += byte
            if not content:
                raise RuntimeError("The browser has ended.")
            message = json.loads(content)
            if "method" in message:
                self._events.append(message)
            elif answers is not None and message.get("id") == self._number:
                answers.append(message)
