"""What stands in for a model in tests of the server: sealed folders that hold a number, and engines that answer it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from clickwise.errors import BundleError, RequestError
from clickwise.sealed import name_of
from clickwise.serving.engine import Explained, Scores
from clickwise.serving.version import VERSION

KINDS = {"user": "text", "item": "text", "price": "number", "tags": "list"}


def version_folder(folder: Path, logit: float = 0.0, **faults: Any) -> Path:
    """A folder with the seal of a version; the stand-in below answers `logit` + price."""
    folder.mkdir(parents=True)
    (folder / "graph.onnx").write_text(json.dumps({"logit": logit, **faults}))
    (folder / "tables").mkdir()
    (folder / "tables" / "table.npy").write_bytes(b"rows")
    VERSION.write(folder, {"model": {"name": "stand-in"}})
    return folder


class StandIn:
    """Has the face of an `Engine`. Faults: `refuses`, `columns`, `card`, `example`. `works` is called before each
    answer.
    """

    def __init__(self, folder: Path, works: Callable[[], None] = lambda: None) -> None:
        self.told = json.loads((folder / "graph.onnx").read_text())
        self.version = name_of(folder)
        self.features = "features"
        self.card: Mapping[str, Any] = {"model": {"name": "stand-in"}, **self.told.get("card", {})}
        self.kinds = {**KINDS, **dict.fromkeys(self.told.get("columns", ()), "text")}
        self.columns = tuple(self.kinds)
        candidates = [{"item": f"i{n}", "price": n} for n in range(3)]
        self.example = self.told.get("example", {"user": {"user": "u"}, "candidates": candidates})
        self.works = works
        self.warm = False

    @classmethod
    def open(cls, folder: Path) -> Any:
        return cls(folder)

    def check(self) -> None:
        if "refuses" in self.told:
            raise BundleError(self.told["refuses"])

    def warm_up(self) -> None:
        self.warm = True

    def score_json(self, body: bytes, *, max_candidates: int, until_s: float = 0.0) -> Scores:
        try:
            request = json.loads(body)
            rows = [{**(request.get("user") or {}), **row} for row in request["candidates"]]
            prices = [float(row.get("price") or 0.0) for row in rows]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise RequestError(f"is no request: {error}") from None
        if len(rows) > max_candidates:
            raise RequestError(f"has {len(rows)} candidates, allowed are {max_candidates}")
        return self._scores(prices)

    def explain_json(self, body: bytes, *, max_candidates: int, max_rows: int, until_s: float = 0.0) -> Explained:
        """The price is all that counts."""
        scores = self.score_json(body, max_candidates=max_candidates)
        data = json.loads(body)
        rows = [{**(data.get("user") or {}), **row} for row in data["candidates"]]
        columns = tuple(dict.fromkeys(name for row in rows for name in row if name in self.kinds))
        best = np.argsort(-scores.logits, kind="stable")[: max_rows // max(len(columns), 1)]
        effects = [[float(rows[n].get("price") or 0.0) * (name == "price") for name in columns] for n in best]
        return Explained(scores, best, columns, np.array(effects, np.float32).reshape(len(best), len(columns)))

    def score_rows(self, data: pa.RecordBatch, *, until_s: float = 0.0) -> Scores:
        if "price" not in data.schema.names:
            return self._scores([0.0] * data.num_rows)
        return self._scores(data.column("price").to_pylist())

    def _scores(self, prices: list[float]) -> Scores:
        self.works()
        return Scores(np.array(prices, np.float32) + np.float32(self.told["logit"]), ("extra",))
