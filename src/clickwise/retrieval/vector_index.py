"""`VectorIndex`: vectors by row number, and the rows of the highest dot products with a query."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from clickwise.config import require
from clickwise.errors import BundleError, DataError
from clickwise.features.side_by_side import processors
from clickwise.retrieval.found import Found
from clickwise.retrieval.merging import nothing, padded

MAPPED = "mapped"
"""Folder, inside the one that an index saves to, of the files that opening maps and does not read."""

DEFAULT_K = 100
"""Of how many vectors the recall is asked for, unless told otherwise."""

_STATE = "index.json"
_CHECKED_AT_ONCE = 1 << 16


class Searchable(Protocol):
    """Vectors that can be searched."""

    def search(self, queries: np.ndarray, k: int, *, threads: int = 1) -> Found:
        """As `VectorIndex.search`."""


class VectorIndex(ABC):
    """C vectors of K numbers. It knows no ids, attributes or names of files. Immutable: several threads may search it.

    A class is registered with `@register_index("...")` and has a nested frozen `Config`; it is abstract or final. Files
    that `save` puts into the folder `MAPPED` are mapped at opening and not read, so that damage to one must lead to
    wrong scores at worst.
    """

    Config: ClassVar[type]

    def __init__(self, config: Any, dim: int) -> None:
        self.config = config
        self.dim = dim

    @classmethod
    def build(cls, config: Any, vectors: np.ndarray, threads: int | None = None) -> Self:
        """An index of `vectors` [C, K] float32; C may be 0.

        Args:
            config: an instance of the class's `Config`.
            threads: to build with; None: one a processor.

        Raises:
            DataError: another shape or type, or a number that is not finite.
            MissingExtraError: it needs a library that is not installed.
        """
        return cls._build(config, checked_vectors(vectors), threads or processors())

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None, *, threads: int = 1) -> Found:
        """The k rows of the highest dot products with each query, highest first.

        Where fewer than k rows are allowed, all of them are found, and the places behind them are -1.

        Args:
            queries: [Q, K] float32.
            allowed: [C] bool, the rows that may be found; None: all.
            threads: to search with, where there are several queries.

        Raises:
            ConfigError: k < 1.
            DataError: queries of another dimension or with a number that is not finite; a mask of another length.
        """
        require(k >= 1, "k", k, "a whole number >= 1")
        queries = checked_queries(queries, self.dim)
        if allowed is not None and (allowed.dtype != bool or allowed.shape != (len(self),)):
            raise DataError(f"the mask is {allowed.dtype} {list(allowed.shape)}, the index wants bool [{len(self)}]")
        wanted = min(k, len(self) if allowed is None else int(np.count_nonzero(allowed)))
        if not wanted or not len(queries):
            return nothing(len(queries), k)
        return padded(self._search(queries, wanted, allowed, threads), k)

    @abstractmethod
    def __len__(self) -> int:
        """C: rows."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """Bytes that the vectors and what finds them take, mapped or in memory."""

    @abstractmethod
    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of `rows` [n] as the index holds them: perhaps rounded.  [n, K] float32"""

    @abstractmethod
    def subset(self, rows: np.ndarray) -> Searchable:
        """`rows` [n] alone, rising, to be searched exactly; what it finds is numbered 0 to n - 1."""

    @property
    def effort(self) -> int:
        """How much of the index a search looks at, in a unit of its own; 0: all of it, there is nothing to tune."""
        return 0

    @property
    def most_effort(self) -> int:
        """The largest `effort` that makes sense; 0: there is nothing to tune."""
        return 0

    def with_effort(self, effort: int, k: int) -> Self:
        """The same vectors, searched with another effort, from 1 to `most_effort`, where up to `k` are asked for.

        A search for more makes a larger effort.
        """
        return self

    def save(self, folder: Path) -> None:
        """Write the index into a new folder.

        Raises:
            OSError: the folder cannot be written to.
        """
        (folder / MAPPED).mkdir(parents=True)
        self._save(folder)

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """The index that `save` wrote, its large files mapped into memory.

        Raises:
            BundleError: a file is missing, damaged or makes no sense.
            MissingExtraError: it needs a library that is not installed.
        """

    @classmethod
    @abstractmethod
    def _build(cls, config: Any, vectors: np.ndarray, threads: int) -> Self:
        """`build`, of vectors that were checked."""

    @abstractmethod
    def _search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, threads: int) -> Found:
        """`search`, of what was checked: at least one query, and at least k rows that are allowed. [Q, k]"""

    @abstractmethod
    def _save(self, folder: Path) -> None:
        """`save`, into a folder that is there and has a folder `MAPPED`."""


def checked_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors [C, K] as contiguous float32.

    Raises:
        DataError: another shape or type, or a number that is not finite.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or not vectors.shape[1] or vectors.dtype.kind not in "fiu":
        raise DataError(f"vectors are {vectors.dtype} {list(vectors.shape)}, and must be numbers [rows, dimension]")
    vectors = np.ascontiguousarray(vectors, np.float32)
    for start in range(0, len(vectors), _CHECKED_AT_ONCE):
        odd = ~np.isfinite(vectors[start : start + _CHECKED_AT_ONCE]).all(axis=1)
        if odd.any():
            row = start + int(np.argmax(odd)) + 1
            raise DataError("has a number that is not finite", file="vectors", row=row, fix="train with care for it")
    return vectors


def checked_queries(queries: np.ndarray, dim: int) -> np.ndarray:
    """Queries [Q, dim] as contiguous float32.

    Raises:
        DataError: another shape or type, or a number that is not finite.
    """
    queries = np.asarray(queries)
    if queries.ndim != 2 or queries.shape[1] != dim or queries.dtype.kind not in "fiu":
        raise DataError(f"queries are {queries.dtype} {list(queries.shape)}, the index wants numbers [queries, {dim}]")
    queries = np.ascontiguousarray(queries, np.float32)
    odd = ~np.isfinite(queries).all(axis=1)
    if odd.any():
        raise DataError("has a number that is not finite", file="queries", row=int(np.argmax(odd)) + 1)
    return queries


def effort_for(effort: int, tuned_k: int, k: int, share: float, most: int) -> int:
    """The effort of a search for k of a share of the vectors, where `effort` is meant for `tuned_k` of all.

    In proportion to 1 / share: so many more vectors lie between those that are allowed. And to the root of k, about
    what tuning finds for larger k.
    """
    return min(most, math.ceil(effort * max(1.0, k / tuned_k) ** 0.5 / share))


def write_state(folder: Path, values: dict[str, Any]) -> None:
    """Write the small values of an index."""
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / _STATE).write_text(text + "\n", encoding="utf-8")


def read_state(folder: Path, kinds: dict[str, type]) -> dict[str, Any]:
    """What `write_state` wrote: these keys, with values of these types.

    Raises:
        BundleError: a file that is missing or damaged, or other keys or types.
    """
    path = folder / _STATE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from None
    if not isinstance(values, dict) or {key: type(value) for key, value in values.items()} != kinds:
        raise BundleError(f"{path}: has other values than {', '.join(kinds)}; the index is damaged")
    return values


def map_array(path: Path, dtype: type, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """An array in a .npy file, mapped; without `shape`, of one dimension and any length.

    Raises:
        BundleError: a file that is missing or damaged, or an array of another type or shape.
    """
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from None
    fits = found.ndim == 1 if shape is None else found.shape == shape
    if found.dtype != dtype or not fits:
        wanted = "any length" if shape is None else list(shape)
        raise BundleError(f"{path}: is {found.dtype} {list(found.shape)}, not {np.dtype(dtype)} of {wanted}")
    return found
