"""The page at `/`: its headers and files; and its main paths in a real Chromium, over versions that are stand-ins."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import browser as browsers
from asgi_client import ask
from browser import Browser, browser
from clickwise.config import build
from clickwise.serving.app.app import App
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.app.explaining import MAX_ROWS
from clickwise.serving.app.log import Log
from clickwise.serving.live import Live
from clickwise.serving.store import Store
from serving_stand_ins import StandIn, version_folder

KEY = "a-key"
FILES = {"/": "text/html", "/console.css": "text/css", "/console.js": "text/javascript"}
BODY = {"user": {"user": "u"}, "candidates": [{"price": 0.5}, {"price": 2.0}, {"price": -1.0}]}
EVIL = '<img src=x onerror="window.hacked=1">'
CARD = {
    "created": "2026-01-02T03:04:05+00:00",
    "metrics": {"test": {"log_loss": 0.125, "roc_auc": 0.75}},
    "measured": {
        "test": {
            "rows": 1000,
            "positives": 30,
            "stderr": {"log_loss": 0.001},
            "reliability": [{"mean_prob": p, "mean_label": p + 0.01, "weight": 500.0} for p in (0.02, 0.05)],
        }
    },
    "data": {"source": EVIL},
}


@pytest.mark.parametrize(("path", "kind"), FILES.items())
def test_its_files_are_open_and_strict(make_app: Any, path: str, kind: str) -> None:
    answer = ask(make_app(api_key=KEY), "GET", path)
    assert answer.status == 200 and answer.headers["content-type"] == f"{kind}; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(app: App) -> None:
    page, style, script = (ask(app, "GET", path).body.decode() for path in FILES)
    assert re.findall(r'(?:src|href)="([^"#]+)"', page)[1:] == ["console.css", "console.js", "docs", "metrics"]
    assert not re.search(r"\son\w+=|style=|<style|<script[^>]*>[^<]", page)
    assert not re.search(r"url\(|@import", style)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "cookie"):
        assert word not in script
    assert "http" not in script.replace("http://www.w3.org/2000/svg", "")


def test_an_example_and_reasons(make_app: Any) -> None:
    app = make_app(api_key=KEY)
    told = {"authorization": f"Bearer {KEY}"}
    assert ask(app, "GET", "/v1/example").status == ask(app, "POST", "/v1/explain", BODY).status == 401
    example = ask(app, "GET", "/v1/example", headers=told)
    assert example.headers["clickwise-version"] == "1" and len(example.json["candidates"]) == 3
    assert ask(app, "POST", "/v1/score", example.json, headers=told).status == 200
    found = ask(app, "POST", "/v1/explain", BODY, headers=told).json
    assert found["probabilities"] == ask(app, "POST", "/v1/score", BODY, headers=told).json["probabilities"]
    assert found["reasons"] == [
        {"candidate": 2, "logit": 3.0, "effects": {"user": 0.0, "price": 2.0}},
        {"candidate": 1, "logit": 1.5, "effects": {"user": 0.0, "price": 0.5}},
        {"candidate": 3, "logit": 0.0, "effects": {"user": 0.0, "price": -1.0}},
    ]
    assert (found["version"], found["limit"]) == (1, None)


def test_reasons_have_a_limit_and_say_so(app: App) -> None:
    many = {"user": {"user": "u"}, "candidates": [{"price": 0.0}] * MAX_ROWS}
    found = ask(app, "POST", "/v1/explain", many).json
    assert len(found["reasons"]) == MAX_ROWS // 2 and len(found["probabilities"]) == MAX_ROWS
    assert found["limit"] == "the best 500 of 1000 candidates: reasons cost at most 1,000 rows a request"


def test_what_cannot_be_explained_is_refused(make_app: Any, store: Store) -> None:
    app = make_app()
    assert ask(app, "POST", "/v1/explain", {"candidates": 3}).status == 400
    assert ask(app, "POST", "/v1/explain", BODY, headers={"content-type": "text/csv"}).status == 415
    (store.folder / "live.json").unlink()
    assert ask(make_app(), "GET", "/v1/example").status == ask(make_app(), "POST", "/v1/explain", BODY).status == 503


@pytest.fixture
def live(tmp_path: Path) -> Live:
    """Two versions with a column that wants to be markup; 2 is live, 1 was before."""
    store = Store(tmp_path / "store")
    example = {"user": {"user": EVIL}, "candidates": [{"item": f"i{n}", "price": n, EVIL: EVIL} for n in range(3)]}
    for number in (1, 2):
        folder = version_folder(tmp_path / f"v{number}", -3.0, columns=[EVIL], card=CARD, example=example)
        (folder / "more").write_text(str(number))
        store.lead(store.add(folder))
    live = Live(store, StandIn.open)
    live.refresh()
    return live


@pytest.fixture
def address(live: Live) -> Iterator[str]:
    """A server of them."""
    app = App(live, build(ServerConfig, {"api_key": KEY}), log=Log(0.0, io.StringIO()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(app))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def _handler(app: App) -> type[BaseHTTPRequestHandler]:
    """Hands requests to the app, one at a time."""
    one = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with one:
                answer = ask(
                    app, self.command, self.path, body, headers={k.lower(): v for k, v in self.headers.items()}
                )
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    return Handler


@pytest.fixture
def page(address: str) -> Iterator[Browser]:
    if browsers.missing():
        pytest.skip(browsers.missing())
    with browser() as opened:
        opened.size(360, 800)
        opened.open(address)
        yield opened


@pytest.mark.slow
def test_the_main_paths_in_a_browser(page: Browser, live: Live) -> None:
    page.wait("#trouble", "asks for its key")
    page.click("#trouble button")
    page.type("#ask-key", "wrong")
    page.click("#ask-yes")
    page.wait("#ask-wrong", "missing or wrong")
    page.run("document.querySelector('#ask-key').value = ''")
    page.type("#ask-key", KEY)
    page.click("#ask-yes")
    card = page.wait("#card", "version 2")
    assert "stand-in" in card and "0.1250 ± 0.0020" in card and "1,000, 30 clicks" in card and EVIL in card
    assert page.run("return document.querySelectorAll('#card circle').length") == 2

    page.wait("#form", "i2")
    page.click("#rank")
    assert re.findall(r"i\d", page.wait("#answer", "version 2")) == ["i2", "i1", "i0"], "best first"
    page.click("#explain")
    ranked = page.wait("#answer", "Reasons")
    assert "26.9 %" in ranked and "price" in ranked and "+2.00" in ranked and EVIL in ranked
    page.click("#as-json")
    page.run("document.querySelector('#body').value = arguments[0]", json.dumps({"candidates": 3}))
    page.click("#rank")
    page.wait("#answer", "is no request")

    page.click("#list button")
    page.wait("#ask-title", "Make version 1 live")
    page.click("#ask-yes")
    page.wait("#card", "version 1")
    live.store.try_out(2, 0.3)
    live.refresh()
    page.wait("#back", "End the trial")
    page.click("#back")
    page.wait("#ask-what", "version 2 no longer answers 30.0 % of requests; version 1 stays live")
    page.click("#ask-yes")
    page.wait("#back", "Roll back")
    page.click("#back")
    page.click("#ask-yes")
    page.wait("#card", "version 2")
    page.wait("#figures", "Requests")

    assert page.run("return window.hacked") is None and page.run("return document.images.length") == 0
    assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "360 pixels are enough"
    wrong = [line for line in page.complaints() if not re.search("status of (400|401)", line)]
    assert wrong == []


@pytest.mark.slow
def test_every_control_has_a_name_and_can_be_reached(page: Browser) -> None:
    page.click("#key")
    page.type("#ask-key", KEY)
    page.click("#ask-yes")
    page.wait("#form", "i2")
    unnamed = """return [...document.querySelectorAll('button, input, textarea, a, summary')].filter(e =>
        !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length))).length"""
    assert page.run(unnamed) == 0
    assert page.run("return [...document.querySelectorAll('[tabindex]')].every(e => e.tabIndex <= 0)")
    assert page.run("return document.querySelectorAll('h1').length") == 1
    assert page.run("return document.querySelectorAll('main, header, footer, nav[aria-label]').length") == 4
    for dark in (False, True):
        page.dark(dark)
        for ink, ground in (("ink", "paper"), ("muted", "paper"), ("muted", "ground"), ("accent", "paper")):
            assert page.run(CONTRAST, ink, ground) >= 4.5, (ink, ground, dark)
        assert page.run(CONTRAST, "on-accent", "accent") >= 4.5 and page.run(CONTRAST, "good", "good-soft") >= 4.5
        assert page.run(CONTRAST, "bad", "bad-soft") >= 4.5


CONTRAST = """
const light = (name) => {
  const hex = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const part = (at) => linear(parseInt(hex.slice(at, at + 2), 16) / 255);
  return .2126 * part(1) + .7152 * part(3) + .0722 * part(5);
};
const [a, b] = [light(arguments[0]), light(arguments[1])];
return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
"""
