"""Why an item is where it is in a list: what each stage made of it, and what its features do to its probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.errors import DataError
from clickwise.features.transform import BadCells
from clickwise.retrieval.recommender import Recommender
from clickwise.retrieval.rules import Rule


@dataclass(frozen=True, slots=True)
class Effect:
    """What a column adds.

    Args:
        column: of the request or of the item.
        value: what stands in it.
        change: by how much the log-odds of a click (without a ranking model: the score) would fall without the value,
            all else as it is. Changes of several columns do not add up where they interact.
    """

    column: str
    value: Any
    change: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item is where it is.

    Args:
        item: its id.
        place: in the list, from 1; None: it is not in it.
        steps: a sentence for each stage, in order.
        effects: of the columns, the strongest first.
    """

    item: str
    place: int | None
    steps: tuple[str, ...]
    effects: tuple[Effect, ...]

    def to_data(self) -> dict[str, Any]:
        effects = [{"column": e.column, "value": e.value, "change": e.change} for e in self.effects]
        return {"item": self.item, "place": self.place, "steps": list(self.steps), "effects": effects}

    def __str__(self) -> str:
        where = "is not in the list" if self.place is None else f"is number {self.place}"
        width = max((len(effect.column) for effect in self.effects), default=0)
        lines = [f"{e.change:+8.3f}  {e.column:<{width}}  {'' if e.value is None else e.value}" for e in self.effects]
        return "\n".join([f"{self.item} {where}", *(f"- {step}" for step in self.steps), *lines])


def explain(
    recommender: Recommender,
    request: Any,
    item: str,
    k: int = 10,
    *,
    where: Sequence[str] = (),
    allow: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
) -> Explanation:
    """Why `item` is where it is in the list of k that `recommender` gives one raw request.

    Args:
        request: one raw row.
        where, allow, exclude: as they are for that list.

    Raises:
        DataError: no such item; a request that cannot be read, or more than one.
    """
    row = int(recommender.items.rows_of([item])[0])
    if row < 0:
        raise DataError("there is no such item", value=item, fix="give the id of an item of the catalogue")
    batch = recommender.batch([request] if isinstance(request, dict) else request)
    if batch.num_rows != 1:
        raise DataError(f"{batch.num_rows} requests, and one can be explained at a time", fix="give one")
    try:
        stages = recommender.stages(batch, k, where=where, allow=allow, exclude=[list(exclude)])
    except BadCells as bad:
        raise bad.of_rows("requests") from None
    found, chosen = stages.found, stages.chosen[0]
    at = np.flatnonzero(found.rows[0] == row)
    if not len(at):
        step = _not_retrieved(recommender, batch, row, item, found.scores[0], where, allow, exclude)
        return Explanation(item, None, (step,), _effects(recommender, batch, row))
    here = int(at[0])
    among = int((found.rows[0] >= 0).sum())
    steps = [f"retrieval: number {here + 1} of {among:,}, score {found.scores[0, here]:.4f}"]
    ranked = int(np.flatnonzero(stages.order[0] == here)[0])
    if recommender.ranker:
        steps.append(f"ranking: number {ranked + 1}, probability {stages.value[0, here]:.5f}")
    steps += _caps(recommender, row, bool(stages.capped[0, here]))
    places = np.flatnonzero(chosen == here)
    place = int(places[0]) + 1 if len(places) else None
    before = int((~stages.capped[0, stages.order[0, :ranked]]).sum()) + 1
    if recommender.config.diversity and not stages.capped[0, here] and place != before:
        moved = f"to number {place}" if place else "out of the list"
        steps.append(f"diversity: from number {before} {moved}")
    elif place is None and not stages.capped[0, here]:
        steps.append(f"the list ends at number {k}")
    return Explanation(item, place, tuple(steps), _effects(recommender, batch, row))


def _not_retrieved(
    recommender: Recommender,
    batch: pa.RecordBatch,
    row: int,
    item: str,
    scores: np.ndarray,
    where: Sequence[str],
    allow: Sequence[str] | None,
    exclude: Sequence[str],
) -> str:
    """Which rule kept the item out, or that its score is too low."""
    if item in exclude:
        return "left out: it is among the items to exclude"
    if allow is not None and item not in allow:
        return "left out: it is not among the items to allow"
    for text in (*recommender.config.where, *where):
        if not recommender.items.catalogue.mask([Rule.parse(text)])[row]:
            return f"left out: {text} does not hold"
    items = recommender.items.take(np.array([row]))
    score = float((recommender.towers.queries(batch) * recommender.towers.items(items)).sum())
    lowest = float(scores[np.isfinite(scores)].min(initial=np.inf))
    return (
        f"not retrieved: score {score:.4f}, and the last of {np.isfinite(scores).sum():,} candidates has {lowest:.4f}"
    )


def _caps(recommender: Recommender, row: int, capped: bool) -> list[str]:
    """The caps of the list, where they took the item out."""
    if not capped:
        return []
    item = recommender.items.take(np.array([row]))
    named = (
        f"{column} = {item.column(column)[0].as_py()!r} at most {most} times"
        for column, most in recommender.config.caps.items()
    )
    return [f"cap: left out by {', '.join(named)}"]


def _effects(recommender: Recommender, batch: pa.RecordBatch, row: int) -> tuple[Effect, ...]:
    """Of each column the change when it is emptied: a row for each, beside the row as it is."""
    item = recommender.items.take(np.array([row]))
    stage = recommender.ranker
    request_columns = stage.pairing.request.columns if stage else recommender.towers.query.columns
    item_columns = stage.pairing.item.columns if stage else recommender.towers.item.columns
    whole = {name: batch.column(name) for name in request_columns} | {name: item.column(name) for name in item_columns}
    names = list(whole)
    every = np.arange(len(names) + 1)  # row 0 as it is, row n without the nth column
    columns = [
        values.take(pa.array(np.zeros(len(every), np.int64), mask=every == at))
        for at, values in enumerate(whole.values(), start=1)
    ]
    data = pa.RecordBatch.from_arrays(columns, names=names)
    if stage:
        value = stage.bundle.score(data).astype(np.float64)
    else:
        value = (recommender.towers.queries(data) * recommender.towers.items(data)).sum(1).astype(np.float64)
    found = [
        Effect(name, whole[name][0].as_py(), float(value[0] - value[at])) for at, name in enumerate(names, start=1)
    ]
    return tuple(sorted(found, key=lambda effect: -abs(effect.change)))
