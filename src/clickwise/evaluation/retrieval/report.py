"""What an evaluation of retrieval found, for people (`str`) and for machines (`to_data`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clickwise.evaluation.retrieval.comparison import interval
from clickwise.evaluation.retrieval.measured import Figure, Measured, finite
from clickwise.evaluation.retrieval.slices import Slices
from clickwise.evaluation.table import number, table
from clickwise.retrieval.held_out import HeldOut

_SHOWN_K = 20


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """How well systems find what queries should find.

    Args:
        systems: by name; the first is the one the report is about, the others are baselines.
        held_out: what was to be found.
        slices: of items and queries by training interactions; None when these are not known.
        source: what was measured, in the user's words: a path, "frame".
        quarantined: rows that could not be read and are in no figure.
        seconds: time it took.
    """

    systems: Mapping[str, Measured]
    held_out: HeldOut
    slices: Slices | None = None
    source: str = ""
    quarantined: int = 0
    seconds: float = 0.0

    @property
    def metrics(self) -> dict[str, float]:
        """Of the first system, by name, such as `recall_at_20`."""
        return {name: figure.value for name, figure in self._first.figures().items()}

    @property
    def stderr(self) -> dict[str, float]:
        """Their standard errors."""
        return {name: figure.stderr for name, figure in self._first.figures().items()}

    @property
    def _first(self) -> Measured:
        return next(iter(self.systems.values()))

    def to_data(self) -> dict[str, Any]:
        """The report as JSON can hold it; nan becomes null."""
        (name, first), *others = self.systems.items()
        return {
            "source": self.source,
            "queries": len(self.held_out),
            "relevant": int(self.held_out.num_relevant.sum()),
            "relevant_not_in_corpus": self._absent,
            "relevant_left_out": self._left_out,
            "items": self.held_out.num_items,
            "quarantined": self.quarantined,
            "seconds": round(self.seconds, 3),
            "system": name,
            **first.to_data(),
            "baselines": {other: measured.to_data() for other, measured in others},
            "item_slices": self._item_slices(),
            "query_slices": self._query_slices(),
        }

    def __str__(self) -> str:
        parts = [self._headline(), self._metrics_table()]
        if self.slices is not None:
            parts += [self._item_table(), self._query_table()]
        return "\n\n".join("\n".join(lines) for lines in parts)

    @property
    def _absent(self) -> int:
        """Relevant items that are no item of the corpus."""
        return int(self.held_out.num_relevant.sum()) - len(self.held_out.relevant.rows)

    @property
    def _left_out(self) -> int:
        """Relevant items that are left out for the same query."""
        pairs = [
            lists.query * self.held_out.num_items + lists.rows
            for lists in (self.held_out.relevant, self.held_out.excluded)
        ]
        return len(np.intersect1d(pairs[0], pairs[1], assume_unique=True))

    def _headline(self) -> list[str]:
        name = f"{self.source}: " if self.source else ""
        held_out = self.held_out
        counts = f"{len(held_out):,} queries, {held_out.num_relevant.sum():,} relevant items"
        lines = [f"{name}{counts}, {held_out.num_items:,} items to find them among, {self.seconds:.1f} s"]
        if self._absent:
            lines.append(f"relevant items that are not among those, and count as missed: {self._absent:,}")
        if self._left_out:
            lines.append(f"relevant items that the query has in training, so left out and missed: {self._left_out:,}")
        if self.quarantined:
            lines.append(f"{self.quarantined:,} rows could not be read and are not counted")
        return lines

    def _metrics_table(self) -> list[str]:
        figures = {name: measured.figures() for name, measured in self.systems.items()}
        header = ["metric", *(cell for name in figures for cell in (name, "95 %"))]
        names = next(iter(figures.values()))
        return table(header, [[name, *_cells(found.get(name) for found in figures.values())] for name in names])

    def _item_table(self) -> list[str]:
        """Recall by how often an item was chosen in training, and the share of places that such items are given."""
        at, k = self._shown
        header = ["chosen in training", "items", "relevant"]
        rows = [[s["interactions"], f"{s['items']:,}", f"{s['relevant']:,}"] for s in self._item_slices()]
        for name, measured in self.systems.items():
            header += [name, "95 %", "of places"]
            assert measured.slice_recall is not None and measured.slice_share is not None
            for part, row in enumerate(rows):
                row += _cells([Figure.mean(measured.slice_recall[:, part, at])])
                row.append(f"{measured.slice_share[part, at]:.1%}")
        shown = [row for row in rows if row[1:3] != ["0", "0"]]
        return [f"recall_at_{k} of relevant items by how often they were chosen in training", *table(header, shown)]

    def _query_table(self) -> list[str]:
        """Recall by how many items a query has in the training log."""
        at, k = self._shown
        assert self.slices is not None
        header = ["items in training", "queries"]
        rows = [[s["interactions"], f"{s['queries']:,}"] for s in self._query_slices()]
        for name, measured in self.systems.items():
            header += [name, "95 %"]
            for part, row in enumerate(rows):
                row += _cells([Figure.mean(measured.values["recall"][self.slices.query == part, at])])
        shown = [row for row in rows if row[1] != "0"]
        return [f"recall_at_{k} of queries by how many items they have in training", *table(header, shown)]

    @property
    def _shown(self) -> tuple[int, int]:
        """Which length tables of slices are of."""
        ks = self._first.ks
        at = ks.index(_SHOWN_K) if _SHOWN_K in ks else 0
        return at, ks[at]

    def _item_slices(self) -> list[dict[str, Any]]:
        if self.slices is None:
            return []
        items = np.bincount(self.slices.item, minlength=len(self.slices))
        found = []
        for part, label in enumerate(self.slices.labels):
            systems = {}
            for name, measured in self.systems.items():
                assert measured.slice_recall is not None and measured.slice_share is not None
                recall = [Figure.mean(measured.slice_recall[:, part, at]) for at in range(len(measured.ks))]
                systems[name] = {
                    f"{what}_at_{k}": finite(value)
                    for at, k in enumerate(measured.ks)
                    for what, value in (
                        ("recall", recall[at].value),
                        ("recall_stderr", recall[at].stderr),
                        ("share_of_places", float(measured.slice_share[part, at])),
                    )
                }
            relevant = int(self.slices.relevant[:, part].sum())
            found.append({"interactions": label, "items": int(items[part]), "relevant": relevant, "systems": systems})
        return found

    def _query_slices(self) -> list[dict[str, Any]]:
        if self.slices is None:
            return []
        found = []
        for part, label in enumerate(self.slices.labels):
            inside = self.slices.query == part
            systems = {name: _inside(measured, inside).to_data() for name, measured in self.systems.items()}
            found.append({"interactions": label, "queries": int(inside.sum()), "systems": systems})
        return found


def _inside(measured: Measured, inside: np.ndarray) -> Measured:
    """Of some of the queries [Q] bool."""
    return Measured(ks=measured.ks, values={name: values[inside] for name, values in measured.values.items()})


def _cells(figures: Iterable[Figure | None]) -> list[str]:
    cells = (("", "") if figure is None else (number(figure.value), interval(figure)) for figure in figures)
    return [cell for pair in cells for cell in pair]
