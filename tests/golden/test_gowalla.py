"""The public check-ins of Gowalla, read and measured: the popularity baseline against plain loops over the files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from clickwise.data.config import DataConfig
from clickwise.data.open import open_source
from clickwise.data.quarantine import QuarantineFile
from clickwise.data.sieve import Sieve
from clickwise.evaluation.retrieval import measure_search
from clickwise.pipeline.held_out_rows import HeldOutReader, Numbering
from clickwise.progress import Progress
from clickwise.retrieval.exact_search import most_popular
from clickwise.schema import Schema

pytestmark = pytest.mark.slow
K = 20


def lists_of(file: Path) -> dict[str, list[str]]:
    lines = (line.split() for line in file.read_text().splitlines())
    return {words[0]: words[1:] for words in lines if len(words) > 1}


def by_loops(train: dict[str, list[str]], test: dict[str, list[str]]) -> tuple[float, float]:
    """Recall and NDCG at 20, among equally popular items those that come first in the file."""
    times: dict[str, int] = {}
    for items in train.values():
        for item in items:
            times[item] = times.get(item, 0) + 1
    order = sorted(times, key=lambda item: -times[item])
    recall = ndcg = 0.0
    for user, items in test.items():
        seen, wanted = set(train[user]), set(items)
        found: list[str] = []
        for item in order:
            if item not in seen:
                found.append(item)
                if len(found) == K:
                    break
        gains = [1 / math.log2(place + 2) for place, item in enumerate(found) if item in wanted]
        recall += len(gains) / len(wanted)
        ndcg += sum(gains) / sum(1 / math.log2(place + 2) for place in range(min(K, len(wanted))))
    return recall / len(test), ndcg / len(test)


def test_popularity_on_gowalla(shared_data: Path) -> None:
    folder = shared_data / "gowalla_m1"
    if not folder.is_dir():
        pytest.skip("needs the lists of gowalla_m1, which are not part of the project")
    train, test = (open_source(folder / f"{name}.txt", DataConfig(format="item_lists")) for name in ("train", "test"))
    reader = HeldOutReader(
        Schema(label="", item="item"),
        ["user"],
        Numbering(),
        grouped=False,
        check=len,
        take=lambda sieve, block: np.arange(len(block)),
    )
    sieve = Sieve(QuarantineFile())
    reader.find(test, sieve, Progress())
    reader.leave_out(train, [], sieve, Progress())
    found = reader.finish()
    held_out = found.held_out
    assert (len(held_out), held_out.num_items, int(held_out.num_relevant.sum())) == (29_858, 40_981, 217_242)
    assert int(held_out.excluded.counts.sum()) == int(found.popularity.sum()) == 810_128
    figures = measure_search(most_popular(found.popularity, held_out.excluded), held_out, ks=(K,)).figures()
    expected = by_loops(*(lists_of(folder / f"{name}.txt") for name in ("train", "test")))
    assert (figures["recall_at_20"].value, figures["ndcg_at_20"].value) == pytest.approx(expected, rel=1e-6)
    assert [round(value, 4) for value in expected] == [0.0416, 0.0317]
