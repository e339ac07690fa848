"""A recommender as one folder.

recommender/
  manifest.json, manifest.sha256   what it is, the config of its lists, size and sha256 of every other file
  towers/                          the bundle of the towers
  index/                           the catalogue and its index
  ranker/                          the bundle of the ranking model, if there is one
  ranker_items/                    the items' half of its features, encoded: mapped when opened
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from clickwise import bundle as bundles
from clickwise._version import __version__
from clickwise.atomic import whole_folder
from clickwise.bundle import Towers
from clickwise.config import build, to_data
from clickwise.errors import BundleError, ConfigError
from clickwise.retrieval.item_index import ItemIndex
from clickwise.retrieval.ranking import RankStage
from clickwise.retrieval.recommender import Recommender, RecommenderConfig
from clickwise.sealed import MANIFEST, Seal

TOWERS, INDEX, RANKER, RANKER_ITEMS = "towers", "index", "ranker", "ranker_items"

RECOMMENDER = Seal(
    format="clickwise recommender",
    version=1,
    noun="recommender",
    command="clickwise index TOWERS ITEMS --out",
    again="build it again",
    mapped=(f"{TOWERS}/", f"{INDEX}/", f"{RANKER}/", f"{RANKER_ITEMS}/"),  # its parts check themselves
    needed=f"{INDEX}/{MANIFEST}",
)


def save_recommender(recommender: Recommender, folder: str | Path) -> None:
    """Write a recommender to `folder`, whole or not at all; an older one there is replaced.

    Raises:
        BundleError: `folder` exists and is no recommender.
        DataError: the disk is full or the folder cannot be written to.
    """
    RECOMMENDER.check_out(Path(folder))
    ranker = recommender.ranker
    with whole_folder(Path(folder)) as new:
        recommender.towers.bundle.save(new / TOWERS)
        recommender.items.save(new / INDEX)
        if ranker is not None:
            ranker.bundle.save(new / RANKER)
            (new / RANKER_ITEMS).mkdir()
            ranker.save(new / RANKER_ITEMS)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        made = {"created": created, "versions": {"clickwise": __version__}}
        RECOMMENDER.write(new, {**made, "ranker": ranker is not None, "config": to_data(recommender.config)})


def load_recommender(folder: str | Path) -> Recommender:
    """Open a saved recommender, in a time that does not grow with its tables and vectors: those are mapped.

    Raises:
        BundleError: not a recommender, damaged, or of another format version.
        MissingExtraError: its index needs a library that is not installed.
    """
    folder = Path(folder)
    manifest = RECOMMENDER.verify(folder, read_all=False)
    try:
        config = build(RecommenderConfig, manifest.get("config", {}), "config")
        items = ItemIndex.open(folder / INDEX)
        ranker = None
        if manifest.get("ranker"):
            encoded = RankStage.encoded_in(folder / RANKER_ITEMS)
            ranker = RankStage(bundles.load(folder / RANKER), items.catalogue.columns, encoded)
        return Recommender(Towers(bundles.load(folder / TOWERS)), items, config, ranker)
    except ConfigError as error:
        raise BundleError(f"{folder}: {error}") from None


def is_recommender(folder: str | Path) -> bool:
    """Whether there is a recommender (perhaps a damaged one) at `folder`, and no bundle."""
    return (Path(folder) / INDEX / MANIFEST).is_file()
