"""`ParameterGroup`: parameters named by a pattern, and how they are updated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from clickwise.config import require
from clickwise.errors import ConfigError
from clickwise.registry import update_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterGroup:
    """How the parameters are updated whose names a pattern matches.

    Args:
        parameters: pattern of names as `state_dict` has them, with `*` for any text, such as `wide.*`.
        optimizer: `Config` of a registered update rule; None leaves it to the settings for all.
        l2: lambda; lambda * w is added to the gradient, in a table of the touched rows only. None: as for all.
        decay: share of a weight, times the learning rate, that every step takes away (see `Optimizer`). None: as for
            all.
    """

    parameters: str
    optimizer: Any = None
    l2: float | None = None
    decay: float | None = None

    def __post_init__(self) -> None:
        require(bool(self.parameters), "parameters", self.parameters, "a pattern of parameter names")
        for key in ("l2", "decay"):
            value = getattr(self, key)
            require(value is None or 0.0 <= value < float("inf"), key, value, "a number >= 0, or none")
        if self.optimizer is not None:
            require_rule("optimizer", self.optimizer)


def group_of(name: str, groups: Sequence[ParameterGroup]) -> ParameterGroup | None:
    """The first group whose pattern matches; None where there is none."""
    return next((group for group in groups if fnmatchcase(name, group.parameters)), None)


def require_matches(groups: Sequence[ParameterGroup], names: Iterable[str]) -> None:
    """Raise a `ConfigError` if a group is the group of no parameter."""
    known = list(names)
    used = [group_of(name, groups) for name in known]
    for i, group in enumerate(groups):
        if not any(group is other for other in used):
            raise ConfigError(
                f"groups[{i}].parameters",
                f"{group.parameters!r} is the first pattern to match none of the parameters {', '.join(known)}",
            )


def require_rule(key: str, config: Any) -> None:
    """Raise a `ConfigError` unless `config` is the `Config` of a registered update rule."""
    known = any(isinstance(config, update_rules.get(name).Config) for name in update_rules)
    require(known, key, config, f"the Config of one of {', '.join(update_rules)}")
