"""`/v1/recommend` over a stand-in, and over a real recommender as `clickwise serve` opens it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import clickwise as cw
from asgi_client import ask
from clickwise import pipeline
from clickwise.data.simulator import catalogue, catalogue_config, requests, simulate
from clickwise.errors import DataError
from clickwise.serving.app.app import App


class Lists:
    """Answers with what it was asked."""

    name = "abc"

    def lists(self, user: Mapping[str, Any], k: int, **told: Any) -> list[dict[str, Any]]:
        if "bad" in user:
            raise DataError("cannot be read", column="bad")
        return [{"item": f"a{place}", **told} for place in range(k)]

    def why(self, user: Mapping[str, Any], item: str, k: int, **told: Any) -> dict[str, Any]:
        return {"item": item, "k": k}


def test_lists_are_asked_for(make_app: Callable[..., App]) -> None:
    app = make_app(recommender=Lists())
    body = {"user": {"age": 3}, "k": 2, "where": ["price<5"], "exclude": ["x"], "explain": ["a1"]}
    answer = ask(app, "POST", "/v1/recommend", body)
    assert answer.status == 200 and answer.headers["clickwise-recommender"] == "abc"
    told = {"where": ["price<5"], "allow": None, "exclude": ["x"]}
    assert answer.json == {
        "recommender": "abc",
        "items": [{"item": "a0", **told}, {"item": "a1", **told}],
        "explanations": [{"item": "a1", "k": 2}],
    }
    assert len(ask(app, "POST", "/v1/recommend", {"user": {}}).json["items"]) == 10


def test_without_a_recommender(app: App) -> None:
    answer = ask(app, "POST", "/v1/recommend", {"user": {}})
    assert answer.status == 404 and "--recommender" in answer.json["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"user": {"bad": 1}}, "column 'bad': cannot be read"),
        ({"user": {}, "k": 0}, "allowed are k from 1 to 2,000"),
        ({"user": {}, "k": 10**9}, "allowed are k from 1"),
        ({"user": {}, "explain": ["a"] * 11}, "10 ids to explain"),
        ({"user": []}, "Expected `object`"),
        ({"user": {}, "kk": 3}, "unknown field `kk`"),
        (b'{"user": {"a": ' + b"[" * 100_000, "is no request for a list"),
    ],
)
def test_what_is_wrong_is_said(make_app: Callable[..., App], body: Any, message: str) -> None:
    answer = ask(make_app(recommender=Lists()), "POST", "/v1/recommend", body)
    assert answer.status == 400 and message in answer.json["error"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recommender of 60 ads with a ranking model."""
    out = tmp_path_factory.mktemp("recommender")
    config = catalogue_config(60, rows=1_500, click_rate=0.2, seed=5)
    log, ads = pa.Table.from_batches(list(simulate(config))), pa.Table.from_batches(list(catalogue(config)))
    ids = {name: {"transform": "vocabulary"} for name in ("user_segment", "interests", "os", "ad_id", "ad_category")}
    schema = {"item": "ad_id", "item_features": ["ad_id", "ad_category"], "features": ids}
    told = ["training.epochs=1", "training.threads=1", "model.embedding_dim=4"]
    towers = cw.train(log, label="click", model="two_tower", schema=schema, settings=told)
    ranker = out / "ranker"
    cw.train(log, label="click", model="fm", schema={"features": ids}, settings=told, out=ranker)
    pipeline.build_recommender(towers, ads, out / "made", ranker=ranker, settings=['index.kind="exact"'])
    return out / "made"


@pytest.mark.slow
def test_a_real_recommender(make_app: Callable[..., App], folder: Path) -> None:
    app = make_app(recommender=pipeline.open_lists(folder))
    rows = pa.Table.from_batches(list(requests(catalogue_config(60, rows=3, click_rate=0.2, seed=5)))).to_pylist()
    user = {name: rows[0][name] for name in ("user_segment", "interests", "os")}
    expected = pipeline.load_recommender(folder).recommend([user], 5)[0]
    answer = ask(app, "POST", "/v1/recommend", {"user": user, "k": 5, "explain": [expected[2].item]})
    assert answer.status == 200, answer.body
    items = answer.json["items"]
    assert [one["item"] for one in items] == [one.item for one in expected]
    np.testing.assert_allclose([one["probability"] for one in items], [one.probability for one in expected], atol=1e-7)
    (reason,) = answer.json["explanations"]
    assert reason["place"] == 3 and {effect["column"] for effect in reason["effects"]} >= {"os", "ad_category"}
    without = ask(app, "POST", "/v1/recommend", {"user": user, "k": 5, "exclude": [expected[0].item]}).json["items"]
    assert [one["item"] for one in without][:4] == [one.item for one in expected][1:]
    nobody = ask(app, "POST", "/v1/recommend", {"user": {}, "k": 3})
    assert nobody.status == 200 and len(nobody.json["items"]) == 3, "what is not known of the user is missing"
    bad: Sequence[Any] = (
        {"user": {"interests": {"a": 1}}},
        {"user": {"os": [[1]]}},
        {"user": {"os": 1e400}},
        {"user": user, "where": ["nonsense"]},
        {"user": user, "where": ["ad_category<"]},
        {"user": user, "allow": ["\ud800"]},
        {"user": user, "explain": ["no such ad"]},
    )
    for body in bad:
        raw = json.dumps(body).encode()
        found = ask(app, "POST", "/v1/recommend", raw)
        assert found.status in (200, 400), (body, found.body)
