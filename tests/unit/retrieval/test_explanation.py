from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from clickwise.errors import DataError
from clickwise.retrieval.explanation import explain


@pytest.fixture
def recommender(world):
    """Of 60 candidates, one of an advertiser; the category of the first ad is not wanted."""
    where = (f"ad_category!={unwanted(world)}",)
    return world.recommender(candidates=60, constants={"position": 1}, caps={"advertiser_id": 1}, where=where)


def unwanted(world) -> str:
    return world.catalogue.column("ad_category")[0].as_py()


def test_an_item_of_the_list_has_the_places_that_the_list_says(world, recommender) -> None:
    request = world.requests.slice(4, 1)
    for one in recommender.recommend(request, 6)[0]:
        said = explain(recommender, request, one.item, 6)
        assert said.place == one.place
        assert said.steps[0].startswith(f"retrieval: number {one.retrieved} of 60, score {one.score:.4f}")
        assert f"probability {one.probability:.5f}" in said.steps[1]
        assert f"{one.item} is number {one.place}" in str(said)


def test_an_item_that_is_not_in_the_list_is_told_what_kept_it_out(world, recommender) -> None:
    request = world.requests.slice(4, 1)
    ranked = recommender.recommend(request, 60)[0]
    by_id = {row["ad_id"]: row for row in world.catalogue.to_pylist()}
    ruled, rule = world.catalogue.column("ad_id")[0].as_py(), recommender.config.where[0]
    assert explain(recommender, request, ruled, 3).steps == (f"left out: {rule} does not hold",)
    last = ranked[-1].item
    assert explain(recommender, request, last, 3).steps[-1] == "the list ends at number 3"
    stages = recommender.stages(recommender.batch(request), 3)
    capped = recommender.items.ids_of(stages.found.rows[0, stages.capped[0]])[0]
    assert explain(recommender, request, capped, 3).steps[-1].startswith("cap: left out by advertiser_id = 'adv")
    far = next(
        i for i, row in by_id.items() if row["ad_category"] != unwanted(world) and i not in ids(recommender, stages)
    )
    assert explain(recommender, request, far, 3).steps[0].startswith("not retrieved: score ")
    first = ranked[0].item
    assert explain(recommender, request, first, 3, exclude=[first]).steps == (
        "left out: it is among the items to exclude",
    )
    assert explain(recommender, request, first, 3, allow=[last]).steps == (
        "left out: it is not among the items to allow",
    )
    assert all(explain(recommender, request, item, 3).place is None for item in (ruled, last, capped, far))


def ids(recommender, stages) -> set[str]:
    return set(recommender.items.ids_of(stages.found.rows[0]))


def test_diversity_says_where_it_moved_an_item(world) -> None:
    recommender = world.recommender(candidates=60, constants={"position": 1}, diversity=0.6)
    request = world.requests.slice(1, 1)
    steps = [explain(recommender, request, one.item, 10).steps[-1] for one in recommender.recommend(request, 10)[0]]
    assert any(step.startswith("diversity: from number ") for step in steps)


@pytest.mark.parametrize("ranked", [True, False])
def test_effects_are_what_emptying_a_column_changes(world, ranked: bool) -> None:
    recommender = world.recommender(ranked, candidates=60, constants={"position": 1})
    request, item = world.requests.slice(4, 1), "a3"
    said = explain(recommender, request, item, 5)
    row = world.catalogue.to_pylist()[world.catalogue.column("ad_id").to_pylist().index(item)]
    whole = {**request.to_pylist()[0], **row, "position": 1}
    columns = (
        recommender.ranker.bundle.schema.columns()
        if ranked
        else (*recommender.towers.query.columns, *recommender.towers.item.columns)
    )
    assert {effect.column for effect in said.effects} == set(columns)
    for effect in said.effects:
        one, other = value(recommender, whole), value(recommender, {**whole, effect.column: None})
        assert effect.change == pytest.approx(one - other, abs=1e-4)
        assert effect.value == whole[effect.column]
    changes = [abs(effect.change) for effect in said.effects]
    assert changes == sorted(changes, reverse=True) and changes[0] > 0.0


def value(recommender, whole: dict) -> float:
    """The logit of a row by the ranking bundle, or its score by the towers."""
    schema = {"position": pa.int8(), "user_age": pa.float32(), "interests": pa.list_(pa.string())}
    table = pa.table(
        {
            k: pa.array([v], schema.get(k, pa.string()))
            for k, v in whole.items()
            if k in schema or isinstance(v, str | None)
        }
    )
    if recommender.ranker:
        return float(recommender.ranker.bundle.logits(table)[0])
    batch = table.to_batches()[0]
    return float(np.sum(recommender.towers.queries(batch) * recommender.towers.items(batch)))


def test_one_request_and_a_known_item(world, recommender) -> None:
    with pytest.raises(DataError, match="value 'nobody': there is no such item"):
        explain(recommender, world.requests.slice(0, 1), "nobody")
    with pytest.raises(DataError, match="2 requests"):
        explain(recommender, world.requests.slice(0, 2), "a3")
