"""The systems that are compared, each a process in its own environment, and the race in which they take turns."""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clickwise.metrics import roc_auc
from peers.protocol import Task

ROOT = Path(__file__).resolve().parents[1]
PEERS_FOLDER = ROOT / "build" / "peers"
DATA_FOLDER = ROOT / "build" / "benchmark_data"
ANSWER_S = 900


@dataclass(frozen=True)
class Library:
    """A library that can take part.

    Args:
        own_environment: False for what runs in the environment of the driver.
        table_copies: memory in sizes of the tables (weights, state, gradients, what a step allocates), by update rule.
        precisions: what it can be asked for.
    """

    own_environment: bool
    table_copies: dict[str, float]
    precisions: tuple[str, ...] = ("fp32",)


BOTH = ("fp32", "bf16")
CLICKWISE_COPIES = {"": 3.1, "adam": 3.1, "adagrad": 2.1, "rowwise_adagrad": 1.3}
LIBRARIES = {
    "clickwise": Library(False, CLICKWISE_COPIES, BOTH),
    "torch_sparse": Library(False, {"": 2.2}, BOTH),
    "fbgemm": Library(True, {"": 1.6, "rowwise_adagrad": 1.6, "adagrad": 2.6}, BOTH),
    "fuxictr": Library(True, {"": 5.0}),
    "deepctr_torch": Library(True, {"": 5.5}),
    "torch_rechub": Library(True, {"": 5.0}),
}


@dataclass(frozen=True)
class Entry:
    """One system in a race.

    Args:
        library: what it is of.
        task: what it trains, how its tables are updated, its precision.
        kind: of task; the system is `peers/<library>_<kind>.py`.
    """

    library: str
    task: Task
    kind: str = "peer"

    @property
    def name(self) -> str:
        rule = f" {self.task.rule}" if self.task.rule else ""
        return f"{self.library}{rule} {self.task.precision}"

    def bytes_needed(self) -> float:
        """About the memory it will take."""
        copies = LIBRARIES[self.library].table_copies[self.task.rule]
        width = {"lr": 1, "dcn_v2": self.task.embedding_dim}.get(self.task.model, self.task.embedding_dim + 1)
        return 1.0e9 + 4.0 * sum(self.task.num_ids) * width * copies


def parse_system(text: str, precision: str) -> tuple[str, str, str]:
    """Library, rule and precision from `library`, `library:rule`, `library:bf16` or `library:rule:bf16`.

    >>> parse_system("clickwise:rowwise_adagrad:bf16", "fp32")
    ('clickwise', 'rowwise_adagrad', 'bf16')

    Raises:
        ValueError: something that there is not.
    """
    library, *options = text.split(":")
    if library not in LIBRARIES:
        raise ValueError(f"{library!r} is none of {', '.join(LIBRARIES)}")
    about, rule = LIBRARIES[library], ""
    precision = precision if precision in about.precisions else "fp32"
    for option in options:
        if option in about.precisions:
            precision = option
        elif option in about.table_copies:
            rule = option
        else:
            known = (*about.precisions, *filter(None, about.table_copies))
            raise ValueError(f"{option!r} is none of {', '.join(known)}, which {library} has")
    return library, rule, precision


@dataclass
class Outcome:
    """What became of an entry.

    Args:
        rates: rows a second in each counted turn.
        steps: training steps in all when the quality was measured.
        error: why there is no figure; "" when there is one.
        against: median rate of the first entry of the same heat over the median rate of this one.
    """

    entry: Entry
    rates: list[float] = field(default_factory=list)
    steps: int = 0
    log_loss: float | None = None
    auc: float | None = None
    recall: float | None = None
    peak_bytes: int = 0
    against: float | None = None
    notes: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates) if self.rates else float("nan")

    def to_data(self) -> dict[str, Any]:
        """Plain data for a file of results."""
        task = {k: v for k, v in asdict(self.entry.task).items() if k not in ("data", "scratch")}
        num_ids = self.entry.task.num_ids
        about = {"library": self.entry.library, "V": sum(num_ids), "fields": len(num_ids)}
        own = {k: v for k, v in asdict(self).items() if k != "entry"}
        return {**about, **task, "rate": self.rate if self.rates else None, **own}


class SystemFailed(Exception):
    """A system gave an error, or ended, or was silent for too long."""


