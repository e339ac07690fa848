"""Learning rates by hand, and that the loop uses them."""

from __future__ import annotations

import pytest

from clickwise.training.schedule import rate_factor


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.5, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2]),
        ("cosine", [0.5, 1.0, 1.0, 0.88284271, 0.6, 0.31715729, 0.2]),
    ],
)
def test_factors_of_six_steps_with_two_of_warm_up(schedule: str, expected: list[float]) -> None:
    found = [rate_factor(schedule, step, total=6, warmup=2, final=0.2) for step in range(7)]
    assert found == pytest.approx(expected)
