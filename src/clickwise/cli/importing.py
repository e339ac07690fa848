"""Imports of what a verb needs, torch among it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder

import pyarrow as pa


@contextmanager
def importing() -> Iterator[None]:
    """Imports in this block are kept from the garbage collector: modules stay until the end of the process.

    Without it the collector looks at the hundreds of thousands of objects of torch again and again while they are
    made, and once more when the process ends. Arrow is kept from importing pandas at its first array, too.
    """
    gc.disable()
    try:
        _settle_pandas()
        yield
    finally:
        gc.freeze()
        gc.enable()


def _settle_pandas() -> None:
    """Let Arrow look for pandas now and not find it. No verb needs it; Arrow looks again where a frame is asked for."""
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NO_PANDAS)
        try:
            pa.scalar(0)
        finally:
            sys.meta_path.remove(_NO_PANDAS)


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


_NO_PANDAS = _NoPandas()
