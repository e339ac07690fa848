"""Categories by a seeded hash: a fixed number of ids, nothing to fit, and any token can come at any time."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.features.multivalued import Slots, SlotsFit, check_options, parse_values, values_form
from clickwise.features.transform import Fit, State, TokenTransform
from clickwise.features.xxh64 import xxh64
from clickwise.native import columns
from clickwise.native.requests import InputPlan, Target
from clickwise.registry import register_transform
from clickwise.schema import FIRST_TOKEN, MISSING, Field, Pooling

MAX_BUCKETS = 2**31 - 16


@register_transform("hashing")
class Hashing(TokenTransform):
    """id = 2 + xxh64(token, seed) mod num_buckets; missing is 0, and no token is out of vocabulary.

    Reference: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning".
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """How many ids to share, and how to read a column with many values a row.

        Args:
            num_buckets: ids that tokens share.
            seed: another seed lets other tokens share an id.
            separator: what stands between the values of a text cell; None: text is one value.
            pooling: how the embeddings of a row's values become one.
            max_length: a longer list keeps its first `max_length` values; None allows 64.
            weights: a sibling column with a list of weights as long as the list of values.
        """

        num_buckets: int
        seed: int = 0
        separator: str | None = None
        pooling: Pooling = "mean"
        max_length: int | None = None
        weights: str | None = None

        def __post_init__(self) -> None:
            require(1 <= self.num_buckets <= MAX_BUCKETS, "num_buckets", self.num_buckets, f"1 to {MAX_BUCKETS}")
            require(0 <= self.seed < 2**63, "seed", self.seed, "0 to 2^63 - 1")
            check_options(self)

    def __init__(self, name: str, config: Config, slots: Slots) -> None:
        self.config = config
        self._slots = slots
        self._field = slots.field(name, FIRST_TOKEN + config.num_buckets, config)

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
        """Only the longest list is fitted."""
        return _HashingFit(name, config)

    @property
    def field(self) -> Field:
        """The field the ids belong to."""
        return self._field

    @property
    def multi(self) -> bool:
        """Whether a cell may hold many tokens."""
        return self._slots.multi

    def ids(self, parsed: pa.Array) -> np.ndarray:
        """[n, length] int32 ids; -1 where a slot is empty."""
        return self._slots.ids(parsed, self.token_ids)

    def token_ids(self, tokens: pa.Array) -> np.ndarray:
        """[n] int32 ids of text."""
        if columns.compiled():
            return columns.buckets(tokens, self.config.seed, self.config.num_buckets, FIRST_TOKEN, MISSING)
        bucket = xxh64(tokens, self.config.seed) % np.uint64(self.config.num_buckets)
        return bucket.astype(np.int32) + np.int32(FIRST_TOKEN)

    def compile_into(self, plan: InputPlan, target: Target) -> bool:
        """Tokens without weights."""
        target = self._slots.target(target, self.config)
        return self.config.weights is None and self.compile_tokens(plan, target)

    def compile_tokens(self, plan: InputPlan, target: Target) -> bool:
        """By their hash."""
        plan.add_hashing(target, self.config.seed, self.config.num_buckets)
        return True

    def state(self) -> State:
        """The slots of a row."""
        return State(self._slots.data())

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> Hashing:
        """The transform that `state` describes."""
        return cls(name, config, Slots.of(state))


class _HashingFit(Fit):
    def __init__(self, name: str, config: Hashing.Config) -> None:
        self._name = name
        self._config = config
        self._slots = SlotsFit(config)

    def update(self, parsed: pa.Array) -> None:
        self._slots.update(parsed)

    def finish(self) -> Hashing:
        return Hashing(self._name, self._config, self._slots.finish())
