"""What a path to serve or to publish names: a version as it is, or a bundle, which becomes one."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from clickwise.errors import BundleError
from clickwise.sealed import is_sealed
from clickwise.serving.store import Store
from clickwise.serving.version import GRAPH, VERSION


@contextmanager
def exported(path: Path) -> Iterator[Path]:
    """The folder of a version, for as long as the block lasts.

    A bundle is exported by a process of its own: what torch takes goes with it.

    Raises:
        BundleError: there is neither, or it is damaged.
    """
    if not is_sealed(path):
        problem = "is neither a version nor a bundle"
        raise BundleError(f"{path}: {problem}; `clickwise train` makes bundles, `clickwise export` versions")
    if (path / GRAPH).is_file():
        VERSION.verify(path, read_all=False)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="clickwise-version-") as folder:
        new = Path(folder) / "version"
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            process.submit(_export, path, new).result()
        yield new


@contextmanager
def live_or_exported(path: Path) -> Iterator[Path]:
    """The same, where `path` may be a store as well: of the version that is live.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    if not Store.is_at(path):
        with exported(path) as folder:
            yield folder
        return
    store = Store(path)
    traffic = store.traffic()
    if traffic is None:
        raise BundleError(f"{path}: no version is live; give the folder of a version")
    yield store.folder_of(traffic.live)


def _export(bundle: Path, out: Path) -> None:
    from clickwise import pipeline

    pipeline.export(bundle, out)
