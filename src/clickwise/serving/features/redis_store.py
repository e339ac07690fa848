"""Redis, Valkey and what else speaks their protocol: values over the network, one a key, fetched in one round."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from clickwise.errors import ConfigError, DataError, MissingExtraError
from clickwise.serving.features.layout import Found, Layout
from clickwise.serving.features.store import FeatureStore, Loader, Writer

PASSWORD = "CLICKWISE_REDIS_PASSWORD"
_PAUSE_S = 1.0
"""After a failure nobody asks for so long: requests must not wait one after the other for a server that is gone."""
_AT_ONCE = 4
_LOADING_TIMEOUT_S = 30.0


class RedisStore(FeatureStore):
    """A reader that waits no longer than it is told, whatever the network does.

    Args:
        url: `redis://HOST:PORT/DB`; the password may be in the environment instead, as CLICKWISE_REDIS_PASSWORD.
        timeout_s: longest wait.

    Raises:
        MissingExtraError: redis is not installed.
        ConfigError: the URL is none.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.place = _shown(url)
        self._redis, self._errors = _client(url, timeout_s)
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="clickwise-redis")
        self._not_before_s = 0.0

    def _get(self, layout: Layout, keys: pa.Array, until_s: float) -> Found:
        asked = [(place, _name(layout, key)) for place, key in enumerate(keys.to_pylist()) if key]
        values: list[bytes | None] = [None] * len(keys)
        now = time.perf_counter()
        wait_s = min(self._timeout_s, until_s - now)
        if asked and (now < self._not_before_s or wait_s <= 0):
            return layout.nothing(len(keys), reached=False)
        if asked:
            job = self._threads.submit(self._redis.mget, [name for _, name in asked])
            try:
                found = job.result(wait_s)
            except self._errors:  # too late is one of them
                job.cancel()
                self._not_before_s = time.perf_counter() + _PAUSE_S
                return layout.nothing(len(keys), reached=False)
            for (place, _), value in zip(asked, found, strict=True):
                values[place] = value
        return layout.unpack_bytes(keys, values)

    def stamps(self, entity: str) -> set[bytes]:
        """See `FeatureStore.stamps`."""
        try:
            return set(self._redis.smembers(_stamps_name(entity)))
        except self._errors:
            return set()

    def refresh(self) -> None:
        """Nothing to do: `get` sees it."""

    def close(self) -> None:
        """See `FeatureStore.close`."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._redis.close()


class RedisLoader(Loader):
    """Adds values and replaces those of the same key; where the entity has a TTL, the server forgets them by itself.

    Args:
        url: see `RedisStore`.
    """

    def __init__(self, url: str) -> None:
        self.place = _shown(url)
        self._redis, self._errors = _client(url, _LOADING_TIMEOUT_S)

    @contextmanager
    def loading(self, layout: Layout) -> Iterator[Writer]:
        """See `Loader.loading`. Readers see each value that is written at once."""
        try:
            yield _RedisWriter(self._redis, layout)
            self._redis.sadd(_stamps_name(layout.entity.name), layout.stamp)
        except self._errors as error:
            raise DataError(f"cannot be written to: {error}", file=self.place, fix="is the server there?") from None
        finally:
            self._redis.close()


class _RedisWriter(Writer):
    def __init__(self, redis: Any, layout: Layout) -> None:
        self._redis, self._layout = redis, layout
        self._expire_ms = round(layout.entity.ttl_s * 1000) or None

    def write(self, keys: pa.Array, records: np.ndarray) -> None:
        """See `Writer.write`."""
        raw, size = records.tobytes(), records.dtype.itemsize
        together = self._redis.pipeline(transaction=False)
        for place, key in enumerate(keys.to_pylist()):
            together.set(_name(self._layout, key), raw[place * size : (place + 1) * size], px=self._expire_ms)
        together.execute()


def _name(layout: Layout, key: str) -> str:
    return f"clickwise:{layout.entity.name}:{layout.stamp.hex()}:{key}"


def _stamps_name(entity: str) -> str:
    return f"clickwise:{entity}"


def _shown(url: str) -> str:
    """Without a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _client(url: str, timeout_s: float) -> tuple[Any, tuple[type[Exception], ...]]:
    """A client, and what it raises when something is wrong."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise MissingExtraError("a store redis://...", "redis") from None
    password = {"password": os.environ[PASSWORD]} if PASSWORD in os.environ else {}
    timeouts = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    try:
        client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **timeouts, **password)
    except ValueError as error:
        raise ConfigError("store", f"{_shown(url)}: is no address of a Redis server: {error}") from None
    return client, (redis.RedisError, OSError)
