"""Two systems on the same queries: what one adds, query by query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clickwise.evaluation.report import Z95
from clickwise.evaluation.retrieval.measured import Figure, Measured, finite
from clickwise.evaluation.table import number, table


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `after` has more than `before`: of retrieval and then ranking, of an exact index and then a faster one.

    Differences are taken query by query, so that their intervals are far narrower than those of either system.

    Args:
        names: of both, such as ("retrieval", "retrieval and ranking").
        before, after: measured at the same lengths on the same queries.
        slices: labels of the slices of items, if both were measured by them.
    """

    names: tuple[str, str]
    before: Measured
    after: Measured
    slices: Sequence[str] = ()

    def differences(self) -> dict[str, Figure]:
        """after - before by name, such as `recall_at_20`, with the standard error of the paired difference."""
        return {
            f"{name}_at_{k}": Figure.mean(self.after.values[name][:, at] - values[:, at])
            for name, values in self.before.values.items()
            for at, k in enumerate(self.before.ks)
        }

    def slice_differences(self) -> dict[str, Figure]:
        """The same of recall by slice of items, such as `recall_at_20, items chosen 1 to 5 times`."""
        before, after = self.before.slice_recall, self.after.slice_recall
        if before is None or after is None:
            return {}
        return {
            f"recall_at_{k}, items chosen {label} times": Figure.mean(after[:, part, at] - before[:, part, at])
            for part, label in enumerate(self.slices)
            for at, k in enumerate(self.before.ks)
        }

    def to_data(self) -> dict[str, Any]:
        """`differences` and `stderr` by name; nan becomes null."""
        found = self.differences() | self.slice_differences()
        return {
            "before": {"name": self.names[0], **self.before.to_data()},
            "after": {"name": self.names[1], **self.after.to_data()},
            "differences": {name: finite(figure.value) for name, figure in found.items()},
            "stderr": {name: finite(figure.stderr) for name, figure in found.items()},
        }

    def __str__(self) -> str:
        before, after = (system.figures() for system in (self.before, self.after))
        rows = [
            [name, number(before[name].value), number(after[name].value), *_signed(figure)]
            for name, figure in self.differences().items()
        ]
        rows += [[name, "", "", *_signed(figure)] for name, figure in self.slice_differences().items()]
        return "\n".join(table(["metric", *self.names, "difference", "95 %"], rows))


def _signed(figure: Figure) -> list[str]:
    return [number(figure.value, 4, "+"), interval(figure)]


def interval(figure: Figure) -> str:
    """The half-width of a 95 % interval, in words; nothing where it is not known."""
    return "" if figure.stderr != figure.stderr else f"± {Z95 * figure.stderr:.4f}"
