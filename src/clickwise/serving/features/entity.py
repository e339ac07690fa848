"""`Entity`: a key column and the raw columns that it determines, as a user and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from clickwise.config import build, read_toml, require

MAX_KEY_BYTES = 256
"""A longer key is no id: it is never stored, and never found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entity:
    """Something that requests name by an id instead of sending all that is known of it.

    Args:
        name: what it is called, such as user.
        key: the raw column whose value is the id; a request that has it gets the rest looked up.
        columns: the raw columns that the key determines.
        store: where the values are: `snapshot:FOLDER`, `lmdb:FOLDER` or `redis://HOST:PORT/DB`.
        ttl_s: values that were loaded longer ago are not used; 0: they stay good.
        timeout_s: longest wait for the store, where it is not in this machine.
    """

    name: str
    key: str
    columns: tuple[str, ...]
    store: str = ""
    ttl_s: float = 0.0
    timeout_s: float = 0.02

    def __post_init__(self) -> None:
        plain = self.name.isascii() and self.name.replace("-", "").replace("_", "").isalnum()
        require(plain, "name", self.name, "letters, digits, - and _")
        require(bool(self.key), "key", self.key, "the name of a column")
        require(bool(self.columns), "columns", self.columns, "at least one column")
        for column in self.columns:
            require(self.columns.count(column) == 1, "columns", column, "each column once")
        require(self.key not in self.columns, "columns", self.key, "columns beside the key, which requests send")
        require(self.ttl_s >= 0, "ttl_s", self.ttl_s, "seconds >= 0")
        require(self.timeout_s > 0, "timeout_s", self.timeout_s, "seconds > 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entities:
    """All of a server.

    Args:
        entities: no two of one name, or with a column in common.
    """

    entities: tuple[Entity, ...] = ()

    def __post_init__(self) -> None:
        names = [entity.name for entity in self.entities]
        owned = [column for entity in self.entities for column in entity.columns]
        for entity in self.entities:
            require(names.count(entity.name) == 1, "entities", entity.name, "each name once")
            require(entity.key not in owned, f"entities.{entity.name}.key", entity.key, "a column that no entity has")
        for column in owned:
            require(owned.count(column) == 1, "entities", column, "each column in one entity")

    def named(self, name: str) -> Entity:
        """The one that is called so.

        Raises:
            ConfigError: there is none.
        """
        names = ", ".join(entity.name for entity in self.entities) or "there is none"
        found = next((entity for entity in self.entities if entity.name == name), None)
        require(found is not None, "--entity", name, f"the name of an entity: {names}")
        assert found is not None
        return found


def read_entities(path: Path) -> Entities:
    """The `[[entities]]` of a TOML file. Folders of stores are seen from where the file lies.

    Raises:
        ConfigError: no such file, or it says something that is not allowed.
    """
    told = build(Entities, read_toml(path))
    return Entities(entities=tuple(replace(each, store=_located(each.store, path.parent)) for each in told.entities))


def _located(store: str, folder: Path) -> str:
    kind, colon, place = store.partition(":")
    on_disk = kind in ("snapshot", "lmdb") and bool(colon)
    return f"{kind}:{folder / Path(place).expanduser()}" if on_disk else store
