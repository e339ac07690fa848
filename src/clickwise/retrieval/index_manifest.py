"""The manifest of a saved index: what it is, how it was built and what it was found to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from clickwise._version import __version__
from clickwise.config import build
from clickwise.errors import BundleError, ConfigError
from clickwise.registry import indexes
from clickwise.retrieval.index_config import IndexConfig
from clickwise.retrieval.part import VECTORS
from clickwise.retrieval.tuning import Measured
from clickwise.retrieval.vector_index import MAPPED, VectorIndex
from clickwise.sealed import Seal

INDEX = Seal(
    format="clickwise index",
    version=1,
    noun="index",
    command="clickwise index ... --out",
    again="build it again",
    mapped=(f"main/{VECTORS}/{MAPPED}/",),
)
"""How the folder of an index is sealed."""


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """What the manifest says beside the files.

    Args:
        items: that are there.
        dim: K, of the vectors.
        id_column: the column that names the items.
        kind: registered name of the main index.
        config: how it was built.
        measured: what it was found to do then.
    """

    items: int
    dim: int
    id_column: str
    kind: str
    config: IndexConfig
    measured: Measured

    def seal(self, folder: Path) -> None:
        """Write it into a folder whose other files are all in place."""
        created = datetime.now(UTC).isoformat(timespec="seconds")
        INDEX.write(folder, {"created": created, "versions": {"clickwise": __version__}, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> IndexManifest:
        """That of a folder, after checking its files.

        Raises:
            BundleError: not an index, damaged, or of another format version.
        """
        manifest = INDEX.verify(folder, read_all=False)
        try:
            return build(cls, {field.name: manifest[field.name] for field in fields(cls) if field.name in manifest})
        except ConfigError as error:
            raise BundleError(f"{folder}: {error}") from None

    def vector_index(self, folder: Path) -> type[VectorIndex]:
        """The class of the main index.

        Raises:
            BundleError: this process does not know it.
        """
        try:
            return indexes.get(self.kind)
        except ConfigError as error:
            raise BundleError(f"{folder}: {error}") from None
