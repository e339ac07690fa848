"""The `[tune]` section of a config: which keys of `[model]` and `[training]` are searched, and where.

[tune]
"training.optimizer.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"training.embedding_l2" = { low = 0.0, high = 0.1 }
"model.embedding_dim" = { low = 4, high = 32 }               # whole numbers when both ends are
"model.hidden_dims" = { choices = [[64], [256, 128]] }
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clickwise.config import build, require
from clickwise.errors import ConfigError

_SECTIONS = ("model", "training")


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones when both are. `log`: as likely in each power of ten."""

    low: int | float
    high: int | float
    log: bool = False

    def __post_init__(self) -> None:
        require(self.low < self.high, "high", self.high, f"a number above low = {self.low}")
        require(not self.log or self.low > 0, "low", self.low, "a number above 0 when log is true")

    def ends(self) -> list[Any]:
        """Values that must be allowed for all to be."""
        return [self.low, self.high]

    def suggest(self, trial: Any, path: str) -> Any:
        """A value, by an Optuna trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(path, self.low, self.high, log=self.log)
        return trial.suggest_float(path, float(self.low), float(self.high), log=self.log)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """One of several values, of any type that the key has."""

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        require(len(self.choices) > 1, "choices", list(self.choices), "a list of two values or more")

    def ends(self) -> list[Any]:
        """Values that must be allowed for all to be."""
        return list(self.choices)

    def suggest(self, trial: Any, path: str) -> Any:
        """A value, by an Optuna trial, which knows it as JSON: a list is no choice that it can store."""
        return json.loads(trial.suggest_categorical(path, [json.dumps(choice) for choice in self.choices]))


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Path of a key, such as `model.dropout`, -> where its value is searched."""

    parameters: Mapping[str, Range | Choices]

    def suggest(self, trial: Any) -> list[str]:
        """The settings of one trial: `path=value`, as `--set` takes them."""
        return [setting(path, parameter.suggest(trial, path)) for path, parameter in self.parameters.items()]

    def ends(self) -> Iterator[str]:
        """Settings that must each be allowed for the space to be."""
        for path, parameter in self.parameters.items():
            for value in parameter.ends():
                yield setting(path, value)


def search_space(data: Mapping[str, Any]) -> SearchSpace:
    """The search space that plain data describes.

    Raises:
        ConfigError: there is none, a path that is not searched, an unknown key, a range that is none.
    """
    if not data:
        raise ConfigError("tune", 'is missing; name keys to search: "model.dropout" = { low = 0.0, high = 0.5 }')
    parameters: dict[str, Range | Choices] = {}
    for path, table in data.items():
        if path.split(".")[0] not in _SECTIONS or "." not in path:
            raise ConfigError(f'tune."{path}"', 'is not searched; allowed are keys such as "model.dropout", in quotes')
        kind: type[Any] = Choices if isinstance(table, Mapping) and "choices" in table else Range
        parameters[path] = build(kind, table, f'tune."{path}"')
    return SearchSpace(parameters)


def setting(path: str, value: Any) -> str:
    """`path=value`, the value as JSON, which TOML reads the same."""
    return f"{path}={json.dumps(value)}"
