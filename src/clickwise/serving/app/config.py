"""`ServerConfig`: all that a server can be told."""

from __future__ import annotations

import os
from dataclasses import dataclass

from clickwise.config import require
from clickwise.serving.features.entity import Entities, Entity


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """Limits hold for each worker.

    Args:
        host: address to listen at; the default can be reached from this machine alone.
        port: all workers share it.
        workers: processes; 0: one a core.
        api_key: what `Authorization: Bearer ...` must carry for all but health, readiness and the documentation; empty:
            everyone may score, nobody may change which version answers.
        model_name: what the Open Inference Protocol calls the model.
        max_body_bytes: of a request; more is answered with 413.
        max_candidates: of a request.
        max_waiting: requests that wait to be scored; one more is answered with 503.
        max_held_bytes: of all bodies that are being read or wait; a request beyond it is answered with 503.
        max_connections: connections that are open at the same time; more wait until others leave, and beyond twice as
            many they are closed.
        header_s: longest time for the headers of a request, after which the connection is closed.
        body_s: longest time for its body; more is answered with 408.
        deadline_s: how long the server may take for a request that has arrived; one that would take longer is answered
            with 503 at once, before its body is read. It may ask for less by `Clickwise-Deadline-Ms`.
        drain_s: after SIGTERM, how long `/readyz` says no before connections are refused.
        stop_s: and how long requests may then take to be answered.
        poll_s: how often a worker looks whether another version is to answer.
        log_share: share of the requests that are logged, in [0, 1], where nothing is wrong; all others are. Those that
            were turned away because of too many others are counted, every `poll_s`.
        entities: what requests may name by an id instead of sending all of it.
        served_folder: where requests are kept as they were served, as Parquet, to train on and for `clickwise skew`;
            empty: nowhere.
        served_share: share of the scored requests that are kept, in [0, 1].
        served_rows: candidates of a file; one more begins the next.
        served_s: after so long a file is written, however few there are.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 0
    api_key: str = ""
    model_name: str = "clickwise"
    max_body_bytes: int = 4 << 20
    max_candidates: int = 2_000
    max_waiting: int = 64
    max_held_bytes: int = 256 << 20
    max_connections: int = 4_096
    header_s: float = 5.0
    body_s: float = 5.0
    deadline_s: float = 1.0
    drain_s: float = 1.0
    stop_s: float = 30.0
    poll_s: float = 0.5
    log_share: float = 1.0
    entities: tuple[Entity, ...] = ()
    served_folder: str = ""
    served_share: float = 0.01
    served_rows: int = 20_000
    served_s: float = 60.0

    def __post_init__(self) -> None:
        require(bool(self.host), "host", self.host, "an address, such as 127.0.0.1")
        require(1 <= self.port <= 65_535, "port", self.port, "1 to 65535")
        require(self.workers >= 0, "workers", self.workers, "a whole number >= 0")
        plain = self.api_key.isascii() and self.api_key.isprintable() and " " not in self.api_key
        require(plain, "api_key", "a key", "printable ASCII without spaces")
        named = self.model_name.replace("-", "").replace("_", "").isalnum() and self.model_name.isascii()
        require(named, "model_name", self.model_name, "letters, digits, - and _")
        for key in (
            "max_body_bytes",
            "max_candidates",
            "max_waiting",
            "max_held_bytes",
            "max_connections",
            "served_rows",
        ):
            require(getattr(self, key) >= 1, key, getattr(self, key), "a whole number >= 1")
        for key in ("header_s", "body_s", "deadline_s", "stop_s", "poll_s", "served_s"):
            require(getattr(self, key) > 0, key, getattr(self, key), "seconds > 0")
        require(self.drain_s >= 0, "drain_s", self.drain_s, "seconds >= 0")
        for key in ("log_share", "served_share"):
            require(0.0 <= getattr(self, key) <= 1.0, key, getattr(self, key), "a number in [0, 1]")
        Entities(entities=self.entities)  # refuses what does not go together

    @property
    def num_workers(self) -> int:
        """How many processes there are."""
        return self.workers or len(os.sched_getaffinity(0))
