"""What inference found about each column, what became of it and why."""

from __future__ import annotations

from dataclasses import dataclass

from clickwise.schema import Schema

_MOST_NAMES = 30
NOT_USED = "not used"
"""The decision on a column that no declared feature reads, where those are the whole list."""


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """What was found about a column and what became of it.

    Args:
        name: of the column.
        type: its logical type.
        distinct: different values in the sample.
        missing_fraction: share of the sample without a value.
        decision: its role, its transforms, or "dropped".
        reason: why.
    """

    name: str
    type: str
    distinct: int
    missing_fraction: float
    decision: str
    reason: str


@dataclass(frozen=True, slots=True)
class InferredSchema:
    """A complete schema, how each column came into it, and what a user should look at."""

    schema: Schema
    columns: tuple[ColumnReport, ...]
    warnings: tuple[str, ...]

    def unread(self) -> str | None:
        """One line about the columns that only were not declared; None when there are none."""
        names = [c.name for c in self.columns if c.decision == NOT_USED]
        if not names:
            return None
        count = "1 column is" if len(names) == 1 else f"{len(names)} columns are"
        shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
        return f"{count} not read, for features are declared: {shown}; schema.infer = true adds what can be a feature"

    def table(self) -> str:
        """One line a column, for people."""
        head = ("column", "type", "distinct", "missing", "becomes", "because")
        rows = [
            (c.name, c.type, f"{c.distinct:,}", f"{c.missing_fraction:.1%}", c.decision, c.reason) for c in self.columns
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        right = (2, 3)
        lines = []
        for row in [head, *rows]:
            cells = (c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)
