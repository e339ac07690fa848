"""What a user did before, as a sequence of the values of another feature."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.features.arrays import spread
from clickwise.features.multivalued import LONGEST_ALLOWED, list_lengths, place, token_ids
from clickwise.features.state_values import read_whole
from clickwise.features.token_lists import to_token_lists, without_missing
from clickwise.features.transform import ColumnTransform, Fit, State, TokenTransform
from clickwise.native.requests import InputPlan, Target
from clickwise.registry import register_transform
from clickwise.schema import Field


@register_transform("sequence")
class Sequence(ColumnTransform):
    """The ids that another feature, its owner, gives to each entry of a history; the oldest comes first.

    Ids and embedding rows are those of the owner, so that an item is the same item as target and in the past. Nothing
    is fitted but the longest history: an entry that the owner did not keep is out of vocabulary and stays in its place.
    Of a history longer than the field, the last entries are kept. Empty entries are skipped, and a row without a
    history is all padding, which gives a vector of zeros, where a category would be missing.

    A model that knows sequences (`din`) reads entry by entry. For all others the entries are pooled: to one vector, and
    to one first-order weight, in the rows that the owner has.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Whose values they are, and how to read the column.

        Args:
            shares: the feature that owns the ids: a `vocabulary` or `hashing`.
            max_length: a longer history keeps its last `max_length` entries.
            separator: what stands between the entries of a text cell; None: text is one entry.
            pooling: how the embeddings become one for a model that knows no sequences.
        """

        shares: str
        max_length: int = 50
        separator: str | None = None
        pooling: Literal["mean", "sum"] = "mean"

        def __post_init__(self) -> None:
            require(self.shares != "", "shares", self.shares, "the name of a feature")
            fits = 1 <= self.max_length <= LONGEST_ALLOWED
            require(fits, "max_length", self.max_length, f"1 to {LONGEST_ALLOWED}")
            require(self.separator != "", "separator", self.separator, "text of at least one character")
            require(self.pooling in ("mean", "sum"), "pooling", self.pooling, "'mean' or 'sum'")

    def __init__(self, name: str, config: Config, length: int) -> None:
        self.config = config
        self._name = name
        self._length = length

    @classmethod
    def parse(cls, config: Config, column: pa.Array) -> pa.ListArray:
        """Lists of tokens [n], without missing ones."""
        return without_missing(to_token_lists(column, config.separator))

    @classmethod
    def form(cls, config: Config) -> Hashable:
        """The same for all sequences that are cut alike."""
        return cls, config.separator

    @classmethod
    def fit(cls, name: str, config: Config) -> Fit:
        """Only the longest history is fitted."""
        return _SequenceFit(name, config)

    def field(self, owner: Field) -> Field:
        """The field the ids belong to, given that of the owner."""
        return Field(
            name=self._name,
            num_ids=owner.num_ids,
            length=self._length,
            pooling=self.config.pooling,
            shares=owner.name,
        )

    def ids(self, parsed: pa.ListArray, owner: TokenTransform) -> np.ndarray:
        """[n, length] int32 ids of the owner, the most recent ones; -1 where a slot is empty."""
        lengths = list_lengths(parsed)
        kept = np.minimum(lengths, self._length)
        last = spread(np.cumsum(lengths) - kept, kept)
        ids = token_ids(parsed.flatten(), owner.token_ids)[last]
        return place(ids, kept, np.full((len(parsed), self._length), -1, np.int32))

    def compile_into(self, plan: InputPlan, target: Target, owner: TokenTransform) -> bool:
        """Let a plan do what `parse` and `ids` do, for requests, exactly; false where it cannot."""
        many = target._replace(length=self._length, many=True, history=True, separator=self.config.separator)
        return owner.compile_tokens(plan, many)

    def state(self) -> State:
        """The slots of a row."""
        return State({"length": self._length})

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> Sequence:
        """The transform that `state` describes."""
        return cls(name, config, read_whole(state, "length", 1, config.max_length))


class _SequenceFit(Fit):
    def __init__(self, name: str, config: Sequence.Config) -> None:
        self._name = name
        self._config = config
        self._longest = 1

    def update(self, parsed: pa.Array) -> None:
        self._longest = max(self._longest, int(list_lengths(parsed).max(initial=1)))

    def finish(self) -> Sequence:
        return Sequence(self._name, self._config, min(self._longest, self._config.max_length))
