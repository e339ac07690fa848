"""Entities, as a TOML file declares them, and the stores that they name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clickwise.errors import BundleError, ConfigError
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.features.entity import Entity, read_entities
from clickwise.serving.features.opening import open_loader, open_stores

TOML = """
[[entities]]
name = "user"
key = "user_id"
columns = ["age", "segment"]
store = "lmdb:stores/users"
ttl_s = 3600

[[entities]]
name = "ad"
key = "ad_id"
columns = ["category"]
store = "redis://127.0.0.1:6379/0"
"""
USER = Entity(name="user", key="user_id", columns=("age",))


def test_a_file_of_entities(tmp_path: Path) -> None:
    path = tmp_path / "entities.toml"
    path.write_text(TOML)
    found = read_entities(path)
    user, ad = found.entities
    assert user == Entity(
        name="user", key="user_id", columns=("age", "segment"), store=f"lmdb:{tmp_path / 'stores/users'}", ttl_s=3600.0
    )
    assert ad.store == "redis://127.0.0.1:6379/0" and found.named("ad") == ad
    with pytest.raises(ConfigError, match=r"--entity: got 'cat'.*user, ad"):
        found.named("cat")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('name = "a/b"\nkey = "k"\ncolumns = ["c"]', "letters, digits"),
        ('name = "a"\nkey = "k"\ncolumns = []', "at least one column"),
        ('name = "a"\nkey = "k"\ncolumns = ["c", "c"]', "each column once"),
        ('name = "a"\nkey = "k"\ncolumns = ["k"]', "columns beside the key"),
        ('name = "a"\nkey = "k"\ncolumns = ["c"]\nttl_s = -1', "seconds >= 0"),
        ('name = "a"\nkey = "k"\ncolumns = ["c"]\ntimeout_s = 0', "seconds > 0"),
        ('name = "a"\nkey = "k"\ncolums = ["c"]', "did you mean 'columns'"),
        ('name = "user"\nkey = "k"\ncolumns = ["c"]', "each name once"),
        ('name = "a"\nkey = "k"\ncolumns = ["age"]', "each column in one entity"),
        ('name = "a"\nkey = "age"\ncolumns = ["c"]', "a column that no entity has"),
    ],
)
def test_what_is_refused(tmp_path: Path, wrong: str, message: str) -> None:
    path = tmp_path / "entities.toml"
    path.write_text(f"{TOML}\n[[entities]]\n{wrong}\n")
    with pytest.raises(ConfigError, match=message):
        read_entities(path)


def test_a_server_refuses_entities_that_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="each name once"):
        ServerConfig(entities=(USER, USER))


def test_places_of_no_known_kind(tmp_path: Path) -> None:
    for place in ("", "lmdb:", "s3://bucket", str(tmp_path)):
        with pytest.raises(ConfigError, match=r"entities.user.store.*snapshot:FOLDER"):
            open_stores([replace(USER, store=place)]).__enter__()
        with pytest.raises(ConfigError, match=r"--to.*snapshot:FOLDER"):
            open_loader(place)
    with pytest.raises(BundleError, match="there is no such store; `clickwise features load` makes one"):
        open_stores([replace(USER, store=f"lmdb:{tmp_path / 'nowhere'}")]).__enter__()
    with pytest.raises(ConfigError, match="no address of a Redis server"):
        open_loader("redis://host:notaport/0")


def test_entities_of_one_place_share_a_store(tmp_path: Path) -> None:
    other = Entity(name="ad", key="ad_id", columns=("category",), store=f"snapshot:{tmp_path}")
    with open_stores([replace(USER, store=f"snapshot:{tmp_path}"), other]) as stores:
        assert stores.by_name["user"] is stores.by_name["ad"]
