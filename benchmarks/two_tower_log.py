"""A log of positives for two towers: users, items of a large catalogue, side features of both, and a known law.

Nothing here comes from a real log. A user is drawn by a Zipf law. Users of the same interest like the same few
categories: with probability `TASTE` the item is one of those, else any, and in both cases items come as often as they
are popular, by a Zipf law over the whole catalogue. What can be known of a user is thus the interest, and how well any
recommender can do on held-out pairs is known exactly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

USER_FIELDS = ("user", "interest", "age", "region")
ITEM_FIELDS = ("item", "category", "brand", "band")
INTERESTS, AGES, REGIONS = 100, 10, 50
CATEGORIES, BRANDS_OF_CATEGORY, BANDS = 1000, 20, 10
LIKED = 5
TASTE = 0.8
USER_EXPONENT, ITEM_EXPONENT = 0.7, 0.9


def num_ids(users: int, items: int) -> list[int]:
    """Ids of each field, those of the user first."""
    return [users, INTERESTS, AGES, REGIONS, items, CATEGORIES, CATEGORIES * BRANDS_OF_CATEGORY, BANDS]


def write_arrays(folder: Path, users: int, items: int, rows: int, test_rows: int, seed: int = 0) -> Path:
    """The arrays that `peers.protocol.Task.array` reads, in a folder named by what is in them; made once.

    Beside those of a log of clicks (every label is 1): catalogue.npy [C, 4] int32, the fields of each item; weight.npy
    [C] float64, how popular it is; liked.npy [I, C categories] bool, by interest.
    """
    folder = folder / f"towers_rows{rows}_test{test_rows}_users{users}_items{items}_seed{seed}"
    done = folder / "complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        weight, catalogue = draw_items(items, rng)
        people = draw_users(users, rng)
        liked = np.zeros((INTERESTS, CATEGORIES), bool)
        for likes in liked:
            likes[rng.choice(CATEGORIES, LIKED, replace=False)] = True
        user = zipf(users, USER_EXPONENT, rows + test_rows, rng)
        item = draw_pairs(people[user, 1], catalogue[:, 1], weight, liked, rng)
        ids = np.concatenate([people[user], catalogue[item]], axis=1)
        arrays = {"ids": ids[:rows], "label": np.ones(rows, np.float32)}
        arrays |= {"test_ids": ids[rows:], "test_label": np.ones(test_rows, np.float32)}
        arrays |= {"num_ids": np.array(num_ids(users, items)), "catalogue": catalogue, "weight": weight, "liked": liked}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        done.touch()
    return folder


def zipf(count: int, exponent: float, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers below `count` [draws], each as often as rank^-exponent, the ranks in a random order."""
    mass = np.cumsum(np.arange(1, count + 1, dtype=np.float64) ** -exponent)
    rank = np.minimum(np.searchsorted(mass, rng.random(draws) * mass[-1]), count - 1)
    return rng.permutation(count)[rank]


def draw_items(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Popularity [C] and fields [C, 4] of the items: a brand has one category, a band is a noisy tenth of ranks."""
    rank = rng.permutation(count)
    category = rng.integers(CATEGORIES, size=count)
    brand = category * BRANDS_OF_CATEGORY + rng.integers(BRANDS_OF_CATEGORY, size=count)
    noisy = np.log1p(rank) / np.log1p(count) + rng.normal(0.0, 0.05, count)
    band = np.clip(noisy * BANDS, 0, BANDS - 1).astype(np.int64)
    fields = np.stack([np.arange(count), category, brand, band], axis=1).astype(np.int32)
    return (1.0 + rank) ** -ITEM_EXPONENT, fields


def draw_users(count: int, rng: np.random.Generator) -> np.ndarray:
    """Fields of the users.  [U, 4] int32"""
    sides = [rng.integers(high, size=count) for high in (INTERESTS, AGES, REGIONS)]
    return np.stack([np.arange(count), *sides], axis=1).astype(np.int32)


def draw_pairs(
    interest: np.ndarray, category: np.ndarray, weight: np.ndarray, liked: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """An item for each row, given the interest of its user.  [n]"""
    order = np.argsort(category, kind="stable")
    mass = np.concatenate([[0.0], np.cumsum(weight[order])])
    ends = mass[np.searchsorted(category[order], np.arange(CATEGORIES + 1))]
    point = rng.random(len(interest)) * mass[-1]
    tasteful = np.flatnonzero(rng.random(len(interest)) < TASTE)
    likes = np.stack([np.flatnonzero(row) for row in liked])[interest[tasteful]]  # [n, LIKED]
    upto = np.cumsum(np.diff(ends)[likes], axis=1)
    at = rng.random(len(tasteful)) * upto[:, -1]
    which = np.minimum((upto <= at[:, None]).sum(1), LIKED - 1)[:, None]
    before = np.take_along_axis(np.pad(upto, ((0, 0), (1, 0))), which, 1)[:, 0]
    point[tasteful] = ends[np.take_along_axis(likes, which, 1)[:, 0]] + at - before
    place = np.searchsorted(mass, point, side="right") - 1
    return order[np.minimum(place, len(weight) - 1)]


def probabilities(interest: int, category: np.ndarray, weight: np.ndarray, liked: np.ndarray) -> np.ndarray:
    """The law: of each item, given the interest of a user.  [C]"""
    tasteful = weight * liked[interest][category]
    rest = (1.0 - TASTE) / weight.sum()
    return TASTE * tasteful / tasteful.sum() + rest * weight


def reachable(folder: Path, k: int) -> dict[str, float]:
    """Recall at k on the test pairs of who knows the law, and of who shows the most popular items to everyone."""
    ids, catalogue, weight, liked = (
        np.load(folder / f"{name}.npy") for name in ("test_ids", "catalogue", "weight", "liked")
    )
    found = 0
    for interest in np.unique(ids[:, 1]):
        p = probabilities(int(interest), catalogue[:, 1], weight, liked)
        own = ids[ids[:, 1] == interest, len(USER_FIELDS)]
        found += int((p[own] >= np.partition(p, -k)[-k]).sum())
    popular = weight[ids[:, len(USER_FIELDS)]] >= np.partition(weight, -k)[-k]
    return {"the law": found / len(ids), "the most popular": float(popular.mean())}
