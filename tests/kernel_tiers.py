"""Switching the kernel tier inside a test: it is read once otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clickwise.native import Tier, tier


@contextmanager
def kernel_tier(wanted: Tier) -> Iterator[None]:
    """The tier is `wanted` in this block; the test is skipped when its kernels were not built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLICKWISE_KERNELS", wanted.name.lower())
        tier.cache_clear()
        try:
            if tier() is not wanted:
                pytest.skip("the compiled kernels were not built")
            yield
        finally:
            tier.cache_clear()
