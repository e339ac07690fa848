"""What is sent: requests from a file, or made up for the columns that a server says it reads."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from clickwise.errors import ClickwiseError, DataError

MLPERF_CANDIDATES = (100, 100, *[200] * 12, 300, 300, 400, 500, 600, 700)
"""Twenty quantiles of MLPerf's DLRM benchmark: items that are scored for one user, 270 on average."""

_MADE = 40
_MOST_READ = 1000
_DISTINCT = 10_000
_LONGEST_LIST = 5


def read_bodies(path: str | Path) -> list[bytes]:
    """Bodies of requests from a file with one a line, at most its first thousand.

    Raises:
        DataError: there is no such file, it is empty, or a line is no JSON object.
    """
    bodies: list[bytes] = []
    try:
        with Path(path).open("rb") as file:
            for row, line in enumerate(file, 1):
                if not isinstance(json.loads(line), dict):
                    raise DataError("is no JSON object", file=str(path), row=row)
                bodies.append(line.strip())
                if row == _MOST_READ:
                    break
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from None
    except (ValueError, RecursionError):
        raise DataError("is no JSON object", file=str(path), row=len(bodies) + 1) from None
    if not bodies:
        raise DataError("has no requests", file=str(path), fix="write one a line")
    return bodies


def made_bodies(kinds: Mapping[str, str], candidates: int | None, seed: int = 7) -> list[bytes]:
    """Bodies with made-up cells, all columns with the candidates.

    Args:
        kinds: of the columns, as `Engine.kinds`.
        candidates: of each; None: as in `MLPERF_CANDIDATES`, each quantile equally often.
    """
    chance = np.random.default_rng(seed)
    sizes = [candidates] * _MADE if candidates is not None else [*MLPERF_CANDIDATES] * (_MADE // 20)
    chance.shuffle(sizes)
    return [
        json.dumps(
            {"candidates": [{name: _cell(kind, chance) for name, kind in kinds.items()} for _ in range(size)]}
        ).encode()
        for size in sizes
    ]


def columns_of(url: str, key: str) -> dict[str, str]:
    """Kinds of the columns of the version that is live at a server.

    Raises:
        ClickwiseError: it cannot be asked, or nothing is live.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/models", headers=headers), timeout=10) as answer:
            told: Any = json.load(answer)
        live = told["traffic"]["live"]
        found = {version["number"]: version["columns"] for version in told["versions"]}
        return dict(found[live])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClickwiseError(
            f"{url}: does not say which columns it reads ({error}); is `clickwise serve` there?"
        ) from None


def _cell(kind: str, chance: np.random.Generator) -> Any:
    if kind == "number":
        return round(float(chance.lognormal()), 3)
    if kind == "time":
        return int(chance.integers(1_700_000_000, 1_800_000_000))
    if kind == "list":
        return [str(one) for one in chance.integers(0, _DISTINCT, chance.integers(1, _LONGEST_LIST + 1))]
    return str(chance.integers(0, _DISTINCT))
