"""What a search found: data for machines, a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clickwise.evaluation.table import number, table


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One run of a search.

    Args:
        number: from 0 on.
        state: "complete", "pruned" (stopped: worse than the median of the others at that validation) or "failed".
        value: best validation figure; None when there is none.
        settings: `path=value` of the searched keys.
        seconds: wall time.
        error: why it failed.
    """

    number: int
    state: str
    value: float | None
    settings: tuple[str, ...]
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class TuningSummary:
    """The trials of a search, of all calls that went on with it.

    Args:
        monitor: the validation metric that was searched for.
        trials: in the order they ran.
        best: number of the best one; None when none was completed.
        out: folder of the search.
        interrupted: ended by Ctrl-C; the same call goes on.
    """

    monitor: str
    trials: Sequence[Trial]
    best: int | None
    out: Path
    interrupted: bool

    def to_data(self) -> dict[str, Any]:
        return {**asdict(self), "out": str(self.out), "trials": [asdict(trial) for trial in self.trials]}

    def __str__(self) -> str:
        paths = [setting.partition("=")[0] for setting in self.trials[0].settings] if self.trials else []
        rows = []
        for trial in self.trials:
            values = [_short(setting.partition("=")[2]) for setting in trial.settings]
            state = "best" if trial.number == self.best else trial.state
            cells = [str(trial.number), state, number(trial.value, 5), f"{trial.seconds:.1f}"]
            rows.append([*cells, *values, *[""] * (len(paths) - len(values))])
        lines = table(["trial", "", f"valid {self.monitor}", "seconds", *paths], rows, left=(1,))
        lines += [f"trial {trial.number}: {trial.error}" for trial in self.trials if trial.error]
        if self.interrupted:
            lines += ["", "stopped by Ctrl-C; the same call goes on from here"]
        if self.best is not None:
            best = self.out / "best.toml"
            lines += ["", f"best run written to {best}", f"next: clickwise train DATA --config {best} --out runs/best"]
        return "\n".join(lines)


def _short(text: str) -> str:
    """A number with four digits, anything else as it is."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text
