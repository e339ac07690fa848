"""In which precision the products of linear layers take their operands; sums are fp32 in either.

Chosen around a step, and read by the layers below it: training may run in bf16, scoring always runs in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from clickwise.native import Tier, kernels, tier

Precision = Literal["fp32", "bf16"]

_current: ContextVar[Precision] = ContextVar("precision", default="fp32")


def current() -> Precision:
    """The precision in use here; "fp32" where nothing was said."""
    return _current.get()


@contextmanager
def using(precision: Precision) -> Iterator[None]:
    """Linear layers called inside take their operands in this precision, also in their backward pass."""
    token = _current.set(precision)
    try:
        yield
    finally:
        _current.reset(token)


def resolve(wanted: Literal["auto", "fp32", "bf16"]) -> Precision:
    """What "auto" means here: bf16 where the processor multiplies it natively and compiled layers make use of that."""
    if wanted != "auto":
        return wanted
    native = tier() is Tier.DENSE and kernels().isa() in ("avx512_bf16", "amx")
    return "bf16" if native else "fp32"
