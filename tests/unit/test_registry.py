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


def test_what_is_registered_in_a_block_can_be_forgotten_and_a_name_given_anew() -> None:
    registry: Registry[object] = Registry("thing")
    registry.register("kept")(1)
    with pytest.raises(ZeroDivisionError), registry.unchanged():
        registry.register("new")(2)
        registry.replace("kept", 3)
        assert (registry.get("new"), registry.get("kept")) == (2, 3)
        raise ZeroDivisionError
    assert list(registry) == ["kept"]
    assert registry.get("kept") == 1
