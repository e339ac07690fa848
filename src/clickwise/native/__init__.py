"""The compiled kernels and their Python doors.

Three tiers do the same work behind one interface, each faster than the one before:

- `Tier.TORCH`: plain torch; needs no compiler.
- `Tier.EMBEDDINGS`: tables, pooling, pairs and update rules are compiled.
- `Tier.DENSE`: linear layers, cross networks and batch normalisation too.

The highest one that was built is used. `CLICKWISE_KERNELS=torch|embeddings|dense` lowers it, and `CLICKWISE_ISA` names
the instruction set of the kernels (`available_isas()`). Both are read once.
"""

from __future__ import annotations

import enum
import functools
import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from clickwise.errors import ClickwiseError, ClickwiseWarning

__all__ = ["Tier", "available_isas", "freed_memory_kept", "kernels", "set_threads", "tier"]


class Tier(enum.IntEnum):
    """How much of a model is compiled."""

    TORCH = 0
    EMBEDDINGS = 1
    DENSE = 2


@functools.cache
def tier() -> Tier:
    """The tier in use. Says once, as a `ClickwiseWarning`, when there are no kernels though they were wanted.

    Raises:
        ClickwiseError: `CLICKWISE_KERNELS` or `CLICKWISE_ISA` names nothing that is there.
    """
    wanted = _wanted_tier()
    if wanted is Tier.TORCH:
        return wanted
    if _extension() is None:
        warnings.warn(
            "the compiled kernels were not built when clickwise was installed, so that torch does their work, slower; "
            "install a C++ compiler and install clickwise again (in a checkout: make kernels)",
            ClickwiseWarning,
            stacklevel=2,
        )
        return Tier.TORCH
    return wanted


def kernels() -> ModuleType:
    """The extension module; only where `tier()` is above `Tier.TORCH`."""
    module = _extension()
    assert module is not None, "asked for kernels that were not built"
    return module


def available_isas() -> list[str]:
    """Instruction sets that the kernels can use on this machine, best first; empty without kernels."""
    module = _extension()
    return [] if module is None else module.available_isas()


def set_threads(count: int) -> None:
    """How many threads a kernel may use; no result depends on it. Nothing happens without kernels."""
    module = _extension()
    if module is not None:
        module.set_threads(count)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Freed memory stays with the process meanwhile, for tensors of the next step: 1 GiB, and 2 GiB of large results.

    Otherwise the allocator of the C library gives large tensors back to the system at every step, and a tenth of a step
    goes into pages that the system clears again. Nothing happens without kernels or with another C library.
    """
    module = _extension()
    if module is None:
        yield
        return
    module.keep_freed_memory(True)
    try:
        yield
    finally:
        module.keep_freed_memory(False)


def _wanted_tier() -> Tier:
    name = os.environ.get("CLICKWISE_KERNELS") or Tier.DENSE.name.lower()
    known = {t.name.lower(): t for t in Tier}
    if name not in known:
        raise ClickwiseError(f'CLICKWISE_KERNELS is "{name}"; allowed are {", ".join(known)}')
    return known[name]


@functools.cache
def _extension() -> ModuleType | None:
    try:
        module = importlib.import_module("clickwise.native._kernels")
    except ModuleNotFoundError:
        return None
    try:
        module.isa()
    except ValueError as error:
        raise ClickwiseError(f"CLICKWISE_ISA: {error}") from None
    return module
