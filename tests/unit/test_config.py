from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pytest

from clickwise.config import build, read_toml, require, set_path, to_data
from clickwise.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.1

    def __post_init__(self) -> None:
        require(0 < self.rate < 1, "rate", self.rate, "a number in (0, 1)")


@dataclass(frozen=True, kw_only=True)
class Outer:
    size: int
    name: str = "x"
    kind: Literal["a", "b"] = "a"
    dims: tuple[int, ...] = (1, 2)
    inner: Inner = field(default_factory=Inner)
    limit: int | None = None
    table: dict[str, float] = field(default_factory=dict)


def test_round_trip() -> None:
    made = build(Outer, {"size": 3, "dims": [4], "inner": {"rate": 0.5}, "limit": 7, "table": {"q": 1}})
    assert made == Outer(size=3, dims=(4,), inner=Inner(rate=0.5), limit=7, table={"q": 1.0})
    assert build(Outer, to_data(made)) == made


@pytest.mark.parametrize(
    ("data", "key", "words"),
    [
        ({"size": 1, "nam": "y"}, "top.nam", "did you mean 'name'"),
        ({}, "top.size", "required"),
        ({"size": "1"}, "top.size", "'1'"),
        ({"size": True}, "top.size", "a whole number"),
        ({"size": 1.0}, "top.size", "a whole number"),
        ({"size": 1, "kind": "c"}, "top.kind", "'a', 'b'"),
        ({"size": 1, "dims": "12"}, "top.dims", "a list"),
        ({"size": 1, "dims": [1, "2"]}, "top.dims[1]", "'2'"),
        ({"size": 1, "inner": {"rate": 2.0}}, "top.inner.rate", "(0, 1)"),
        ({"size": 1, "inner": {"rat": 2.0}}, "top.inner.rat", "did you mean 'rate'"),
        ({"size": 1, "limit": "many"}, "top.limit", "'many'"),
        ({"size": 1, "table": {"q": "z"}}, "top.table.q", "a number"),
        ({"size": 1, "table": []}, "top.table", "a table"),
    ],
)
def test_mistakes_name_key_got_and_allowed(data: dict, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, data, "top")
    assert str(caught.value).startswith(f"{key}: ")
    assert words in str(caught.value)


def test_set_path_reads_toml_values_and_falls_back_to_text() -> None:
    data: dict = {"a": {"b": 1}}
    for assignment in ("a.b=2", "a.c=[1, 2]", "a.d=plain text", 'x."dotted.name".y=true', "e=1e-3"):
        set_path(data, assignment)
    assert data == {"a": {"b": 2, "c": [1, 2], "d": "plain text"}, "x": {"dotted.name": {"y": True}}, "e": 1e-3}


@pytest.mark.parametrize("assignment", ["novalue", "=3", "a..b=1", "a.b.c=1"])
def test_set_path_refuses(assignment: str) -> None:
    with pytest.raises(ConfigError):
        set_path({"a": {"b": 1}}, assignment)


def test_read_toml_names_the_file(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file"):
        read_toml(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_text("a = [1,\n")
    with pytest.raises(ConfigError, match=r"bad\.toml: is not valid TOML"):
        read_toml(tmp_path / "bad.toml")
