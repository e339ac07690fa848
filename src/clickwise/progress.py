"""What long work says while it runs. The base class is silent; the command line shows a live bar."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from clickwise.errors import ClickwiseWarning


class Progress:
    """A listener to long work: stages with rows done, notes and warnings. This one shows only warnings."""

    def start(self, stage: str, total_rows: int | None = None) -> None:
        """A stage begins; `total_rows` is None when it cannot be known."""

    def advance(self, rows: int, **figures: float) -> None:
        """`rows` more rows are done; `figures` (such as loss) are shown beside them."""

    def finish(self) -> None:
        """The stage is over."""

    def validated(self, figures: Mapping[str, float]) -> None:
        """A validation of a training run, as it is in the history: epoch, step, ..., log_loss, roc_auc.

        What this raises ends the run.
        """

    def note(self, text: str) -> None:
        """One line of information."""

    def warn(self, text: str) -> None:
        """One line that a user should act on."""
        warnings.warn(text, ClickwiseWarning, stacklevel=3)
