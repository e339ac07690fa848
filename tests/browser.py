"""A real Chromium, driven over the WebDriver protocol (https://www.w3.org/TR/webdriver2) by the standard library."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_ARGUMENTS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
_ARGUMENTS += ["--force-prefers-reduced-motion"]  # a click waits for no smooth scrolling
_PATIENCE_S = 60.0


def missing() -> str:
    """What a test with a browser lacks here; empty: nothing."""
    names = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"needs {' and '.join(names)} (Debian: chromium chromium-driver)" if names else ""


class Browser:
    """One window. Elements are named by CSS selectors."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, address: str) -> None:
        self._post("url", {"url": address})

    def run(self, script: str, *given: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self._post("execute/sync", {"script": script, "args": list(given)})

    def click(self, selector: str) -> None:
        """As a person does: fails where something else is in front of it."""
        element = self._post("element", {"using": "css selector", "value": selector})[_ELEMENT]
        self._post(f"element/{element}/click", {})

    def type(self, selector: str, text: str) -> None:
        element = self._post("element", {"using": "css selector", "value": selector})[_ELEMENT]
        self._post(f"element/{element}/value", {"text": text})

    def text(self, selector: str) -> str:
        """What a person reads there; empty where nothing is."""
        return str(self.run("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector))

    def wait(self, selector: str, words: str) -> str:
        """The text there, once it has `words`."""
        until = time.monotonic() + _PATIENCE_S
        while words not in (found := self.text(selector)):
            assert time.monotonic() < until, f"{selector} never said {words!r}; it says {found!r}"
            time.sleep(0.1)
        return found

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)

    def dark(self, dark: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def screenshot(self, path: Path) -> None:
        """All of the page."""
        shot = self._devtools("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self) -> list[str]:
        """What the console of the browser says is wrong, since it was last asked."""
        found = self._post("se/log", {"type": "browser"})
        return [entry["message"] for entry in found if entry["level"] in ("SEVERE", "WARNING")]

    def _devtools(self, command: str, told: dict[str, Any]) -> Any:
        return self._post("goog/cdp/execute", {"cmd": command, "params": told})

    def _post(self, path: str, told: dict[str, Any]) -> Any:
        return _send(f"{self._session}/{path}", told)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser of its own, and its driver, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    options = {"goog:chromeOptions": {"args": _ARGUMENTS}, "goog:loggingPrefs": {"browser": "ALL"}}
    try:
        _wait(f"{address}/status")
        found = _send(f"{address}/session", {"capabilities": {"alwaysMatch": {"browserName": "chrome", **options}}})
        session = f"{address}/session/{found['sessionId']}"
        try:
            yield Browser(session)
        finally:
            _send(session, None, "DELETE")
    finally:
        driver.terminate()
        driver.wait()


def _wait(address: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if _send(address, None, "GET")["ready"]:
                return
        except OSError:
            assert time.monotonic() < until, "chromedriver does not start"
        time.sleep(0.1)


def _send(address: str, told: dict[str, Any] | None, method: str = "POST") -> Any:
    raw = None if told is None else json.dumps(told).encode()
    request = urllib.request.Request(address, raw, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(json.load(error)["value"]["message"]) from None
