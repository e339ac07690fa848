"""What is told of a feature by its counts: with few rows served, a difference, or that they are too few; never that it
is alike.
"""

from __future__ import annotations

import numpy as np
import pytest

from clickwise.serving.served.report import FeatureSkew


def of(
    training: list[int],
    served: list[int],
    requests: int,
    missing: tuple[float, float] = (0.0, 0.0),
    unseen: tuple[float, float] | None = None,
) -> FeatureSkew:
    counts = np.array(training), np.array(served)
    rows = int(counts[0].sum()), requests
    return FeatureSkew.of("a", *counts, rows=rows, missing=missing, out_of_vocabulary=unseen, quantiles=None)


@pytest.mark.parametrize("requests", [2, 12])
def test_what_is_always_missing_differs_with_few_rows_too(requests: int) -> None:
    training = [0, *[100] * 200]
    found = of(training, [12, *[0] * 200], requests, (0.0, 1.0))
    assert found.psi == 0.0, "of which chance alone makes more than this"
    assert found.verdict == "differs" and "it is missing more often" in found.advice
    never = of([18_000, *[10] * 200], [0, *[1] * 12, *[0] * 188], 12, (0.9, 0.0))
    assert never.verdict == "differs" and "it is missing less often" in never.advice


def test_values_that_are_all_unseen_differ_with_few_rows_too() -> None:
    counts = [100, *[100] * 200], [12, *[0] * 200]
    found = of(*counts, 12, unseen=(0.005, 1.0))
    assert found.psi == 0.0 and found.verdict == "differs" and "has not seen many" in found.advice
    assert of(*counts, 12, (0.9, 1.0), unseen=(0.9, 0.0)).verdict == "too few", "no value was served"


def test_what_chance_explains_is_too_few_to_tell() -> None:
    for requests, share in ((1, 0.1), (2, 0.1), (12, 0.5)):
        found = of([round(20_000 * share), *[100] * 200], [requests, *[0] * 200], requests, (share, 1.0))
        assert found.verdict == ("differs" if share**requests < 1e-3 else "too few"), (requests, share)
    few = of([100] * 10, [2, 1, 1, 2, 1, 1, 1, 1, 1, 1], 12)
    assert few.verdict == "too few" and few.advice == ""
    assert of([100] * 10, [30, 32, 28, 30, 31, 29, 30, 30, 27, 33], 300).verdict == "alike"
    assert of([1000, 1000], [150, 150], 300, (0.0, 0.01)).verdict == "alike", "certain, and too small to matter"


def test_values_that_are_others_differ_with_few_rows_too() -> None:
    assert of([1000] * 10, [0] * 9 + [12], 12).verdict == "differs"


def test_chance_is_what_two_draws_from_one_share_make() -> None:
    chance = np.random.default_rng(1)
    told = 0
    for share in (0.02, 0.1, 0.5):
        for rows in (5, 40):
            draws = chance.binomial(rows, share, 2000) / rows
            here = chance.binomial(5000, share, 2000) / 5000
            told += sum(of([5000], [rows], rows, (a, b)).shift > 0 for a, b in zip(here, draws, strict=True))
    assert told < 12_000 * 1e-3
