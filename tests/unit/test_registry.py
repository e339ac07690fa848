from __future__ import annotations

from dataclasses import dataclass

import pytest

from clickwise.errors import ConfigError
from clickwise.registry import Registry


def test_a_name_is_taken_once_and_errors_name_the_nearest() -> None:
    registry: Registry[type] = Registry("thing")

    @registry.register("first")
    class First:
        @dataclass(frozen=True)
        class Config:
            size: int = 1

    assert registry.get("first") is First
    assert registry.name_of(First) == registry.name_of(First.Config) == registry.name_of(First.Config()) == "first"
    assert list(registry) == ["first"]
    with pytest.raises(ConfigError, match="twice"):
        registry.register("first")(First)
    said = r"x\.name: unknown thing 'frist' \(did you mean 'first'\?\); known are first"
    with pytest.raises(ConfigError, match=said):
        registry.get("frist", "x.name")
    with pytest.raises(ConfigError, match="not a registered thing"):
        registry.name_of(int)
