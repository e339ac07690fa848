"""The training rate of two towers: the log follows its law, recall is what it says, and the systems run."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def rate(script: Callable[[str], Any]) -> Any:
    return script("retrieval_rate")


def test_pairs_follow_the_law(rate: Any) -> None:
    import two_tower_log as log

    rng = np.random.default_rng(3)
    weight, catalogue = log.draw_items(5_000, rng)
    liked = np.zeros((log.INTERESTS, log.CATEGORIES), bool)
    liked[:, [4, 7, 8, 900, 901]] = True
    liked[1] = np.roll(liked[0], 300)
    interest = np.repeat([0, 1], 100_000)
    item = log.draw_pairs(interest, catalogue[:, 1], weight, liked, rng)
    for of in (0, 1):
        p = log.probabilities(of, catalogue[:, 1], weight, liked)
        assert p.sum() == pytest.approx(1.0)
        count = np.bincount(item[interest == of], minlength=len(p))
        common = p * 100_000 > 50
        assert common.sum() > 20
        assert (((count - p * 100_000) ** 2 / (p * 100_000))[common]).mean() == pytest.approx(1.0, abs=0.6)
        share = p[liked[of][catalogue[:, 1]]].sum()
        assert share > log.TASTE
        assert count[liked[of][catalogue[:, 1]]].sum() == pytest.approx(share * 100_000, rel=0.01)


def test_reachable_is_the_share_of_the_pairs_in_the_best(rate: Any, tmp_path: Path) -> None:
    import two_tower_log as log

    folder = log.write_arrays(tmp_path, users=50, items=20_000, rows=10, test_rows=400)
    ids, weight, liked = (np.load(folder / f"{name}.npy") for name in ("test_ids", "weight", "liked"))
    category = np.load(folder / "catalogue.npy")[:, 1]
    best, popular = [], []
    for row in ids:
        p = log.probabilities(int(row[1]), category, weight, liked)
        best.append((p > p[row[4]]).sum() < 30)
        popular.append((weight > weight[row[4]]).sum() < 30)
    found = log.reachable(folder, 30)
    assert found == {"the law": pytest.approx(np.mean(best)), "the most popular": pytest.approx(np.mean(popular))}
    assert found["the law"] > 2 * found["the most popular"] > 0.0


def test_recall_counts_items_among_the_best_and_ties_against(
    rate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "K", 2)
    monkeypatch.setattr(rate, "QUERIES_AT_ONCE", 2)
    test = np.zeros((3, 8), np.int32)
    test[:, 4] = [0, 1, 2]
    np.save(tmp_path / "test_ids.npy", test)
    sizes = {"embedding_dim": 1, "hidden_dims": [1], "num_cross_layers": 0, "batch_size": 1, "threads": 1, "seed": 1}
    task = rate.Task(data=str(tmp_path), model="two_tower", rule="", precision="fp32", scratch="", **sizes)
    items = np.array([[5.0, 1.0], [4.0, 1.0], [3.0, 1.0], [2.0, 1.0]], np.float32)
    queries = np.tile(np.array([[1.0, 0.0]], np.float32), (3, 1))
    assert rate.recall_of(task, np.concatenate([queries, items])) == {"recall": pytest.approx(2 / 3)}
    assert rate.recall_of(task, np.concatenate([-queries, items])) == {"recall": pytest.approx(1 / 3)}
    equal = np.tile(np.array([[0.0, 1.0]], np.float32), (3, 1))
    assert rate.recall_of(task, np.concatenate([equal, items])) == {"recall": 0.0}


@pytest.mark.slow
def test_towers_take_turns(rate: Any, tmp_path: Path) -> None:
    systems = [("clickwise", "", "fp32"), ("torch_sparse", "", "fp32"), ("torch_rechub", "", "fp32")]
    options = Namespace(batch_size=512, users=500, data=tmp_path, seed=1, threads=1, systems=systems)
    rhythm = rate.Rhythm(turns=2, steps=20, seconds=600.0, warm=1)
    entries = rate.entries_for(options, 20_000, rhythm)
    outcomes = rate.race(entries, rhythm, tmp_path, lambda text: None, rate.recall_of)
    assert [outcome.error for outcome in outcomes] == ["", "", "not installed: make peers"]
    for outcome in outcomes[:2]:
        assert len(outcome.rates) == 2 and outcome.steps == 3 + 2 * (1 + 20)
        assert outcome.log_loss is None and outcome.peak_bytes > 1e7
        assert outcome.recall > 0.05  # 100 of 20,000 at random: 0.005
    assert "20,000" in rate.outcome_table(outcomes)
