"""What the server says of itself is true: schemathesis asks all that `/openapi.json` describes, in process."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis import Case, checks

from asgi_client import ask
from clickwise.config import build
from clickwise.serving.app.app import App
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.app.log import Log
from clickwise.serving.live import Live
from clickwise.serving.one_version import OneVersion
from clickwise.serving.store import Store
from serving_stand_ins import StandIn, version_folder

KEY = "Bearer k"
CASES = int(os.environ.get("CLICKWISE_CASES", "30"))  # of each route
ALL = list(HealthCheck)
MODEL = "/v2/models/clickwise"
PAGE = ("/", "/console.css", "/console.js")
ASKED = (*PAGE, "/v1/example", "/v1/models", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v2")
ROUTES = [
    *(f"post /v1/{path}" for path in ("score", "explain", "recommend", "models/live", "models/rollback")),
    *(f"get {path}" for path in (*ASKED, "/v2/health/live", "/v2/health/ready", MODEL, f"{MODEL}/ready")),
    f"post {MODEL}/infer",
]


class NoLists:
    name = "none"

    def lists(self, user: Any, k: int, **told: Any) -> list[dict[str, Any]]:
        return []

    def why(self, user: Any, item: str, k: int, **told: Any) -> dict[str, Any]:
        return {}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    live = Live(OneVersion(version_folder(tmp_path_factory.mktemp("v") / "v")), StandIn.open)  # type: ignore[arg-type]
    live.refresh()
    config = build(ServerConfig, {"api_key": "k"})
    app = App(live, config, log=Log(1.0, io.StringIO()), recommender=NoLists())
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("route", ROUTES)
def test_it_does_as_it_says(schema: Any, route: str) -> None:
    """No 5xx, and every answer is one that was described."""
    method, path = route.split()
    operation = schema[path][method]
    described = [
        checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(max_examples=CASES, derandomize=True, deadline=None, database=None, suppress_health_check=ALL)
    def asked(case: Case) -> None:
        case.call_and_validate(headers={"Authorization": KEY}, checks=described)

    asked()


def test_the_columns_of_the_live_version_are_in_it(app: App, make_app: Callable[..., App], store: Store) -> None:
    told = ask(app, "GET", "/openapi.json").json
    row = told["components"]["schemas"]["ScoreRequest"]["properties"]["user"]["properties"]
    assert list(row) == ["user", "item", "price", "tags"] and "number" in row["price"]["type"]
    assert {f"{method} {path}" for path, methods in told["paths"].items() for method in methods} == set(ROUTES)
    known = {path for path in told["paths"] if not path.startswith("/v2/models/")}
    assert known == set(app.routes), "no route is kept secret"
    (store.folder / "live.json").unlink()
    empty = ask(make_app(), "GET", "/openapi.json").json["components"]["schemas"]["ScoreRequest"]
    assert empty["properties"]["user"]["properties"] == {}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag not in {"script", "link", "img", "iframe"}, "nothing is fetched, nothing runs"
        self.found += [value for name, value in attrs if name in {"href", "src"}]


def test_the_page_shows_all_of_it_and_needs_nothing(app: App) -> None:
    answer = ask(app, "GET", "/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text, links = answer.body.decode(), _Links()
    links.feed(text)
    assert links.found == ["openapi.json"]
    told = ask(app, "GET", "/openapi.json").json
    for path in told["paths"]:
        assert path in text
    for name in told["components"]["schemas"]:
        assert f'id="{name}"' in text
    assert json.dumps("price") in text.replace("&quot;", '"')


def test_a_name_of_a_column_is_text(tmp_path: Path) -> None:
    live = Live(OneVersion(version_folder(tmp_path / "v", columns=["<script>alert(1)</script>"])), StandIn.open)  # type: ignore[arg-type]
    live.refresh()
    app = App(live, ServerConfig(), log=Log(0.0, io.StringIO()))
    assert "<script>" not in ask(app, "GET", "/docs").body.decode()
