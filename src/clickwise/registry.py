"""Names for the things a user can choose: models, feature transforms, update rules, metrics.

A class is registered once, in the file that defines it. A registered class carries a nested frozen `Config`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from clickwise.errors import ConfigError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """A mapping from name to registered thing, with errors that name the nearest known name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._things: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers a class or function under `name`. A name can be taken once."""

        def add(thing: T) -> T:
            if name in self._things:
                raise ConfigError("", f"{self.kind} {name!r} is registered twice")
            self._things[name] = thing
            return thing

        return add

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
        for name, known in self._things.items():
            if kind is known or kind is getattr(known, "Config", None):
                return name
        raise ConfigError("", f"{kind.__qualname__} is not a registered {self.kind}")

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

register_model = models.register
register_transform = transforms.register
register_update_rule = update_rules.register
register_metric = metrics.register


def load_user_file(spec: str) -> Any:
    """The object that `path/to/file.py:Name` names, imported from the user's own file.

    Raises:
        ConfigError: no such file, no such name, or the file cannot be imported.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise ConfigError("model", f"no such file: {file}")
    module_name = f"clickwise_user_{path.stem}"
    found = importlib.util.spec_from_file_location(module_name, path)
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    sys.modules[module_name] = module
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise ConfigError("model", f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise ConfigError("model", f"{file} defines no {name!r}{nearest(name, vars(module))}")
    return getattr(module, name)
