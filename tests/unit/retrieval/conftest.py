"""A small world with a catalogue, towers and a ranking model trained on it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pytest

import clickwise as cw
from clickwise.bundle import Bundle, Towers
from clickwise.data.simulator import catalogue, catalogue_config, requests, simulate
from clickwise.retrieval.item_index import IndexConfig, ItemIndex
from clickwise.retrieval.ranking import RankStage
from clickwise.retrieval.recommender import Recommender, RecommenderConfig

ITEM = ("ad_id", "ad_category", "campaign_id", "advertiser_id", "ad_product", "ad_format", "ad_price_tier")
USER = ("user_segment", "interests", "site_id", "device_type", "os")


@dataclass(frozen=True)
class World:
    """Log, catalogue and requests as tables; bundles trained on the log."""

    log: pa.Table
    catalogue: pa.Table
    requests: pa.Table
    towers: Bundle
    ranker: Bundle

    def recommender(self, ranked: bool = True, **config) -> Recommender:
        """A recommender of all items by the exact index."""
        towers = Towers(self.towers)
        vectors = towers.items(self.catalogue.combine_chunks().to_batches()[0].select(list(towers.item.columns)))
        items = ItemIndex.build(self.catalogue, "ad_id", vectors, IndexConfig(kind="exact"))
        stage = RankStage(self.ranker, self.catalogue.column_names).followed_by(self.catalogue) if ranked else None
        return Recommender(towers, items, RecommenderConfig(**config), stage)


@pytest.fixture(scope="session")
def world() -> World:
    config = catalogue_config(300, rows=4_000, click_rate=0.2, seed=5)
    log = pa.Table.from_batches(list(simulate(config)))
    ids = {name: {"transform": "vocabulary"} for name in (*USER, *ITEM)}
    schema = {"item": "ad_id", "item_features": list(ITEM), "group": "user_id", "features": ids}
    told = ["training.epochs=2", "training.batch_size=256", "training.threads=1", "model.embedding_dim=8"]
    towers = cw.train(log, label="click", model="two_tower", schema=schema, settings=told)
    crosses = {"segment_x_category": {"transform": "cross", "of": ["user_segment", "ad_category"]}}
    more = {"position": {"transform": "vocabulary"}, "user_age": {"transform": "standard"}, **crosses}
    ranker = cw.train(log, label="click", model="fm", schema={"features": ids | more}, settings=told)
    return World(
        log,
        pa.Table.from_batches(list(catalogue(config))),
        pa.Table.from_batches(list(requests(catalogue_config(300, rows=20, click_rate=0.2, seed=5)))),
        towers,
        ranker,
    )
