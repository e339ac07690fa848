"""Which reader reads requests here."""

from __future__ import annotations

from collections.abc import Mapping

from clickwise.native import requests
from clickwise.serving.engine.compiled_reader import CompiledReader
from clickwise.serving.engine.request import Reader
from clickwise.serving.engine.slow_reader import SlowReader


def reader_of(kinds: Mapping[str, str]) -> Reader:
    """The compiled reader; without kernels, its twin."""
    return CompiledReader(kinds) if requests.compiled() else SlowReader(kinds)
