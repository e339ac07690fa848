from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa
import pytest

from clickwise.errors import BundleError, ConfigError
from clickwise.features import Vocabulary, token_counts
from clickwise.features.transform import State


def fitted(*chunks: list[Any], **settings: Any) -> Vocabulary:
    config = Vocabulary.Config(**settings)
    fit = Vocabulary.fit("f", config)
    for chunk in chunks:
        fit.update(Vocabulary.parse(config, pa.array(chunk)))
    return fit.finish()  # type: ignore[return-value]


def ids(vocabulary: Vocabulary, values: list[Any]) -> list[Any]:
    out = vocabulary.ids(Vocabulary.parse(vocabulary.config, pa.array(values)))
    return out[:, 0].tolist() if out.shape[1] == 1 else out.tolist()


def test_reserved_ids() -> None:
    vocabulary = fitted(["a", "b"])
    assert ids(vocabulary, ["b", None, "", "z", "a"]) == [3, 0, 0, 1, 2]
    assert vocabulary.field.num_ids == 4


def test_min_count_and_max_size() -> None:
    data = ["a"] * 3 + ["b"] * 2 + ["c"]
    assert fitted(data, min_count=2).tokens.to_pylist() == ["a", "b"]
    assert fitted(data, min_count=3).tokens.to_pylist() == ["a"]
    assert fitted(data, max_size=2).counts.to_pylist() == [3, 2]
    assert fitted(data, min_count=9).field.num_ids == 2


def test_text_and_numbers_agree() -> None:
    vocabulary = fitted([3.0, None, 4.0])
    assert ids(vocabulary, ["3", "4", "3.0"]) == [2, 3, 1]
    assert ids(vocabulary, [3, 4, 5]) == [2, 3, 1]


def test_lists() -> None:
    vocabulary = fitted([["a", "b"], ["a"]], [["b", None, "a"], None])
    assert vocabulary.field.length == 2
    assert ids(vocabulary, [["b", "a"], [], None, ["z"], ["a", "b", "a"]]) == [
        [3, 2],
        [0, -1],
        [0, -1],
        [1, -1],
        [2, 3],
    ]
    assert ids(vocabulary, ["b", None]) == [[3, -1], [0, -1]]


def test_counts_above_the_bound_record_their_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_counts, "MAX_DISTINCT", 10)
    monkeypatch.setattr(token_counts, "_PENDING_ROWS", 5)
    vocabulary = fitted([f"t{i}" for i in range(30)] + ["t0", "t1"] * 5)
    assert vocabulary.state().values["pruned_floor"] == vocabulary.pruned_floor == 1
    assert vocabulary.tokens.to_pylist() == ["t0", "t1"]


def _broken(state: State) -> dict[str, State]:
    table, values = state.table, state.values
    assert table is not None

    def column(name: str, numbers: list[int]) -> State:
        at = table.schema.get_field_index(name)
        return State(
            values, table.set_column(at, table.schema.field(at), pa.array(numbers, table.schema.field(at).type))
        )

    return {
        "no table": State(values),
        "columns": State(values, table.drop_columns("count")),
        "types": State(values, table.set_column(3, "id", table["id"].cast(pa.int64()))),
        "hash order": column("hash", [2, 1]),
        "equal hashes": column("hash", [1, 1]),
        "id too large": column("id", [2, 4]),
        "id too small": column("id", [1, 3]),
        "pieces": State(values, pa.concat_tables([table, table])),
        "nulls": State(values, table.set_column(3, "id", pa.array([None, 2], pa.int32()))),
        "seed": State(values | {"seed": "0"}, table),
        "floor": State(values | {"pruned_floor": -1}, table),
        "length": State(values | {"length": 0}, table),
        "length of single values": State(values | {"length": 2}, table),
        "multi": State(values | {"multi": 1}, table),
    }


@pytest.mark.parametrize("what", list(_broken(fitted(["a", "b"]).state())))
def test_a_state_that_makes_no_sense_is_refused(what: str) -> None:
    vocabulary = fitted(["a", "b"])
    Vocabulary.from_state("f", vocabulary.config, vocabulary.state())
    with pytest.raises(BundleError):
        Vocabulary.from_state("f", vocabulary.config, _broken(vocabulary.state())[what])


@pytest.mark.parametrize(
    "settings", [{"min_count": 0}, {"max_size": 0}, {"separator": ""}, {"max_length": 0}, {"weights": ""}]
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Vocabulary.Config(**settings)


def test_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Vocabulary.Config().min_count = 3  # type: ignore[misc]
