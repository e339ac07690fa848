"""Categories by a fitted vocabulary: each token that fitting kept has an id of its own."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clickwise.config import require
from clickwise.errors import BundleError
from clickwise.features import token_counts
from clickwise.features.arrays import values
from clickwise.features.fingerprints import Fingerprints
from clickwise.features.multivalued import Slots, SlotsFit, check_options, parse_values, values_form
from clickwise.features.state_values import read_whole
from clickwise.features.transform import Fit, State, TokenTransform
from clickwise.native.requests import InputPlan, Target
from clickwise.registry import register_transform
from clickwise.schema import FIRST_TOKEN, MISSING, OUT_OF_VOCABULARY, Field, Pooling

TABLE = pa.schema({"token": pa.large_string(), "count": pa.int64(), "hash": pa.uint64(), "id": pa.int32()})
"""The stored table. `token` and `count` are in order of id; `hash` and `id` are the index, in order of hash."""


@register_transform("vocabulary")
class Vocabulary(TokenTransform):
    """id = 2 + the token's place in the order of (most frequent, then text); missing is 0, any other token 1.

    Tokens are found by their XXH64 fingerprint; `Fingerprints` says how unlikely a mistake is.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """Which tokens to keep, and how to read a column with many values a row.

        Args:
            min_count: a token seen less often is out of vocabulary.
            max_size: keep only this many of the most frequent tokens.
            separator: what stands between the values of a text cell; None: text is one value.
            pooling: how the embeddings of a row's values become one.
            max_length: a longer list keeps its first `max_length` values; None allows 64.
            weights: a sibling column with a list of weights as long as the list of values.
        """

        min_count: int = 1
        max_size: int | None = None
        separator: str | None = None
        pooling: Pooling = "mean"
        max_length: int | None = None
        weights: str | None = None

        def __post_init__(self) -> None:
            require(self.min_count >= 1, "min_count", self.min_count, "a whole number from 1 on")
            require(self.max_size is None or self.max_size >= 1, "max_size", self.max_size, "a whole number from 1 on")
            check_options(self)

    def __init__(
        self, name: str, config: Config, slots: Slots, index: Fingerprints, words: pa.Table, pruned_floor: int
    ) -> None:
        self.config = config
        self.pruned_floor = pruned_floor
        self._slots = slots
        self._index = index
        self._words = words
        self._field = slots.field(name, FIRST_TOKEN + words.num_rows, config)

    @classmethod
    def parse(cls, config: Config, column: pa.Array) -> pa.Array:
        """Tokens [n], or lists of tokens [n]."""
        return parse_values(config, column)

    @classmethod
    def form(cls, config: Config) -> Hashable:
        """As every transform of tokens with these values a row."""
        return values_form(config)

    @classmethod
    def fit(cls, name: str, config: Config) -> Fit:
        """Begin to count tokens."""
        return _VocabularyFit(name, config)

    @property
    def field(self) -> Field:
        """The field the ids belong to."""
        return self._field

    @property
    def multi(self) -> bool:
        """Whether a cell may hold many tokens."""
        return self._slots.multi

    @property
    def tokens(self) -> pa.ChunkedArray:
        """The tokens that were kept; the first has id `FIRST_TOKEN`."""
        return self._words["token"]

    @property
    def counts(self) -> pa.ChunkedArray:
        """How often each of `tokens` was seen."""
        return self._words["count"]

    def ids(self, parsed: pa.Array) -> np.ndarray:
        """[n, length] int32 ids; -1 where a slot is empty."""
        return self._slots.ids(parsed, self.token_ids)

    def token_ids(self, tokens: pa.Array) -> np.ndarray:
        """[n] int32 ids of text."""
        return self._index.find(tokens, OUT_OF_VOCABULARY, MISSING)

    def compile_into(self, plan: InputPlan, target: Target) -> bool:
        """Tokens without weights."""
        target = self._slots.target(target, self.config)
        return self.config.weights is None and self.compile_tokens(plan, target)

    def compile_tokens(self, plan: InputPlan, target: Target) -> bool:
        """By their fingerprints."""
        return self._index.compile_into(plan, target)

    def state(self) -> State:
        """The tokens and their index."""
        index = {"hash": pa.array(self._index.hashes), "id": pa.array(self._index.ids)}
        columns = {"token": self._words["token"], "count": self._words["count"], **index}
        values = {"seed": self._index.seed, "pruned_floor": self.pruned_floor, **self._slots.data()}
        return State(values, pa.table(columns, schema=TABLE))

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> Vocabulary:
        """The transform that `state` describes; its arrays stay where they are, mapped from a file."""
        table = state.table
        if table is None or not table.schema.equals(TABLE):
            raise BundleError("the vocabulary has no table, or one with other columns")
        if any(column.null_count or column.num_chunks > 1 for column in table.columns):
            raise BundleError("the vocabulary has missing values or is in pieces")
        hashes, ids = _flat(table["hash"]), _flat(table["id"])
        if not (hashes[1:] > hashes[:-1]).all():
            raise BundleError("the index of the vocabulary is not in order")
        if len(ids) and (ids.min() != FIRST_TOKEN or ids.max() != FIRST_TOKEN + len(ids) - 1):
            raise BundleError("the ids of the vocabulary are out of range")
        index = Fingerprints(read_whole(state, "seed", 0, 2**32), hashes, ids)
        floor = read_whole(state, "pruned_floor", 0, 2**62)
        return cls(name, config, Slots.of(state), index, table.select(["token", "count"]), floor)


class _VocabularyFit(Fit):
    def __init__(self, name: str, config: Vocabulary.Config) -> None:
        self._name = name
        self._config = config
        self._slots = SlotsFit(config)
        self._counts = token_counts.TokenCounts(token_counts.MAX_DISTINCT)

    def update(self, parsed: pa.Array) -> None:
        self._counts.add(self._slots.update(parsed))

    def finish(self) -> Vocabulary:
        counted = self._counts.table()
        kept = counted.filter(pc.greater_equal(counted["count"], self._config.min_count))
        order = pc.sort_indices(kept, sort_keys=[("count", "descending"), ("token", "ascending")])
        words = kept.select(["token", "count"]).take(order[: self._config.max_size]).combine_chunks()
        tokens = words["token"].chunk(0) if words.num_rows else pa.array([], pa.large_string())
        index = Fingerprints.build(tokens, FIRST_TOKEN)
        return Vocabulary(self._name, self._config, self._slots.finish(), index, words, self._counts.floor)


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    """The only chunk, as a view."""
    return values(column.chunk(0)) if column.num_chunks else np.zeros(0, column.type.to_pandas_dtype())
