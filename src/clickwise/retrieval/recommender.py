"""`Recommender`: from a raw request to a ranked list, retrieve -> filter -> rank -> cap -> diversify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from clickwise.bundle import Towers
from clickwise.config import require
from clickwise.data.frames import rows_to_batch
from clickwise.errors import BundleError
from clickwise.features.transform import BadCells
from clickwise.retrieval.found import Found
from clickwise.retrieval.item_index import Excluded, ItemIndex
from clickwise.retrieval.lists import diversified, within_caps
from clickwise.retrieval.ranking import RankStage
from clickwise.retrieval.rules import Rule

_DIVERSE_AMONG = 5
"""Diversity chooses k items among so many times k."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecommenderConfig:
    """What a recommender does with every request.

    Args:
        candidates: items to retrieve and rank; at least as many as are asked for.
        where: rules that every recommended item fulfils, such as `price<=5` (see `Rule.parse`).
        caps: the most items of one list that have the same value of a column, such as {"advertiser_id": 2}.
        diversity: w in [0, 1) of `diversified`, by the items' vectors; 0 leaves the order as ranked.
        constants: values of columns that requests lack, such as {"position": 1}: what the ranking model is to assume.
    """

    candidates: int = 500
    where: tuple[str, ...] = ()
    caps: dict[str, int] = field(default_factory=dict)
    diversity: float = 0.0
    constants: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.candidates >= 1, "candidates", self.candidates, "a whole number >= 1")
        require(0.0 <= self.diversity < 1.0, "diversity", self.diversity, "a number in [0, 1)")
        for column, most in self.caps.items():
            require(most >= 1, f"caps.{column}", most, "a whole number >= 1")
        for rule in self.where:
            Rule.parse(rule)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One place of a list.

    Args:
        item: its id.
        place: from 1.
        probability: of a click, by the ranking model; None without one.
        score: dot product of the request's vector and the item's.
        retrieved: its place among what was retrieved, from 1.
    """

    item: str
    place: int
    probability: float | None
    score: float
    retrieved: int


class Ranked(NamedTuple):
    """Lists of Q requests, best first.

    Args:
        rows: [Q, k] int64 rows of the items; -1 where a list is shorter.
        value: [Q, k] what they are ordered by, but for caps and diversity: probabilities, or scores without a ranking
            model; -inf where a list is shorter.
        score: [Q, k] float32, of retrieval.
        retrieved: [Q, k] int64, places among what was retrieved, from 0.
    """

    rows: np.ndarray
    value: np.ndarray
    score: np.ndarray
    retrieved: np.ndarray

    @property
    def found(self) -> Found:
        """As any search gives it."""
        return Found(self.rows, self.value.astype(np.float32))


class Stages(NamedTuple):
    """What became of the N candidates of Q requests.

    Args:
        found: what was retrieved.
        value: [Q, N] what it is ranked by; -inf where nothing was found.
        order: [Q, N] candidates by falling value.
        capped: [Q, N] bool, candidates that a cap leaves out.
        chosen: of each request, the candidates of its list.
    """

    found: Found
    value: np.ndarray
    order: np.ndarray
    capped: np.ndarray
    chosen: list[np.ndarray]


@dataclass(frozen=True)
class Recommender:
    """Towers and an index that find candidates, perhaps a model that ranks them, and rules for the list.

    It is immutable and can be used by several threads: `with_items` and `without_items` give another that shares all
    that did not change.

    Args:
        towers: make the vectors of requests, and of items.
        items: the catalogue and its index.
        config: rules for every list.
        ranker: gives probabilities; None leaves the order of retrieval.
    """

    towers: Towers
    items: ItemIndex
    config: RecommenderConfig
    ranker: RankStage | None = None

    def __post_init__(self) -> None:
        if self.items.dim != self.towers.dim:
            raise BundleError(f"the index has vectors of {self.items.dim} numbers, the towers make {self.towers.dim}")
        if self.ranker is not None and len(self.ranker) != len(self.items.catalogue):
            raise BundleError(
                f"the ranker knows {len(self.ranker):,} items, the catalogue {len(self.items.catalogue):,}"
            )
        known = self.items.catalogue.columns
        for column in self.config.caps:
            require(column in known, f"caps.{column}", column, f"a column of the items: {', '.join(known)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a request has."""
        ranked = self.ranker.pairing.request.columns if self.ranker else ()
        needed = dict.fromkeys([*self.towers.query.columns, *ranked])
        return tuple(name for name in needed if name not in self.config.constants)

    def recommend(
        self,
        requests: Any,
        k: int = 10,
        *,
        where: Sequence[str] = (),
        allow: Sequence[str] | None = None,
        exclude: Excluded | None = None,
    ) -> list[list[Recommendation]]:
        """A list for each request.

        Args:
            requests: raw rows that have `columns`: a list of dicts, a dict of columns, or any Arrow frame.
            k: longest list.
            where: more rules, such as `category=shoes`.
            allow: ids of the only items that may come; None: all.
            exclude: for each request the ids that may not come, such as those that were seen, or their rows.

        Raises:
            DataError: a column is missing, or a cell cannot be read; names row (from 1), column and value.
            ConfigError: a rule that cannot be read, or of a column that items do not have.
        """
        batch = self.batch(requests)
        try:
            ranked = self.rank(batch, k, where=where, allow=allow, exclude=exclude)
        except BadCells as bad:
            raise bad.of_rows("requests") from None
        ids = np.full(ranked.rows.shape, None, object)
        ids[ranked.rows >= 0] = self.items.ids_of(ranked.rows[ranked.rows >= 0])
        return [
            [
                Recommendation(
                    item=ids[q, at],
                    place=at + 1,
                    probability=float(ranked.value[q, at]) if self.ranker else None,
                    score=float(ranked.score[q, at]),
                    retrieved=int(ranked.retrieved[q, at]) + 1,
                )
                for at in np.flatnonzero(ranked.rows[q] >= 0).tolist()
            ]
            for q in range(len(ranked.rows))
        ]

    def batch(self, requests: Any) -> pa.RecordBatch:
        """Requests as one record batch, with the constants.

        Raises:
            DataError: a column is missing, or its values do not fit each other.
        """
        data = rows_to_batch(requests, self.columns)
        constants = {name: pa.repeat(value, data.num_rows) for name, value in self.config.constants.items()}
        return pa.RecordBatch.from_arrays([*data.columns, *constants.values()], names=[*self.columns, *constants])

    def check(self, requests: pa.RecordBatch) -> None:
        """Refuse requests whose cells cannot be read, without making lists.

        Raises:
            BadCells: all of them of one stage.
        """
        self.towers.query.encode(requests)
        if self.ranker is not None:
            self.ranker.pairing.request.encode(requests)

    def rank(
        self,
        requests: pa.RecordBatch,
        k: int,
        *,
        where: Sequence[str] = (),
        allow: Sequence[str] | None = None,
        exclude: Excluded | None = None,
    ) -> Ranked:
        """The lists of what `batch` gives; see `recommend`.

        Raises:
            BadCells: cells of the requests that cannot be read, all of them of one stage.
            ConfigError: a rule that cannot be read, or of a column that items do not have.
        """
        stages = self.stages(requests, k, where=where, allow=allow, exclude=exclude)
        rows = np.full((requests.num_rows, k), -1, np.int64)
        value = np.full(rows.shape, -np.inf)
        score = np.full(rows.shape, -np.inf, np.float32)
        retrieved = np.full(rows.shape, -1, np.int64)
        for q, chosen in enumerate(stages.chosen):
            rows[q, : len(chosen)] = stages.found.rows[q, chosen]
            value[q, : len(chosen)] = stages.value[q, chosen]
            score[q, : len(chosen)] = stages.found.scores[q, chosen]
            retrieved[q, : len(chosen)] = chosen
        return Ranked(rows, value, score, retrieved)

    def stages(
        self,
        requests: pa.RecordBatch,
        k: int,
        *,
        where: Sequence[str] = (),
        allow: Sequence[str] | None = None,
        exclude: Excluded | None = None,
    ) -> Stages:
        """All that `rank` does, candidate by candidate; raises what it does."""
        require(k >= 1, "k", k, "a whole number >= 1")
        rules = [Rule.parse(rule) for rule in (*self.config.where, *where)]
        vectors, most = self.towers.queries(requests), max(self.config.candidates, k)
        found = self.items.search(vectors, most, where=rules, allow=allow, exclude=exclude)
        value = self._values(requests, found)
        order = np.argsort(-value, axis=1, kind="stable")
        capped = np.zeros(value.shape, bool)
        for column, most in self.config.caps.items():
            kinds = self.items.catalogue.codes(column)
            for q in range(len(order)):
                left = order[q][~capped[q, order[q]]]
                here = np.where(found.rows[q, left] >= 0, kinds[found.rows[q, left]], -1)
                capped[q, left[~within_caps(here, most)]] = True
        chosen = [self._chosen(found.rows[q], value[q], order[q], capped[q], k) for q in range(len(order))]
        return Stages(found, value, order, capped, chosen)

    def with_items(self, items: pa.Table) -> Recommender:
        """The same with these items added, or changed where their ids are there already.

        Args:
            items: with the columns of the catalogue.

        Raises:
            DataError: a column is missing, an id comes twice, or a cell cannot be read.
        """
        columns = self.items.catalogue.columns
        data = rows_to_batch(items, columns)
        try:
            vectors = self.towers.items(data)
            table = pa.Table.from_batches([data])
            ranker = self.ranker and self.ranker.followed_by(table)
        except BadCells as bad:
            raise bad.of_rows("items") from None
        return replace(self, items=self.items.upserted(table, vectors), ranker=ranker)

    def without_items(self, ids: Sequence[str]) -> Recommender:
        """The same without these items; ids that are not there are ignored."""
        return replace(self, items=self.items.removed(ids))

    def _values(self, requests: pa.RecordBatch, found: Found) -> np.ndarray:
        """[Q, N]"""
        if self.ranker is None:
            return found.scores.astype(np.float64)
        value = np.full(found.rows.shape, -np.inf)
        there = found.rows >= 0
        which = np.broadcast_to(np.arange(len(value))[:, None], value.shape)[there]
        value[there] = self.ranker.probabilities(requests, which, found.rows[there])
        return value

    def _chosen(self, rows: np.ndarray, value: np.ndarray, order: np.ndarray, capped: np.ndarray, k: int) -> np.ndarray:
        """The candidates of one list, best first."""
        left = order[(rows[order] >= 0) & ~capped[order]]
        if not self.config.diversity or len(left) <= 1:
            return left[:k]
        among = left[: _DIVERSE_AMONG * k]
        vectors = self.towers.items(self.items.catalogue.take(rows[among], self.towers.item.columns))
        relevance = value[among] if self.ranker else value[among] - value[among].min()
        return among[diversified(relevance, vectors, k, self.config.diversity)]
