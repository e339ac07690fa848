"""Plain-text tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Lines of aligned cells, the columns `left` to the left, the others to the right; empty columns are left out.

    >>> print("\\n".join(table(["metric", "value", "+-"], [["roc_auc", "0.75", ""], ["ece", "0.001", ""]])))
    metric   value
    roc_auc   0.75
    ece      0.001
    """
    shown = [i for i in range(len(header)) if i == 0 or any(row[i] for row in rows)]
    cells = [[row[i] for i in shown] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(shown))]
    return [
        "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, c, w in zip(shown, row, widths, strict=True)).rstrip()
        for row in cells
    ]


def number(value: float | None, digits: int = 4, sign: str = "") -> str:
    """A number for people: fixed digits, "-" where it is not defined, nothing where there is none."""
    if value is None:
        return ""
    return "-" if math.isnan(value) else f"{value:{sign}.{digits}f}"
