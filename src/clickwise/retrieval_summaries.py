"""What the verbs of retrieval report: data for machines (`to_data`), a plain-text table for people (`str`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from clickwise.evaluation.retrieval import Comparison, RetrievalReport
from clickwise.evaluation.table import number, table
from clickwise.retrieval.recommender import Recommendation, Recommender
from clickwise.summaries import aligned

_WIDEST = 24
_QUERIES = {
    "held out": "held-out requests",
    "given": "requests, the same that tuned it",
    "items": "items in place of requests: give --queries to know it of requests",
}


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What a recommender holds.

    Args:
        recommender: the saved one.
        folder: where it is.
    """

    recommender: Recommender
    folder: Path

    def to_data(self) -> dict[str, Any]:
        items, ranker = self.recommender.items, self.recommender.ranker
        newer = 0 if items.newer is None else len(items.newer)
        return {
            "recommender": str(self.folder),
            "items": len(items),
            "since_build": newer,
            "kind": items.kind,
            "dimension": items.dim,
            "measured": asdict(items.measured),
            "ranker": ranker.bundle.model_name if ranker else None,
            "columns": list(self.recommender.columns),
        }

    def __str__(self) -> str:
        data, measured = self.to_data(), self.recommender.items.measured
        queries = f"{measured.num_queries:,} {_QUERIES[measured.queries]}"
        recall = f"{measured.recall:.1%} of the best {measured.k} items, mean over {queries}"
        since = f", {data['since_build']:,} rows added or changed since" if data["since_build"] else ""
        facts = [
            ("items", f"{data['items']:,} of dimension {data['dimension']}{since}"),
            ("index", f"{data['kind']}, {measured.size_bytes / 1e6:,.0f} MB, built in {measured.build_s:.1f} s"),
            ("found", recall),
            ("search", f"{measured.median_ms:.2f} ms a query (median), {measured.p99_ms:.2f} ms (99 %), one thread"),
            ("ranker", data["ranker"] or "none: lists are in the order of retrieval"),
            ("a request has", ", ".join(data["columns"])),
        ]
        return "\n".join(
            [
                f"recommender {self.folder}",
                *aligned(facts),
                f"next: clickwise recommend {self.folder} REQUESTS --out lists.parquet",
            ]
        )


@dataclass(frozen=True, slots=True)
class ListSummary:
    """One list, with what is known of its items.

    Args:
        found: the list.
        items: all columns of its items, in the same order.
    """

    found: Sequence[Recommendation]
    items: pa.RecordBatch

    def to_data(self) -> dict[str, Any]:
        pairs = zip(self.found, self.items.to_pylist(), strict=True)
        return {"items": [{**asdict(one), "columns": columns} for one, columns in pairs]}

    def __str__(self) -> str:
        if not self.found:
            return "no item is left under these rules"
        names = self.items.schema.names
        rows = [
            [
                str(one.place),
                number(one.probability, 5),
                number(one.score, 4),
                str(one.retrieved),
                *(_short(columns[name]) for name in names),
            ]
            for one, columns in zip(self.found, self.items.to_pylist(), strict=True)
        ]
        header = ["place", "probability", "score", "retrieved", *names]
        return "\n".join(table(header, rows, left=range(4, len(header))))


@dataclass(frozen=True, slots=True)
class RecommendationSummary:
    """What a run of recommendations wrote.

    Args:
        out: the file.
        requests: requests that could be read.
        rows: places of all lists.
        quarantined: requests that could not be read.
        quarantine: the file they went to.
        seconds: wall time.
    """

    out: Path
    requests: int
    rows: int
    quarantined: int
    quarantine: str | None
    seconds: float

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "out": str(self.out)}

    def __str__(self) -> str:
        rate = self.requests / self.seconds if self.seconds else 0.0
        text = f"wrote {self.rows:,} places of {self.requests:,} lists to {self.out} ({rate:,.0f} requests/s)"
        if self.quarantined:
            text += f"\n{self.quarantined:,} requests could not be read; they are in {self.quarantine}"
        return text


@dataclass(frozen=True, slots=True)
class CascadeReport:
    """How well each stage of a cascade finds what queries should find.

    Args:
        report: all stages beside each other, the last first.
        comparisons: of each stage with the one before.
    """

    report: RetrievalReport
    comparisons: tuple[Comparison, ...]

    def to_data(self) -> dict[str, Any]:
        found = {f"{after} less {before}": c.to_data() for c in self.comparisons for before, after in [c.names]}
        return {**self.report.to_data(), "comparisons": found}

    def __str__(self) -> str:
        titles = {"index": "what the index loses", "cascade": "what ranking adds"}
        parts = [f"{titles[c.names[1]]}, query by query\n{c}" for c in self.comparisons]
        return "\n\n".join([str(self.report), *parts])


def _short(value: Any) -> str:
    text = "|".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."
