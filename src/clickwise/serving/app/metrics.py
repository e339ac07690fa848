"""What Prometheus reads. With several workers each keeps its numbers in a file of `PROMETHEUS_MULTIPROC_DIR`, and
whoever is asked adds up all of them; `clickwise serve` sets that up.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from clickwise.serving.features.lookups import LookedUp

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SHARED = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = tuple(base * 10.0**power for power in (-4, -3, -2, -1, 0) for base in (1, 1.5, 2, 3, 5, 7))
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 700, 1000, 2000, 5000, 10_000)
_AGES = (1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400, 3 * 86_400, 7 * 86_400, 30 * 86_400)
_DIFFERENCES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0)


class Metrics:
    """The numbers of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by route and status.", "route", "status")
        self._requests: dict[tuple[str, int], Counter] = {}
        self.seconds = self._histogram(
            "request_seconds", "From the headers to the answer, but for the turned away.", "route"
        )
        self.waiting_seconds = self._histogram(
            "waiting_seconds", "From the arrival of the body to the begin of the work."
        )
        self.scoring_seconds = self._histogram("scoring_seconds", "Of the work itself.")
        self.candidates = self._histogram("candidates", "Candidates of a request.", buckets=_ROWS)
        self.answers = self._counter("answers", "Scored requests by the version that answered.", "version")
        self.keys = self._counter(
            "store_keys", "Keys that were looked up, by what became of them.", "entity", "outcome"
        )
        self.store_seconds = self._histogram(
            "store_seconds", "Of a look-up, which is one an entity a request.", "entity"
        )
        self.store_age = self._histogram(
            "store_age_seconds", "Since the oldest value of a look-up was loaded.", "entity", buckets=_AGES
        )
        self.served = self._counter(
            "served", "Requests to be kept as they were served, by what became of them.", "outcome"
        )
        self.swaps = self._counter("swaps", "How often other versions took over in a worker.")
        self.refused = self._gauge("refused_versions", "Versions that were refused and are wanted.", "max")
        self.live = self._gauge("live_version", "The version that answers; the smallest of all workers.", "livemin")
        self.waiting = self._gauge("waiting", "Requests that wait to be scored.", "livesum")
        self.shadow = self._counter("shadow", "Requests for the shadow by what became of them.", "outcome")
        self.shadow_difference = self._histogram(
            "shadow_difference", "Largest difference of a request's logits, shadow and live.", buckets=_DIFFERENCES
        )

    def request(self, route: str, status: int) -> None:
        """One more."""
        count = self._requests.get((route, status))
        if count is None:
            count = self._requests[route, status] = self.requests.labels(route, str(status))
        count.inc()

    def forget_dead(self) -> None:
        """Leave what dead workers had at the moment out of the sums; what they counted stays."""
        for file in Path(os.environ.get(SHARED, os.devnull)).glob("gauge_live*_*.db"):
            pid = int(file.stem.rpartition("_")[2])
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                mark_process_dead(pid)

    def text(self) -> bytes:
        """All of them, of all workers, as Prometheus reads them."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)

    def looked_up(self, found: LookedUp) -> None:
        """A look-up of an entity."""
        outcomes = {"known": found.known, "refused": found.refused, "unknown": found.unknown - found.refused}
        if not found.reached:
            outcomes = {"unreached": found.unknown}
        for outcome, count in outcomes.items():
            if count:
                self.keys.labels(found.entity, outcome).inc(count)
        self.store_seconds.labels(found.entity).observe(found.seconds)
        if found.age_s is not None:
            self.store_age.labels(found.entity).observe(found.age_s)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"clickwise_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, mode: str) -> Gauge:
        return Gauge(f"clickwise_{name}", what, registry=self.registry, multiprocess_mode=mode)  # type: ignore[arg-type]

    def _histogram(self, name: str, what: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
        return Histogram(f"clickwise_{name}", what, labels, registry=self.registry, buckets=buckets)
