"""Any sequence of updates and searches gives what a dict of vectors gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickwise.retrieval import part, tuning
from clickwise.retrieval.catalogue import Rule
from clickwise.retrieval.index_config import IndexConfig
from clickwise.retrieval.item_index import ItemIndex

K = 3
CONFIGS = {
    "exact": IndexConfig(kind="exact", k=3),
    "faiss": IndexConfig(kind="faiss", k=3),
    "lists": IndexConfig(kind="faiss", k=3, effort=2, options={"exact_up_to": 0, "lists": 2}),
}
"""Their searches look at everything, so that what they find is exact."""

ids = st.sampled_from([f"i{n}" for n in range(9)])
vectors = st.tuples(*[st.integers(-8, 8)] * K)  # whole numbers: half precision holds them exactly
item = st.tuples(vectors, st.sampled_from(["a", "b", None]), st.integers(0, 3))
batch = st.dictionaries(ids, item, max_size=5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), batch),
        st.tuples(st.just("remove"), st.lists(ids, max_size=4)),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("save"), st.none()),
    ),
    max_size=6,
)
rules = st.lists(st.sampled_from(["kind=a", "kind!=a", "price>=2", "price in 0|3", "kind in a|b"]), max_size=2)
search = st.tuples(vectors, st.integers(1, 12), rules, st.none() | st.lists(ids, max_size=6), st.lists(ids, max_size=6))


def table(items: dict[str, Any]) -> tuple[pa.Table, np.ndarray]:
    columns = {
        "item": pa.array(list(items), pa.string()),
        "kind": pa.array([one[1] for one in items.values()], pa.string()),
        "price": pa.array([one[2] for one in items.values()], pa.int64()),
    }
    return pa.table(columns), np.array([one[0] for one in items.values()], np.float32).reshape(len(items), K)


def fulfils(rule: str, one: Any) -> bool:
    return {
        "kind=a": one[1] == "a",
        "kind!=a": one[1] != "a",
        "price>=2": one[2] >= 2,
        "price in 0|3": one[2] in (0, 3),
        "kind in a|b": one[1] in ("a", "b"),
    }[rule]


def check(index: ItemIndex, items: dict[str, Any], asked: Any) -> None:
    query, k, where, allow, exclude = asked
    scores = {
        name: float(np.dot(query, one[0]))
        for name, one in items.items()
        if all(fulfils(rule, one) for rule in where) and (allow is None or name in allow) and name not in exclude
    }
    found = index.search(
        np.array([query], np.float32), k, where=[Rule.parse(rule) for rule in where], allow=allow, exclude=[exclude]
    )
    rows = found.rows[0][found.rows[0] >= 0]
    names = index.ids_of(rows)
    assert len(set(names)) == len(names) == min(k, len(scores))
    best = sorted(scores.values(), reverse=True)[:k]
    assert found.scores[0][: len(names)].tolist() == best
    assert [scores[name] for name in names] == best
    assert index.rows_of(names).tolist() == rows.tolist()
    taken = index.take(rows).to_pylist()
    assert [(one["kind"], one["price"]) for one in taken] == [items[name][1:] for name in names]
    np.testing.assert_array_equal(index.vectors(rows), [items[name][0] for name in names] or np.empty((0, K)))


@pytest.mark.parametrize("kind", CONFIGS)
@settings(max_examples=25, deadline=None)
@given(start=batch, todo=steps, asked=st.lists(search, min_size=1, max_size=3), few=st.sampled_from([0, 2, 5000]))
def test_an_index_is_a_dict_of_vectors(
    kind: str, start: Any, todo: Any, asked: Any, few: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, "_FEW_ROWS", few)
        patch.setattr(tuning, "_TIMED_QUERIES", 1)
        items, index = dict(start), ItemIndex.build(*_named(table(start)), CONFIGS[kind], threads=1)
        for one in asked:
            check(index, items, one)
        for step, what in todo:
            before, was = index, dict(items)
            if step == "upsert":
                index = index.upserted(*table(what))
                items.update(what)
            elif step == "remove":
                index = index.removed(what)
                items = {name: one for name, one in items.items() if name not in what}
            elif step == "compact":
                index = index.compacted(threads=1)
            else:
                folder = tmp_path_factory.mktemp("property") / "index"
                index.save(folder)
                index = ItemIndex.open(folder)
            assert len(index) == len(items)
            assert (index.rows_of([f"i{n}" for n in range(9)]) >= 0).tolist() == [f"i{n}" in items for n in range(9)]
            for one in asked:
                check(index, items, one)
                check(before, was, one)


def _named(items: tuple[pa.Table, np.ndarray]) -> tuple[pa.Table, str, np.ndarray]:
    return items[0], "item", items[1]
