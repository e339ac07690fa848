"""What the columns mean (`Schema`), and what a model is given (`InputSpec`). Imports neither torch nor NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from clickwise.config import require
from clickwise.errors import ConfigError, nearest

PADDING_ROW = 0
"""The first row of every embedding table: always zero, never updated."""
MISSING = 0
"""Id, inside a field, of a value that is not there."""
OUT_OF_VOCABULARY = 1
"""Id, inside a field, of a value that fitting did not keep."""
FIRST_TOKEN = 2
"""Id, inside a field, of the first value that fitting kept."""

Pooling = Literal["mean", "sum", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """One model input and how it is made: a column and the config of a registered transform.

    Args:
        name: unique name of the feature.
        column: the raw column it reads; empty for a cross, which reads other features.
        config: the nested `Config` of a registered transform, such as `Vocabulary.Config(min_count=5)`.
    """

    name: str
    column: str = ""
    config: Any

    @property
    def of(self) -> tuple[str, ...]:
        """The features that a cross combines; empty for a feature that reads a column."""
        return getattr(self.config, "of", ())

    @property
    def shares(self) -> str:
        """The feature whose ids and embedding rows a sequence uses; empty for a feature with its own."""
        return getattr(self.config, "shares", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """What each column of a log means.

    Args:
        label: the column that says click or no click; empty: every row is a click, as in a list of interactions.
        weight: a column of non-negative sample weights.
        time: a column of time stamps; when given, splits are by time.
        time_format: how the time column is written, for `strptime`, such as `%y%m%d%H`; None recognises it.
        group: a column whose values group the rows for `gauc` (such as the user).
        item: the column that identifies what was shown, such as the ad; retrieval finds its values.
        item_features: names of the features that describe the item; empty: those that read the column `item`. All
            others describe the query: the user and the context.
        truth: a column with the true click probability, known for simulated data only. Never a feature.
        positive: label values that count as 1; every other value is 0. Empty: the label must be 0/1 or false/true.
        threshold: a number; labels at or above it count as 1, below it as 0 (such as 4 for ratings 1 to 5).
        features: the model's inputs, in order.
    """

    label: str
    weight: str | None = None
    time: str | None = None
    time_format: str | None = None
    group: str | None = None
    item: str | None = None
    item_features: tuple[str, ...] = ()
    truth: str | None = None
    positive: tuple[str, ...] = ()
    threshold: float | None = None
    features: tuple[Feature, ...] = ()

    def __post_init__(self) -> None:
        names = [f.name for f in self.features]
        for name in names:
            require(names.count(name) == 1, f"features.{name}", name, "each feature name once")
        if self.positive and self.threshold is not None:
            raise ConfigError("positive", "is given together with threshold; allowed is one of the two")
        for key in ("positive", "threshold"):
            if not self.label and getattr(self, key) not in ((), None):
                raise ConfigError(key, "says which labels are clicks, and without a label every row is one; remove it")
        for feature in self.features:
            if feature.column and feature.column in (self.label, self.truth):
                raise ConfigError(
                    f"features.{feature.name}.column", f"reads {feature.column!r}, which is the answer; remove it"
                )
            self._check_source(feature)
        for name in self.item_features if names else ():
            require(
                name in names, "item_features", name, f"names of features{nearest(name, names)}: {', '.join(names)}"
            )

    @property
    def item_side(self) -> tuple[str, ...]:
        """Names of the features that describe the item."""
        named = self.item_features or [f.name for f in self.features if f.column and f.column == self.item]
        return tuple(f.name for f in self.features if f.name in named)

    def columns(self) -> tuple[str, ...]:
        """The raw columns that scoring needs, each once, in order of first use."""
        return columns_of(self.features)

    @property
    def crosses(self) -> tuple[Feature, ...]:
        """The features that combine other features."""
        return tuple(f for f in self.features if f.of)

    def without_crosses(self) -> Schema:
        """The same with only the features that read a column."""
        return replace(self, features=tuple(f for f in self.features if not f.of))

    def _check_source(self, feature: Feature) -> None:
        """A feature reads a column, or combines features that do; a sequence shares a feature of single values."""
        here = f"features.{feature.name}"
        if not feature.of:
            require(bool(feature.column), f"{here}.column", feature.column, "the name of a column")
        else:
            require(not feature.column, f"{here}.column", feature.column, "no column: a cross reads other features")
        known = [f.name for f in self.features if not f.of]
        for name in feature.of:
            listed = f"the name of another feature that is no cross{nearest(name, known)}: {', '.join(known)}"
            require(name in known, f"{here}.of", name, listed)
        if feature.shares:
            known = [f.name for f in self.features if not f.of and not f.shares]
            what = "the name of another feature that is no cross and no sequence"
            listed = f"{what}{nearest(feature.shares, known)}: {', '.join(known) or 'there is none'}"
            require(feature.shares in known, f"{here}.shares", feature.shares, listed)


def columns_of(features: Sequence[Feature]) -> tuple[str, ...]:
    """The raw columns that features read, those of weights last, each once, in order of first use."""
    read = [f.column for f in features if f.column]
    weights = (getattr(f.config, "weights", None) for f in features)
    return tuple(dict.fromkeys([*read, *(name for name in weights if name)]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One categorical input of a model.

    Args:
        name: the feature it comes from.
        num_ids: ids it can take, reserved ones included.
        length: slots it fills in a row; 1 for single-valued fields.
        pooling: how the embeddings of its slots become one; "none" leaves each slot a vector of its own.
        weighted: each slot has a weight that multiplies its embedding.
        cross: its ids are combinations of other fields' ids; it has first-order weights and no embedding vectors.
        shares: the field whose table rows it uses, as a sequence does; empty: it has rows of its own.
    """

    name: str
    num_ids: int
    length: int = 1
    pooling: Pooling = "mean"
    weighted: bool = False
    cross: bool = False
    shares: str = ""

    @property
    def num_vectors(self) -> int:
        """Embedding vectors it gives a model."""
        if self.cross:
            return 0
        return self.length if self.pooling == "none" else 1


