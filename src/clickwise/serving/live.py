"""`Live`: the versions that one process has open, and how others take their place between two requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from clickwise.errors import BundleError, nearest
from clickwise.serving.one_version import OneVersion
from clickwise.serving.store import Store
from clickwise.serving.traffic import Traffic

if TYPE_CHECKING:
    from clickwise.serving.engine import Engine


class Serving(NamedTuple):
    """What requests are answered with. A request takes it once, and keeps the engine it found until it is answered.

    Args:
        traffic: which of the versions answers.
        engines: those that `traffic` names, open, checked and warm.
    """

    traffic: Traffic
    engines: Mapping[int, Engine]

    def for_request(self, request_id: bytes) -> tuple[int, Engine]:
        """Number and engine of the version that answers."""
        number = self.traffic.number_for(request_id)
        return number, self.engines[number]


class Live:
    """Follows a store. Requests read `current`, which is replaced by one assignment; an old engine goes with its last
    request. A version that cannot be used is refused with its reason, and what answered before goes on answering.

    Args:
        store: whose versions to serve.
        open_engine: opens a version's folder.
    """

    def __init__(self, store: Store | OneVersion, open_engine: Callable[[Path], Engine]) -> None:
        self.store = store
        self.current: Serving | None = None
        self.refused: Mapping[int, str] = MappingProxyType({})
        self.trouble = ""
        self.swaps = 0
        self._open_engine = open_engine
        self._stamp: tuple[int, ...] | None = None
        self._changing = threading.Lock()

    def refresh(self) -> None:
        """Do what the store says, if it says something new. Whatever is wrong with a version is kept in `refused`,
        with the store itself in `trouble`.
        """
        with self._changing:
            stamp = self.store.stamp()
            if stamp == self._stamp:
                return
            self._stamp, self.trouble = stamp, ""
            try:
                traffic = self.store.traffic()
            except BundleError as error:
                self.trouble = str(error)
                return
            if traffic is not None:
                self._follow(traffic, {})

    def lead(self, number: int) -> Traffic:
        """Open a version, check it, and only then let it answer all requests, here and in the store.

        Raises:
            BundleError: there is no such version, or it was refused.
        """
        self.store.folder_of(number)
        with self._changing:
            engine = self._opened(number)
            if engine is None:
                raise BundleError(f"version {number} was refused: {self.refused[number]}")
            return self._told(self.store.lead(number), {number: engine})

    def roll_back(self) -> Traffic:
        """Go one step back, as `Traffic.back`, here and in the store.

        Raises:
            ConfigError: there is nothing to go back to.
            BundleError: the version that was live before is not there any more.
        """
        with self._changing:
            return self._told(self.store.roll_back(), {})

    def _told(self, traffic: Traffic, opened: Mapping[int, Engine]) -> Traffic:
        """Follow what this process itself has just written."""
        self._stamp, self.trouble = self.store.stamp(), ""
        self._follow(traffic, opened)
        return traffic

    def _follow(self, traffic: Traffic, opened: Mapping[int, Engine]) -> None:
        """Open what is new and swap; without the live version all stays as it is."""
        engines = {n: engine for n in traffic.numbers if (engine := opened.get(n) or self._opened(n)) is not None}
        if traffic.live not in engines:
            if self.current is not None:
                return
            fallback = next((n for n in reversed(traffic.before) if n not in self.refused and self._try(n, engines)), 0)
            if not fallback:
                return
            traffic = Traffic(live=fallback, before=tuple(n for n in traffic.before if n != fallback))
            engines = {fallback: engines[fallback]}
        if traffic.second not in engines:
            traffic = replace(traffic, second=None, share=0.0)
        if traffic.shadow not in engines:
            traffic = replace(traffic, shadow=None)
        self.current = Serving(traffic, MappingProxyType(engines))
        self.swaps += 1

    def _try(self, number: int, engines: dict[int, Engine]) -> bool:
        engine = self._opened(number)
        if engine is not None:
            engines[number] = engine
        return engine is not None

    def _opened(self, number: int) -> Engine | None:
        """The engine of a version, checked and warm; None when it is refused."""
        if self.current is not None and number in self.current.engines:
            return self.current.engines[number]
        reasons = {n: reason for n, reason in self.refused.items() if n != number}
        try:
            engine = self._open_engine(self.store.folder_of(number))
            self._compare(engine)
            engine.check()
            engine.warm_up()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the old version goes on
            self.refused = MappingProxyType({**reasons, number: str(error) or type(error).__name__})
            return None
        self.refused = MappingProxyType(reasons)
        return engine

    def _compare(self, engine: Engine) -> None:
        """Refuse a version that needs columns which the requests of the live one do not have."""
        if self.current is None:
            return
        known = self.current.engines[self.current.traffic.live].columns
        unknown = [name for name in engine.columns if name not in known]
        if unknown:
            hint = nearest(unknown[0], known)
            raise BundleError(
                f"it needs the column {unknown[0]!r}{hint}, which requests of the live version do not have; "
                "send it and start the server again"
            )
