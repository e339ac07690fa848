"""Reasons against the plain way: score again without the column. And the example that a server offers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from clickwise.serving.engine import Engine
from clickwise.serving.engine.example import example_of

ROWS = 1_000


def test_a_reason_is_what_the_column_adds(served: Any) -> None:
    engine = Engine.open(served.version)
    request: dict[str, Any] = dict(engine.example)
    names = [*request["user"], *request["candidates"][0]]
    assert len(request["candidates"]) > 1 and len(names) > 5
    found = engine.explain_json(json.dumps(request).encode(), max_candidates=10, max_rows=ROWS)
    assert sorted(found.columns) == sorted(names)
    logits = score(engine, request)
    assert found.scores.logits.tolist() == logits.tolist()
    assert found.best.tolist() == np.argsort(-logits, kind="stable").tolist()
    for place, name in enumerate(found.columns):
        less = {
            "user": {key: cell for key, cell in request["user"].items() if key != name},
            "candidates": [{key: c for key, c in row.items() if key != name} for row in request["candidates"]],
        }
        np.testing.assert_allclose(found.effects[:, place], (logits - score(engine, less))[found.best], atol=2e-6)
    assert np.abs(found.effects).max() > 1e-3


def test_the_cost_is_bounded(served: Any) -> None:
    engine = Engine.open(served.version)
    body = json.dumps(dict(engine.example)).encode()
    columns = len(engine.explain_json(body, max_candidates=10, max_rows=ROWS).columns)
    found = engine.explain_json(body, max_candidates=10, max_rows=2 * columns + 1)
    assert found.effects.shape == (2, columns) and len(found.scores.logits) == 6
    assert found.scores.logits[found.best].min() >= np.sort(found.scores.logits)[-2]
    assert len(engine.explain_json(body, max_candidates=10, max_rows=1).best) == 1


def test_no_candidates_have_no_reasons(served: Any) -> None:
    found = Engine.open(served.version).explain_json(b'{"candidates": []}', max_candidates=1, max_rows=ROWS)
    assert len(found.scores.logits) == len(found.best) == len(found.effects) == 0


def score(engine: Engine, request: Any) -> np.ndarray:
    return engine.score_json(json.dumps(request).encode(), max_candidates=100).logits


GOLDEN = [
    {"user": {"u": "unseen 3", "ad_id": None}, "candidates": [{"tags": ["a", "unseen 1"], "age": 900.0}]},
    {"user": {"u": "ann", "ad_id": "a1"}, "candidates": [{"tags": [], "age": 30}, {"tags": ["b"], "age": -5.0}]},
    {"user": None, "candidates": [{"u": "bob", "ad_id": "a2"}]},
]


@pytest.mark.parametrize(
    ("of_items", "user", "first", "second"),
    [
        ((), {"u": "ann", "tags": ["a"], "age": 30}, {"ad_id": "a1"}, {"ad_id": "a2"}),
        (("tags",), {"u": "ann", "ad_id": "a1", "age": 30}, {"tags": ["a"]}, {"tags": ["b"]}),
    ],
)
def test_the_example_has_cells_that_training_saw(of_items: Any, user: Any, first: Any, second: Any) -> None:
    made = example_of(GOLDEN, ["u", "ad_id", "tags", "age"], of_items)
    assert made["user"] == user and made["candidates"][:3] == [first, second, first] and len(made["candidates"]) == 6


def test_without_a_hint_all_columns_are_the_candidates() -> None:
    made = example_of(GOLDEN, ["u", "tags"], ())
    assert made["user"] == {} and made["candidates"][1] == {"u": "bob", "tags": ["b"]}
