"""`HalfLists`: vectors in half precision, list behind list in one file that is mapped into memory.

A list is a run of codes, float16 [n, K], and a run of row numbers, int64 [n]; each run has room for a multiple of four.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from clickwise.errors import BundleError
from clickwise.retrieval.faiss_library import halves

_ALIGNED = 4  # codes of four vectors, of any dimension, take a multiple of 8 bytes


class HalfLists:
    """L lists of C vectors in all, with faiss's view of the same memory.

    Args:
        path: the file; it may be removed as soon as this object is made.
        sizes: [L] int64, vectors in each list.
        dim: K.

    Raises:
        BundleError: the file is not as large as the lists are.
    """

    def __init__(self, faiss: Any, path: str, sizes: np.ndarray, dim: int) -> None:
        self.sizes, self._code = sizes, 2 * dim
        self._room = -(-sizes // _ALIGNED) * _ALIGNED
        self._start = np.concatenate([[0], np.cumsum(self._room * (self._code + 8))])
        self._rows_start: np.ndarray | None = None
        self._lock = threading.Lock()
        self.bytes = np.zeros(0, np.uint8)
        if len(self) and os.path.getsize(path) == self._start[-1]:
            self.bytes = np.memmap(path, np.uint8, "r")
        if len(self.bytes) != self._start[-1]:
            raise BundleError(f"{path}: is not as large as its lists are; the index is damaged")
        self.view = faiss.OnDiskInvertedLists(len(sizes), self._code, path)
        self.view.read_only = True
        self.view.prefetch_nthread = 0  # else every search starts threads that read its lists once more
        self.view.totsize = len(self.bytes)
        if len(self.bytes):
            self.view.do_mmap()
            table = np.stack([sizes, self._room, self._start[:-1]], axis=1).astype(np.uint64)
            faiss.memcpy(self.view.lists.data(), faiss.swig_ptr(table), table.nbytes)

    @classmethod
    def made(cls, faiss: Any, vectors: np.ndarray, exponent: int, of: np.ndarray, count: int) -> Self:
        """`count` lists of vectors [C, K] times 2^exponent, each in the list `of` [C] int64, in memory alone."""
        order = np.argsort(of.astype(np.min_scalar_type(count)), kind="stable")  # of 16 bits many times as fast
        sizes = np.bincount(of, minlength=count)
        with _memory_file() as file:
            ends = np.cumsum(sizes)
            for end, size in zip(ends.tolist(), sizes.tolist(), strict=True):
                rows, room = order[end - size : end], -(-size // _ALIGNED) * _ALIGNED
                part = np.zeros((room, vectors.shape[1]), np.float16)
                part[:size] = halves(vectors[rows], exponent)
                file.write(part.tobytes())
                file.write(np.concatenate([rows, np.zeros(room - size, np.int64)]).tobytes())
            file.flush()
            return cls(faiss, _path_of(file), sizes, vectors.shape[1])

    def __len__(self) -> int:
        """C: vectors."""
        return int(self.sizes.sum())

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of `rows` [n].  [n, K] float16"""
        if not len(rows):
            return np.empty((0, self._code // 2), np.float16)
        places = self._places()[rows]
        windows = np.ndarray((len(self.bytes) - self._code + 1,), f"V{self._code}", self.bytes, strides=(1,))
        return windows[places].view(np.float16).reshape(len(rows), -1)

    def save(self, path: Path) -> None:
        """Write the file.

        Raises:
            OSError: the disk is full, or the file cannot be written.
        """
        with path.open("wb") as file:
            file.write(self.bytes.data)

    def _places(self) -> np.ndarray:
        """[C] int64, the byte at which the vector of each row begins; found when first asked for."""
        with self._lock:
            if self._rows_start is None:
                self._rows_start = self._find_places()
            return self._rows_start

    def _find_places(self) -> np.ndarray:
        within = np.arange(len(self)) - np.repeat(np.cumsum(self.sizes) - self.sizes, self.sizes)
        start, room = (np.repeat(each, self.sizes) for each in (self._start[:-1], self._room))
        numbers = self.bytes.view(np.int64)  # of which some are row numbers
        rows = numbers[(start + room * self._code) // 8 + within]
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise BundleError("the lists of the index hold rows that there are not; the index is damaged")
        places = np.zeros(len(self), np.int64)
        places[rows] = start + within * self._code
        return places


def _memory_file() -> IO[bytes]:
    """A file in memory; where the system has none, a temporary one that has no name once it is closed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("clickwise-index"), "w+b")
    return tempfile.NamedTemporaryFile(prefix="clickwise-index-")


def _path_of(file: IO[bytes]) -> str:
    return f"/proc/self/fd/{file.fileno()}" if hasattr(os, "memfd_create") else file.name