@dataclass(frozen=True, kw_only=True, slots=True)
class InputSpec:
    """What a model is given: its fields, packed into one table of rows, and its dense features.

    Row `PADDING_ROW` of the table is padding. Field f owns the `num_ids` rows from `offsets()[f]` on; inside a field,
    `MISSING` and `OUT_OF_VOCABULARY` come first. Crosses come after all other fields, so that the rows and slots of the
    others are the first ones: a table of vectors ends where the crosses begin. Fields that share the rows of another
    come directly behind it, so that the slots that can show a row are one run.

    Args:
        fields: in the order of their rows and slots.
        dense: names of the dense features.
        item: names of the fields and dense features that describe the item; the others describe the query.
        whole: what this is a part of; its fields own the same rows of the table as there. None: it is a whole.
    """

    fields: tuple[Field, ...] = ()
    dense: tuple[str, ...] = ()
    item: tuple[str, ...] = ()
    whole: InputSpec | None = None

    def __post_init__(self) -> None:
        require(bool(self.fields or self.dense or self.whole), "features", "none", "at least one feature")
        kinds = [f.cross for f in self.fields]
        require(kinds == sorted(kinds), "fields", [f.name for f in self.fields], "crosses after all other fields")
        self._check_shared()
        require(
            self.num_rows < 2**31, "features", self.num_rows, "fewer than 2^31 ids in all; use hashing or min_count"
        )

    @property
    def base(self) -> InputSpec:
        """The same without crosses: what the embedding vectors are of."""
        return dataclasses.replace(self, fields=tuple(f for f in self.fields if not f.cross))

    def part(self, names: Collection[str]) -> InputSpec:
        """These fields and dense features alone, in the order they have here."""
        fields = tuple(f for f in self.fields if f.name in names)
        return InputSpec(fields=fields, dense=tuple(name for name in self.dense if name in names), whole=self)

    @property
    def sides(self) -> tuple[InputSpec, InputSpec]:
        """What describes the query, and what describes the item."""
        names = [*(f.name for f in self.fields), *self.dense]
        return self.part([name for name in names if name not in self.item]), self.part(self.item)

    @property
    def num_rows(self) -> int:
        """V: rows of the table, the padding row included."""
        return self.whole.num_rows if self.whole else 1 + sum(f.num_ids for f in self.fields if not f.shares)

    @property
    def num_slots(self) -> int:
        """S: id columns of a batch; equals the number of fields when none is multi-valued."""
        return sum(f.length for f in self.fields)

    @property
    def num_vectors(self) -> int:
        """F: embedding vectors a row gives; crosses give none."""
        return sum(f.num_vectors for f in self.fields)

    @property
    def num_dense(self) -> int:
        """N: dense features."""
        return len(self.dense)

    @property
    def weighted(self) -> bool:
        """Whether any field carries slot weights; then the slots of all do, those of a part too."""
        return any(f.weighted for f in (self.whole or self).fields)

    def offsets(self) -> list[int]:
        """First table row of each field; of one that shares, that of the field before it that has the rows."""
        if self.whole:
            theirs = dict(zip((f.name for f in self.whole.fields), self.whole.offsets(), strict=True))
            return [theirs[f.name] for f in self.fields]
        starts: list[int] = []
        row = 1
        for field in self.fields:
            starts.append(starts[-1] if field.shares else row)
            row += 0 if field.shares else field.num_ids
        return starts

    def slot_starts(self) -> tuple[int, ...]:
        """First slot of each run of fields with the same rows, and the number of slots: the groups of
        `Batch.distinct_of`.
        """
        rows = self.offsets()
        first = [place == 0 or row != rows[place - 1] for place, row in enumerate(rows)]
        starts = (slots.start for (_, slots), new in zip(self.slots(), first, strict=True) if new)
        return (*starts, self.num_slots)

    def places(self, part: InputSpec) -> tuple[list[int], list[int]]:
        """The slots, and the columns of dense features, that a part of this has here."""
        slots = {field.name: slots for field, slots in self.slots()}
        sparse = [slot for f in part.fields for slot in range(slots[f.name].start, slots[f.name].stop)]
        return sparse, [self.dense.index(name) for name in part.dense]

    def slots(self) -> Iterator[tuple[Field, slice]]:
        """Each field with the slots it fills."""
        start = 0
        for field in self.fields:
            yield field, slice(start, start + field.length)
            start += field.length

    def vectors(self) -> dict[str, range]:
        """Which of the F vectors are each field's, by its name."""
        found: dict[str, range] = {}
        start = 0
        for field in self.fields:
            found[field.name] = range(start, start + field.num_vectors)
            start += field.num_vectors
        return found

    def _check_shared(self) -> None:
        """A field that shares rows is directly behind the field that has them, and has the same ids."""
        if self.whole:
            return
        owner: Field | None = None
        for field in self.fields:
            if not field.shares:
                owner = field
                continue
            behind = owner is not None and (owner.name, owner.num_ids) == (field.shares, field.num_ids)
            allowed = f"fields that share {field.shares!r} directly behind it, with the same ids"
            require(behind and not field.cross, f"fields.{field.name}.shares", field.shares, allowed)


def replace(schema: Schema, **changes: Any) -> Schema:
    """A copy of `schema` with some keys changed."""
    return dataclasses.replace(schema, **changes)
