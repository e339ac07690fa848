from __future__ import annotations

import numpy as np
import pyarrow as pa

from clickwise.features.token_counts import TokenCounts
from clickwise.features.tokens import to_tokens


def _counted(counts: TokenCounts) -> dict[str, tuple[int, int]]:
    rows = counts.table().to_pylist()
    assert len({r["token"] for r in rows}) == len(rows)
    return {r["token"]: (r["count"], r["error"]) for r in rows}


def test_counts_are_exact_below_the_bound() -> None:
    draws = np.random.default_rng(0).zipf(1.3, 20_000) % 5000
    counts = TokenCounts()
    for chunk in np.array_split(draws, 13):
        counts.add(to_tokens(pa.array(chunk)))
    counts.add(to_tokens(pa.array(["", None, "new"])))
    wanted = {str(v): (int(c), 0) for v, c in zip(*np.unique(draws, return_counts=True), strict=True)}
    assert _counted(counts) == wanted | {"new": (1, 0)}
    assert counts.floor == 0


def test_words_of_the_dictionary_that_no_row_has_are_not_counted() -> None:
    counts = TokenCounts()
    counts.add(pa.array(["a", "b", "c", "a"]).dictionary_encode()[3:])
    assert _counted(counts) == {"a": (1, 0)}


def test_compaction_changes_nothing(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("clickwise.features.token_counts._PENDING_ROWS", 3)
    counts = TokenCounts()
    for chunk in (["a", "b"], ["a", "c", "c"], ["d", "a"], ["e"]):
        counts.add(to_tokens(pa.array(chunk)))
    assert _counted(counts) == {"a": (3, 0), "b": (1, 0), "c": (2, 0), "d": (1, 0), "e": (1, 0)}


def test_above_the_bound_every_count_is_right_within_its_error(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("clickwise.features.token_counts._PENDING_ROWS", 200)
    draws = np.random.default_rng(1).zipf(1.2, 30_000) % 20_000
    true = {str(v): int(c) for v, c in zip(*np.unique(draws, return_counts=True), strict=True)}
    counts = TokenCounts(max_distinct=1000)
    for chunk in np.array_split(draws, 100):
        counts.add(to_tokens(pa.array(chunk)))
        assert counts.table().num_rows <= 1000
    found = _counted(counts)
    assert 0 < counts.floor < 300
    for token, (count, error) in found.items():
        assert count <= true[token] <= count + error
    assert all(token in found for token, count in true.items() if count > counts.floor)
    assert any(error for _, error in found.values())
