"""The course of the learning rates."""

from __future__ import annotations

import math

SCHEDULES = ("constant", "linear", "cosine")


def rate_factor(schedule: str, step: int, *, total: int, warmup: int, final: float) -> float:
    """What a step multiplies the learning rates by: up to 1 in the warm-up, then as the schedule says.

    Linear: 1 - (1 - final) t. Cosine: final + (1 - final) (1 + cos(pi t)) / 2, with t the share of the steps after the
    warm-up that are done.

    Args:
        schedule: one of `SCHEDULES`.
        step: steps done before it.
        total: planned steps, the warm-up included; after them the rate stays at `final`.
        warmup: steps of the warm-up; step s has (s + 1) / warmup.
        final: the factor at the end, in [0, 1].

    Reference of the cosine: Loshchilov and Hutter 2017, "SGDR", Eq. 5.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, total - warmup))
    if schedule == "linear":
        return 1.0 - (1.0 - final) * done
    if schedule == "cosine":
        return final + (1.0 - final) * (1.0 + math.cos(math.pi * done)) / 2.0
    return 1.0
