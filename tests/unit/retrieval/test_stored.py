from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from clickwise.errors import BundleError
from clickwise.retrieval.stored import RECOMMENDER, load_recommender, save_recommender


def lists(recommender, world) -> list:
    return recommender.recommend(world.requests, 8)


@pytest.mark.parametrize("ranked", [True, False])
def test_what_was_saved_recommends_the_same(world, tmp_path: Path, ranked: bool) -> None:
    made = world.recommender(ranked, candidates=50, caps={"advertiser_id": 1}, constants={"position": 2})
    changed = made.with_items(world.catalogue.slice(3, 2)).without_items(["a1", "a2"])
    for recommender in (made, changed):
        save_recommender(recommender, tmp_path / "r")
        opened = load_recommender(tmp_path / "r")
        assert opened.config == recommender.config
        assert lists(opened, world) == lists(recommender, world)
        RECOMMENDER.verify(tmp_path / "r")


def test_a_saved_one_can_be_changed_and_saved_over_itself(world, tmp_path: Path) -> None:
    save_recommender(world.recommender(candidates=1000, constants={"position": 1}), tmp_path / "r")
    gone = lists(load_recommender(tmp_path / "r"), world)[0][0].item
    save_recommender(load_recommender(tmp_path / "r").without_items([gone]), tmp_path / "r")
    left = load_recommender(tmp_path / "r").recommend(world.requests, 1000)
    assert all(gone not in {one.item for one in found} for found in left)


def test_damage_is_found_before_anything_is_recommended(world, tmp_path: Path) -> None:
    save_recommender(world.recommender(constants={"position": 1}), tmp_path / "r")
    files = [path for path in sorted((tmp_path / "r").rglob("*")) if path.is_file()]
    assert {path.relative_to(tmp_path / "r").parts[0] for path in files} >= {"towers", "index", "ranker"}
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        with pytest.raises(BundleError):
            load_recommender(tmp_path / "r")
        path.write_bytes(whole)
    load_recommender(tmp_path / "r")


def test_items_encoded_for_another_model_are_refused(world, tmp_path: Path) -> None:
    save_recommender(world.recommender(constants={"position": 1}), tmp_path / "r")
    file = tmp_path / "r" / "ranker_items" / "sparse.npy"
    encoded = np.load(file)
    for other in (encoded[:, :-1], encoded.astype(np.int64), encoded[:-1]):
        np.save(file, other)
        RECOMMENDER.write(tmp_path / "r", manifest(tmp_path / "r"))
        with pytest.raises(BundleError, match=r"encoded for (the|another) ranking model"):
            load_recommender(tmp_path / "r")


def manifest(folder: Path) -> dict:
    found = json.loads((folder / "manifest.json").read_text())
    return {key: value for key, value in found.items() if key not in ("format", "format_version", "files")}


def test_nothing_else_is_overwritten(world, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    world.towers.save(tmp_path / "bundle")
    for name in ("notes", "bundle"):
        with pytest.raises(BundleError, match="is not a clickwise recommender"):
            save_recommender(world.recommender(), tmp_path / name)
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep"
    with pytest.raises(BundleError, match="`clickwise index TOWERS ITEMS --out"):
        load_recommender(tmp_path / "nothing")
