"""`open_lists`: a saved recommender as a server asks it, one user at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from clickwise.retrieval.explanation import explain
from clickwise.retrieval.recommender import Recommender
from clickwise.retrieval.stored import load_recommender
from clickwise.sealed import name_of


class Lists:
    """A recommender for `clickwise.serving`. Keywords are those of `Recommender.recommend`.

    Args:
        name: digits of the checksum of what it is made of.
    """

    def __init__(self, recommender: Recommender, name: str) -> None:
        self.recommender, self.name = recommender, name

    def lists(
        self,
        user: Mapping[str, Any],
        k: int,
        *,
        where: Sequence[str],
        allow: Sequence[str] | None,
        exclude: Sequence[str],
    ) -> list[dict[str, Any]]:
        """The k best items, best first.

        Raises:
            ClickwiseError: the user's columns, or a rule, cannot be read.
        """
        row, gone = self._row(user), [list(exclude)]
        return [asdict(one) for one in self.recommender.recommend([row], k, where=where, allow=allow, exclude=gone)[0]]

    def why(
        self,
        user: Mapping[str, Any],
        item: str,
        k: int,
        *,
        where: Sequence[str],
        allow: Sequence[str] | None,
        exclude: Sequence[str],
    ) -> dict[str, Any]:
        """Why an item is where it is in that list; raises what `lists` does."""
        row = self._row(user)
        return explain(self.recommender, row, item, k, where=where, allow=allow, exclude=exclude).to_data()

    def _row(self, user: Mapping[str, Any]) -> dict[str, Any]:
        """All columns of a request; what the user lacks is missing."""
        return {name: user.get(name) for name in self.recommender.columns}


def open_lists(folder: str | Path) -> Lists:
    """Open a recommender for a server, which answers in one thread.

    Raises:
        BundleError: not a recommender, damaged, or of another format version.
        MissingExtraError: its index needs a library that is not installed.
    """
    torch.set_num_threads(1)
    return Lists(load_recommender(folder), name_of(Path(folder)))
