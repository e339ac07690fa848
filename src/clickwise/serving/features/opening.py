"""Which kind of store a place names: `snapshot:FOLDER`, `lmdb:FOLDER` or `redis://HOST`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clickwise.config import require
from clickwise.serving.features.entity import Entity
from clickwise.serving.features.lmdb_store import LmdbLoader, LmdbStore
from clickwise.serving.features.redis_store import RedisLoader, RedisStore
from clickwise.serving.features.snapshot import SnapshotLoader, SnapshotStore
from clickwise.serving.features.store import FeatureStore, Loader, Stores

_REDIS = ("redis", "rediss", "unix")
_ALLOWED = "snapshot:FOLDER, lmdb:FOLDER or redis://HOST:PORT/DB"


@contextmanager
def open_stores(entities: Sequence[Entity]) -> Iterator[Stores]:
    """The stores of entities; those of one place share one.

    Raises:
        ConfigError: an entity without a store, or with one of no known kind.
        BundleError: a store on this machine is not there, or damaged. One in the network need not be there yet.
        MissingExtraError: a library is not installed.
    """
    with ExitStack() as closing:
        opened: dict[tuple[str, float], FeatureStore] = {}
        found: dict[str, FeatureStore] = {}
        for entity in entities:
            remote = entity.store.partition(":")[0] in _REDIS
            which = entity.store, entity.timeout_s if remote else 0.0
            if which not in opened:
                opened[which] = _store(entity)
                closing.callback(opened[which].close)
            found[entity.name] = opened[which]
        yield Stores(tuple(entities), found)


def open_loader(place: str) -> Loader:
    """What fills the store at a place.

    Raises:
        ConfigError: it is of no known kind.
        MissingExtraError: a library is not installed.
    """
    kind, _, rest = place.partition(":")
    require(bool(rest) and kind in ("snapshot", "lmdb", *_REDIS), "--to", place, _ALLOWED)
    if kind == "snapshot":
        return SnapshotLoader(Path(rest))
    return LmdbLoader(Path(rest)) if kind == "lmdb" else RedisLoader(place)


def _store(entity: Entity) -> FeatureStore:
    kind, _, rest = entity.store.partition(":")
    known = bool(rest) and kind in ("snapshot", "lmdb", *_REDIS)
    require(known, f"entities.{entity.name}.store", entity.store, _ALLOWED)
    if kind == "snapshot":
        return SnapshotStore(Path(rest))
    return LmdbStore(Path(rest)) if kind == "lmdb" else RedisStore(entity.store, entity.timeout_s)
