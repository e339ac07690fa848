"""Leave-last-out against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clickwise.data.last_out as last_out
from clickwise.data.config import DataConfig
from clickwise.data.encode import prepare
from clickwise.data.last_out import LastRows, places
from clickwise.data.open import open_source
from clickwise.data.split import TEST, TRAIN, VALID
from clickwise.errors import ConfigError
from clickwise.features.schema_data import schema_from_data


def naive(users: list[int], times: list[int], validate: bool) -> list[int]:
    part = [TRAIN] * len(users)
    for user in {user for user in users if user}:
        mine = sorted((at for at in range(len(users)) if users[at] == user), key=lambda at: (times[at], at))
        if len(mine) >= 3:
            part[mine[-1]] = TEST
            if validate:
                part[mine[-2]] = VALID
    return part


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=60),
    chunk=st.integers(1, 9),
    fold_at=st.integers(0, 12),
    validate=st.booleans(),
)
def test_parts_are_those_of_the_loops(rows, chunk, fold_at, validate) -> None:
    users, times = [user for user, _ in rows], [time for _, time in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(last_out, "_FOLD_AT", fold_at)
        last = LastRows()
        for start in range(0, len(rows), chunk):
            part = slice(start, start + chunk)
            number = np.arange(len(rows))[part]
            last.update(np.array(users[part], np.uint64), np.array(times[part], np.int64), places(3, number))
        split = last.split("user", "time", validate=validate)
    found = split.parts(None, 3, np.arange(len(rows)))
    assert found.tolist() == naive(users, times, validate)
    assert not split.parts(None, 2, np.arange(len(rows))).any()  # another file


ROWS = {"user": [*"aaabbcccc", None], "item": list("pqrpqpqrsp"), "when": [3, 2, 1, 1, 2, 1, 2, 3, 4, 5]}


@pytest.mark.parametrize(("time", "test_items"), [("when", {"p", "s"}), (None, {"r", "s"})])
def test_encoded_parts_and_words(time: str | None, test_items: set[str], tmp_path) -> None:
    features = {"item": {"transform": "vocabulary", "min_count": 1}}
    schema = schema_from_data({"label": "", "group": "user", "time": time or "", "features": features}, "schema")
    config = DataConfig(split="leave_last_out", cache_dir=str(tmp_path))
    prepared = prepare(open_source(ROWS), schema, config)
    assert prepared.valid is not None and prepared.test is not None
    assert (len(prepared.train), len(prepared.valid), len(prepared.test)) == (6, 2, 2)
    tokens = prepared.pipeline.ids(next(open_source(ROWS).blocks()).data)["item"][:, 0]
    ids = dict(zip(ROWS["item"], tokens.tolist(), strict=True))
    found = {int(row) - 1 for batch in prepared.test.batches(10, None) for row in batch.sparse[:, 0]}
    assert found == {ids[item] for item in test_items}
    assert f"the last row of each user by {'time (when)' if time else 'place'} for test (2)" in prepared.summary.split


def test_what_a_split_needs_is_said(tmp_path) -> None:
    features = {"item": {"transform": "vocabulary", "min_count": 1}}
    schema = schema_from_data({"label": "", "features": features}, "schema")
    with pytest.raises(ConfigError, match="leave_last_out needs to know the users"):
        prepare(open_source(ROWS), schema, DataConfig(split="leave_last_out", cache_dir=str(tmp_path)))
    with pytest.raises(ConfigError, match=r"data\.split: got 'time'"):
        prepare(open_source(ROWS), schema, DataConfig(split="time", cache_dir=str(tmp_path)))
