"""Cross-product transformations: an id for each combination of values of other features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clickwise.config import require
from clickwise.errors import BundleError, ConfigError
from clickwise.features.arrays import values
from clickwise.features.combinations import KeyCounter, fits, keys_of
from clickwise.features.hashing import MAX_BUCKETS
from clickwise.features.sampling import splitmix64
from clickwise.features.state_values import read_whole
from clickwise.features.token_counts import TokenCounts
from clickwise.features.transform import State, Transform
from clickwise.registry import register_transform
from clickwise.schema import FIRST_TOKEN, OUT_OF_VOCABULARY, Field

MAX_LENGTH = 64
"""Combinations a row keeps at most when features with many values are crossed."""
MAX_COUNTED = 10_000_000
"""Distinct combinations that are counted exactly while fitting. Above it the rarest are dropped."""
DEFAULT_MIN_COUNT = 5

TABLE = pa.schema({"key": pa.int64()})
"""The stored table: the keys of the combinations kept, rising. The first has id `FIRST_TOKEN`."""


@register_transform("cross")
class Cross(Transform):
    """phi_k(x) = prod_i x_i^(c_ki): an id for each combination k, one value i of each feature, that fitting kept.

    It combines ids, not raw values, so that numbers cut into buckets and features with many values can be crossed too;
    of the latter, each combination of a row fills a slot. A combination is missing where one of its values is, and out
    of vocabulary where one of its values is or where fitting did not keep it. Slot weights do not enter.

    Reference: Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems", Eq. 1.
    """

    @dataclass(frozen=True, kw_only=True, slots=True)
    class Config:
        """What to combine, and which combinations get an id.

        Args:
            of: names of two or more features that give ids and are no crosses themselves.
            min_count: a combination seen less often is out of vocabulary; None counts 5.
            max_size: keep only this many of the most frequent combinations.
            num_buckets: let all combinations share this many ids by a hash, instead of keeping some.
        """

        of: tuple[str, ...]
        min_count: int | None = None
        max_size: int | None = None
        num_buckets: int | None = None

        def __post_init__(self) -> None:
            names, least, most, buckets = self.of, self.min_count, self.max_size, self.num_buckets
            require(len(names) >= 2 and len(set(names)) == len(names), "of", list(names), "two or more features")
            require(least is None or least >= 1, "min_count", least, "a whole number from 1 on")
            require(most is None or most >= 1, "max_size", most, "a whole number from 1 on")
            if buckets is not None:
                require(1 <= buckets <= MAX_BUCKETS, "num_buckets", buckets, f"1 to {MAX_BUCKETS}")
                alone = least is None and most is None
                require(alone, "num_buckets", buckets, "num_buckets, or min_count and max_size, not both")

    def __init__(
        self, name: str, config: Config, sizes: Sequence[int], length: int, keys: np.ndarray, pruned_floor: int
    ) -> None:
        self.config = config
        self.sizes = tuple(sizes)
        self.pruned_floor = pruned_floor
        self._keys = keys
        num_ids = FIRST_TOKEN + (len(keys) if config.num_buckets is None else config.num_buckets)
        self._field = Field(name=name, num_ids=num_ids, length=length, pooling="sum", cross=True)

    @classmethod
    def fit(cls, name: str, config: Config, parts: Sequence[Field]) -> CrossFit:
        """Begin to count the combinations of ids of these fields.

        Raises:
            ConfigError: there are more of them than numbers of 64 bits.
        """
        sizes = [part.num_ids for part in parts]
        if not fits(sizes):
            counts = " x ".join(f"{size:,}" for size in sizes)
            allowed = "allowed are 2^63 combinations: cross fewer features, or give them fewer ids by min_count"
            raise ConfigError(f"features.{name}.of", f"has {counts} combinations of ids; {allowed}")
        return CrossFit(name, config, sizes)

    @property
    def field(self) -> Field:
        """The field the ids belong to."""
        return self._field

    def ids(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """[n, length] int32 ids, -1 where a slot is empty, given the ids of the features it is a cross of."""
        keys = keys_of(parts, self.sizes, self._field.length)
        out = np.full((len(keys), self._field.length), -1, np.int32)
        out[:, : keys.shape[1]] = np.where(keys < FIRST_TOKEN, keys, self._find(keys))
        return out

    def _find(self, keys: np.ndarray) -> np.ndarray:
        if self.config.num_buckets is not None:
            hashes = splitmix64(keys.view(np.uint64))
            return (hashes % np.uint64(self.config.num_buckets)).astype(np.int64) + FIRST_TOKEN
        if not len(self._keys):
            return np.full(keys.shape, OUT_OF_VOCABULARY)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, at + FIRST_TOKEN, OUT_OF_VOCABULARY)

    def state(self) -> State:
        """The keys that were kept."""
        values = {"sizes": list(self.sizes), "length": self._field.length, "pruned_floor": self.pruned_floor}
        kept = self.config.num_buckets is None
        return State(values, pa.table({"key": self._keys}, schema=TABLE) if kept else None)

    @classmethod
    def from_state(cls, name: str, config: Config, state: State) -> Cross:
        """The transform that `state` describes; its keys stay where they are, mapped from a file."""
        sizes = state.values.get("sizes")
        if not isinstance(sizes, list) or len(sizes) != len(config.of):
            raise BundleError("the cross has not one size for each of its features")
        if not all(type(size) is int and size >= FIRST_TOKEN for size in sizes) or not fits(sizes):
            raise BundleError("the sizes of the cross are out of range")
        length, floor = read_whole(state, "length", 1, MAX_LENGTH), read_whole(state, "pruned_floor", 0, 2**62)
        return cls(name, config, sizes, length, _stored_keys(config, state.table), floor)


class CrossFit:
    """Fits a cross from chunks of ids, in bounded memory. Fitting in chunks equals fitting at once."""

    def __init__(self, name: str, config: Cross.Config, sizes: Sequence[int]) -> None:
        self._name = name
        self._config = config
        self._sizes = sizes
        self._length = 1
        self._counts = TokenCounts(MAX_COUNTED, KeyCounter())

    def update(self, parts: Sequence[np.ndarray]) -> None:
        """Take in the ids [n, L_t] of each part in more rows."""
        keys = keys_of(parts, self._sizes, MAX_LENGTH)
        self._length = max(self._length, keys.shape[1])
        if self._config.num_buckets is None:
            self._counts.add(keys[keys >= FIRST_TOKEN])

    def finish(self) -> Cross:
        """The fitted cross."""
        counted = self._counts.table()
        keys, counts = counted["token"].to_numpy(), counted["count"].to_numpy()
        kept = np.flatnonzero(counts >= (self._config.min_count or DEFAULT_MIN_COUNT))
        if self._config.max_size is not None:
            most = np.argsort(-counts[kept], kind="stable")[: self._config.max_size]  # of equals, the smaller keys
            kept = np.sort(kept[most])
        return Cross(self._name, self._config, self._sizes, self._length, keys[kept], self._counts.floor)


def _stored_keys(config: Cross.Config, table: pa.Table | None) -> np.ndarray:
    """The keys of a stored cross, as a view; none where it hashes."""
    if config.num_buckets is not None:
        if table is not None:
            raise BundleError("the cross has buckets and a table")
        return np.zeros(0, np.int64)
    if table is None or not table.schema.equals(TABLE):
        raise BundleError("the cross has no table, or one with other columns")
    column = table["key"]
    if column.null_count or column.num_chunks > 1:
        raise BundleError("the keys of the cross have missing values or are in pieces")
    keys = values(column.chunk(0)) if column.num_chunks else np.zeros(0, np.int64)
    if len(keys) and (keys[0] < FIRST_TOKEN or not (keys[1:] > keys[:-1]).all()):
        raise BundleError("the keys of the cross are not in order")
    return keys
