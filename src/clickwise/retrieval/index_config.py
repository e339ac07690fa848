"""`IndexConfig`: which index is built, and how well it is to find."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from clickwise.config import build, require
from clickwise.errors import MissingExtraError
from clickwise.progress import Progress
from clickwise.registry import indexes
from clickwise.retrieval.exact import ExactIndex
from clickwise.retrieval.faiss_index import EXACT_UP_TO, FaissIndex
from clickwise.retrieval.hnsw import HNSWIndex
from clickwise.retrieval.vector_index import DEFAULT_K

__all__ = ["ExactIndex", "FaissIndex", "HNSWIndex", "IndexConfig", "index_config"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexConfig:
    """What to build.

    Args:
        kind: a registered index, or "auto": `faiss`; without that library and up to 200,000 items, `exact`.
        recall: share of the k best items that a search is to find; what an approximate index is tuned to.
        k: of how many items the recall is asked for.
        effort: how much a search looks at (`faiss`: lists, `hnsw`: places of its queue); None: tuned to the recall.
        options: keys of the `Config` of that kind of index.
    """

    kind: str = "auto"
    recall: float = 0.95
    k: int = DEFAULT_K
    effort: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(0.0 < self.recall <= 1.0, "recall", self.recall, "a number in (0, 1]")
        require(self.k >= 1, "k", self.k, "a whole number >= 1")
        require(self.effort is None or self.effort >= 1, "effort", self.effort, "a whole number >= 1")
        if self.kind != "auto":
            indexes.get(self.kind, "kind")


def index_config(config: IndexConfig, rows: int, progress: Progress) -> Any:
    """The `Config` of the index to build for so many items.

    Raises:
        ConfigError: an option that this kind of index does not have.
        MissingExtraError: "auto", more than 200,000 items, and faiss is not installed.
    """
    kind = config.kind
    if kind == "auto":
        kind = "faiss" if find_spec("faiss") else "exact"
        if kind == "exact":
            if rows > EXACT_UP_TO:
                raise MissingExtraError(f"an index of {rows:,} items", "retrieval")
            progress.note("faiss is not installed: NumPy searches exactly; 'clickwise[retrieval]' is faster")
    return build(indexes.get(kind).Config, config.options, "index.options")