class Process:
    """A system at work. A context manager: leaving it ends the process and what it started."""

    def __init__(self, entry: Entry, peers: Path, scratch: Path) -> None:
        self.entry = entry
        away = LIBRARIES[entry.library].own_environment
        python = peers / entry.library / "bin" / "python" if away else Path(sys.executable)
        if not python.exists():
            raise SystemFailed("not installed: make peers")
        script = ROOT / "benchmarks" / "peers" / f"{entry.library}_{entry.kind}.py"
        environment = {**os.environ, "OMP_NUM_THREADS": str(entry.task.threads)}
        if entry.library != "clickwise":
            environment.pop("GOMP_SPINCOUNT", None)  # which `import clickwise` sets, for itself
        if away:
            environment.pop("PYTHONPATH", None)
        self._log = (scratch / "log.txt").open("w+")
        read_end, write_end = os.pipe()
        self._answers = os.fdopen(read_end)
        self._process = subprocess.Popen(
            [str(python), str(script), str(write_end)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            pass_fds=[write_end],
            start_new_session=True,
        )
        os.close(write_end)

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request.

        Raises:
            SystemFailed: none came, or it is an error.
        """
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            ready, _, _ = select.select([self._answers], [], [], ANSWER_S)
            line = self._answers.readline() if ready else ""
        except BrokenPipeError:
            line, ready = "", [None]
        if not line:
            raise SystemFailed(self._why() if ready else f"no answer within {ANSWER_S} s")
        answer = json.loads(line)
        if "error" in answer:
            raise SystemFailed(answer["error"])
        return answer

    def _why(self) -> str:
        """What a process that ended without a word may have died of."""
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return "killed, perhaps out of memory"
        self._log.seek(0)
        return f"ended with status {status}: {(self._log.read().strip().splitlines() or [''])[-1]}"

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            self._process.stdin.write(b'{"do": "stop"}\n')
            self._process.stdin.close()
            self._process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its workers too
        self._process.wait()
        self._answers.close()
        self._log.close()


@dataclass(frozen=True)
class Rhythm:
    """How the turns go.

    Args:
        turns: counted turns of each entry.
        steps: counted steps of a turn.
        seconds: about as long as one turn may take; a slower system makes one step that is not counted and one that is.
        warm: steps at the start of a turn that are not counted: they bring caches back, and use up the batches that a
            loop read ahead while others had their turn.
    """

    turns: int
    steps: int
    seconds: float
    warm: int = 4

    @property
    def most_steps(self) -> int:
        """The steps of an entry that nothing slows down."""
        return 3 + self.turns * (self.warm + self.steps)


Quality = Callable[[Task, np.ndarray], dict[str, float]]
"""Figures of an `Outcome` by name, from what a system gave when it was asked for its scores."""


def race(
    entries: Sequence[Entry], rhythm: Rhythm, peers: Path, say: Callable[[str], None], quality: Quality | None = None
) -> list[Outcome]:
    """Let the entries take turns, and measure each at the end: unless told otherwise by `click_quality`.

    Entries that do not fit into memory together run in several heats, the first entry in each of them, so that
    everything can be compared with it. An entry that does not fit at all, or fails, is in the result with its error.
    """
    outcomes: list[Outcome] = []
    for number, heat in enumerate(heats(entries, available_memory())):
        ran = run_heat(heat, rhythm, peers, say, quality or click_quality)
        for outcome in ran[1:]:
            if ran[0].rates and outcome.rates:
                outcome.against = ran[0].rate / outcome.rate
        if number and ran[0].rates:
            outcomes[0].rates += ran[0].rates
        outcomes += ran[1:] if number else ran
    order = {entry: i for i, entry in enumerate(map(id, entries))}
    return sorted(outcomes, key=lambda outcome: order[id(outcome.entry)])


def heats(entries: Sequence[Entry], memory: float) -> Iterator[list[Entry]]:
    """Groups that fit into memory together; the first entry leads each of them."""
    lead, *others = entries
    heat, used = [lead], lead.bytes_needed()
    for entry in others:
        if len(heat) > 1 and used + entry.bytes_needed() > memory:
            yield heat
            heat, used = [lead], lead.bytes_needed()
        heat.append(entry)
        used += entry.bytes_needed()
    yield heat


def run_heat(
    heat: Sequence[Entry], rhythm: Rhythm, peers: Path, say: Callable[[str], None], quality: Quality
) -> list[Outcome]:
    """Turns of the entries of one heat."""
    outcomes = [Outcome(entry) for entry in heat]
    with ExitStack() as stack:
        running: dict[int, Process] = {}

        def attempt(i: int, work: Callable[[int], None]) -> None:
            try:
                work(i)
            except SystemFailed as failure:
                outcomes[i].error = str(failure)
                running.pop(i, None)
                say(f"{outcomes[i].entry.name}: {failure}")

        def start(i: int) -> None:
            entry = heat[i]
            if entry.bytes_needed() > available_memory():
                raise SystemFailed(f"would need about {entry.bytes_needed() / 1e9:.0f} GB")
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clickwise_race_")))
            running[i] = stack.enter_context(Process(entry, peers, scratch))
            answer = running[i].ask(do="prepare", task={**asdict(entry.task), "scratch": str(scratch)})
            outcomes[i].notes, outcomes[i].versions = answer["notes"], answer["versions"]
            plan[i] = (1, 2)
            turn(i)  # to see how fast it is; not counted
            warm_steps = rhythm.seconds / (entry.task.batch_size / outcomes[i].rates.pop())
            plan[i] = (rhythm.warm, rhythm.steps) if warm_steps >= rhythm.warm + rhythm.steps else (1, 1)
            say(f"{entry.name}: ready")

        def turn(i: int) -> None:
            warm, steps = plan[i]
            seconds = running[i].ask(do="run", warm=warm, steps=steps)["seconds"]
            outcomes[i].rates.append(steps * heat[i].task.batch_size / seconds)
            outcomes[i].steps += warm + steps

        def finish(i: int) -> None:
            outcomes[i].peak_bytes = running[i].ask(do="memory")["peak_bytes"]
            with tempfile.NamedTemporaryFile(suffix=".npy") as file:
                running[i].ask(do="score", out=file.name)
                figures = quality(heat[i].task, np.load(file.name))
            for name, value in figures.items():
                setattr(outcomes[i], name, value)

        plan: dict[int, tuple[int, int]] = {}
        for i in range(len(heat)):
            attempt(i, start)
        for _ in range(rhythm.turns):
            for i in list(running):
                attempt(i, turn)
        for i in list(running):
            attempt(i, finish)
    return outcomes


def click_quality(task: Task, probability: np.ndarray) -> dict[str, float]:
    """Log loss and AUC of click probabilities of the test rows."""
    label = np.asarray(task.array("test_label"))
    p = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    loss = -np.where(label > 0, np.log(p), np.log1p(-p)).mean()
    return {"log_loss": float(loss), "auc": float(roc_auc(p, label))}


def available_memory() -> float:
    """Bytes that processes can still take, less half a gigabyte."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return free * 1024 - 0.5e9
