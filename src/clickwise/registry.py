"""Names for the things a user can choose: models, feature transforms, update rules, metrics, indexes.

A class is registered once, in the file that defines it. A registered class carries a nested frozen `Config`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from clickwise.errors import ConfigError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from name to registered thing, with errors that name the nearest known name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}
        self._names: dict[Any, str] = {}  # of things and of their nested Config

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers a class or function under `name`. A name can be taken once."""

        def add(thing: T) -> T:
            if name in self._things:
                raise ConfigError("", f"{self.kind} {name!r} is registered twice")
            self.replace(name, thing)
            return thing

        return add

    def replace(self, name: str, thing: T) -> None:
        """Register `thing` as `name`, whatever had that name before."""
        self._take(self._things | {name: thing})

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """What is registered inside the block is forgotten at its end."""
        before = dict(self._things)
        try:
            yield
        finally:
            self._take(before)

    def get(self, name: str, path: str = "") -> T:
        """The thing registered as `name`.

        Raises:
            ConfigError: no such name; lists the known ones and the nearest.
        """
        if name not in self._things:
            hit = nearest(name, self._things)
            raise ConfigError(path, f"unknown {self.kind} {name!r}{hit}; known are {', '.join(sorted(self._things))}")
        return self._things[name]

    def name_of(self, thing: Any) -> str:
        """The name of a registered class, or of the class whose nested `Config` this is (class or instance).

        Raises:
            ConfigError: it is not registered here.
        """
        kind = thing if isinstance(thing, type) else type(thing)
        if kind not in self._names:
            raise ConfigError("", f"{kind.__qualname__} is not a registered {self.kind}")
        return self._names[kind]

    def _take(self, things: dict[str, T]) -> None:
        pairs = [(known, name) for name, thing in things.items() for known in (thing, getattr(thing, "Config", None))]
        self._things, self._names = things, {known: name for known, name in reversed(pairs) if known is not None}

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))

    def __len__(self) -> int:
        return len(self._things)


models: Registry[Any] = Registry("model")
transforms: Registry[Any] = Registry("transform")
update_rules: Registry[Any] = Registry("optimizer")
metrics: Registry[Any] = Registry("metric")
indexes: Registry[Any] = Registry("index")
retrieval_metrics: Registry[Any] = Registry("retrieval metric")

register_model = models.register
register_transform = transforms.register
register_update_rule = update_rules.register
register_metric = metrics.register
register_index = indexes.register
register_retrieval_metric = retrieval_metrics.register


def is_file_model(name: str) -> bool:
    """Whether the name of a model is of the form `FILE:CLASS`: a class in a file of the user's, of no shipped model."""
    return ":" in name
