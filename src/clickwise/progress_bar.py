"""Progress a person can watch: a live bar in a terminal, one line a stage in a log file. Always on stderr."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from clickwise import progress


class ProgressBar(progress.Progress):
    """Shows each stage with rows done, rows a second, figures such as the loss, and time left."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._stage = ""
        self._rows = 0
        self._started = 0.0
        self._figures: dict[str, float] = {}

    def start(self, stage: str, total_rows: int | None = None) -> None:
        self.finish()
        self._stage, self._rows, self._started, self._figures = stage, 0, time.perf_counter(), {}
        if self.console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._task = self._bar.add_task(stage, total=total_rows, figures="")
            self._bar.start()

    def advance(self, rows: int, **figures: float) -> None:
        self._rows += rows
        self._figures.update(figures)
        if self._bar is not None:
            self._bar.update(self._task, advance=rows, figures=self._summary())

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._stage:
            seconds = time.perf_counter() - self._started
            self.console.print(f"[dim]{self._stage}: {self._summary()}, {seconds:.1f} s[/dim]")
            self._stage = ""

    def note(self, text: str) -> None:
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        self.console.print("[yellow]warning:[/yellow] ", end="")
        self.console.print(text, markup=False)

    def _summary(self) -> str:
        seconds = max(time.perf_counter() - self._started, 1e-9)
        figures = "".join(f", {name} {value:.4f}" for name, value in self._figures.items())
        return f"{self._rows:,} rows, {self._rows / seconds:,.0f} rows/s{figures}"


def default_progress() -> progress.Progress:
    """A live bar when stderr is a terminal, else only warnings."""
    return ProgressBar() if sys.stderr.isatty() else progress.Progress()
