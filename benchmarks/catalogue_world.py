"""The world that the benchmarks of retrieval share: a log to train on, tomorrow's ads and requests, and the true best.

    python benchmarks/catalogue_world.py           # a million ads, two million impressions, 1,000 requests: a minute
    python benchmarks/catalogue_world.py --short   # 2,000 ads, 20,000 impressions, 50 requests: seconds

Simulated (`clickwise.data.simulator`), so the exact probability of a click is known for every request and every ad. One
day to train on (`log.parquet`); of the next day, a log to measure a ranking with (`next_log.parquet`), all ads that run
(`catalogue.parquet`), requests (`requests.parquet`), and for each those ads whose true probability is highest
(`best_*.npy`). Made once, in a folder that is named by the sizes and by the simulator's code.

The script prints what it took, and what is to be had: of what the best ads are worth (mean true probability), the share
that the best for everyone, the most shown ones and random ones have.

A benchmark calls `add_flags(parser)`, `sizes_of(options)` and `build(sizes, folder)`, and measures with `value_of` and
`recall_of` of the `CatalogueWorld` that it gets.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import clickwise.data.simulator as simulator
from clickwise.atomic import whole_folder
from clickwise.data.simulator import (
    BestAds,
    BestAdSearch,
    Oracle,
    SimulatorConfig,
    ad_numbers,
    ads_of_day,
    catalogue,
    catalogue_config,
    requests,
    simulate,
)
from clickwise.data.simulator.columns import REQUEST_SCHEMA, ad_schema, log_schema
from clickwise.data.write import table_writer
from report import machine_line, table

FOLDER = Path(__file__).resolve().parents[1] / "build" / "catalogue_world"
PILOT_REQUESTS = 64


@dataclass(frozen=True)
class WorldSizes:
    """What a world is made of.

    Args:
        ads: that run at any one time; about a sixth more run at some time of a day.
        rows, next_rows: impressions of the two logs.
        requests: of the next day.
        best: true best ads that are kept of each request.
        click_rate, targeting, seed: of the simulator.
    """

    ads: int = 1_000_000
    rows: int = 2_000_000
    next_rows: int = 200_000
    requests: int = 1_000
    best: int = 100
    click_rate: float = 0.1
    targeting: float = 0.0
    seed: int = 7

    def config(self, rows: int, day: int) -> SimulatorConfig:
        """The traffic of a day: 0 to train on, 1 to measure."""
        told = {"click_rate": self.click_rate, "targeting": self.targeting, "seed": self.seed, "start_day": day}
        return catalogue_config(self.ads, rows=rows, **told)

    def digest(self) -> str:
        """Of these sizes and of the simulator's code."""
        code = [file.read_text(encoding="utf-8") for file in sorted(Path(simulator.__file__).parent.glob("*.py"))]
        return hashlib.blake2b(json.dumps([asdict(self), code]).encode(), digest_size=8).hexdigest()


SHORT = WorldSizes(ads=2_000, rows=20_000, next_rows=5_000, requests=50, best=20)


@dataclass(frozen=True)
class CatalogueWorld:
    """A world that was built: its files, and its truth.

    Ads go by their numbers (the one of ad_id a17 is 17), requests by the row of `requests.parquet` they are in.
    """

    folder: Path
    sizes: WorldSizes

    @property
    def log(self) -> Path:
        """Day 0: impressions with `click` and `true_probability`."""
        return self.folder / "log.parquet"

    @property
    def next_log(self) -> Path:
        """Day 1, the same columns."""
        return self.folder / "next_log.parquet"

    @property
    def catalogue(self) -> Path:
        """Every ad of day 1, with the ad columns of the logs; a row each, by rising number."""
        return self.folder / "catalogue.parquet"

    @property
    def requests(self) -> Path:
        """Requests of day 1: the columns of the logs that are known before an ad is chosen."""
        return self.folder / "requests.parquet"

    @cached_property
    def best(self) -> BestAds:
        """The best ads of each request: numbers and true probabilities, the highest first.  [Q, best]"""
        return BestAds(*(np.load(self.folder / f"best_{part}.npy") for part in ("ad", "probability")))

    @cached_property
    def oracle(self) -> Oracle:
        """The truth of the requests."""
        return Oracle(self.sizes.config(self.sizes.requests, day=1))

    @cached_property
    def ads(self) -> np.ndarray:
        """The number of the ad in each row of `catalogue`.  [C]"""
        return ad_numbers(pq.read_table(self.catalogue, columns=["ad_id"])["ad_id"])

    @cached_property
    def popularity(self) -> np.ndarray:
        """The chance that popularity proposes the ad in each row of `catalogue`, at a time at which it runs.  [C]"""
        return simulator.popularity(self.oracle.world, self.ads)

    def probability(self, ad: np.ndarray, request: np.ndarray | None = None) -> np.ndarray:
        """The true probability of a click.  [Q, C], 0 where the number is -1

        Args:
            ad: numbers of ads, each request's own [Q, C] or the same for all [C]; -1 for none.
            request: rows of the requests [Q]; all of them unless given.
        """
        chosen = np.arange(self.sizes.requests) if request is None else request
        found = self.oracle.probability(self.oracle.requests(chosen), np.maximum(ad, 0))
        return np.where(ad >= 0, found, 0.0)

    def value_of(self, ad: np.ndarray, request: np.ndarray | None = None) -> np.ndarray:
        """Mean true probability of what was found over that of as many best ads.  [Q], 1 at best; `ad` [Q, k] or [k]"""
        k = ad.shape[-1]
        return self.probability(ad, request).mean(axis=1) / self._best("probability", request)[:, :k].mean(axis=1)

    def recall_of(self, ad: np.ndarray, k: int, request: np.ndarray | None = None) -> np.ndarray:
        """Share of the k best ads that are among those found.  [Q]; `ad` [Q, any]"""
        best = self._best("ad", request)[:, :k]
        return np.array([np.isin(true, found).mean() for true, found in zip(best, ad, strict=True)])

    def _best(self, part: str, request: np.ndarray | None) -> np.ndarray:
        best: np.ndarray = getattr(self.best, part)
        return best if request is None else best[request]


def add_flags(parser: argparse.ArgumentParser, short: WorldSizes = SHORT) -> None:
    """The flags that `sizes_of` reads; `--short` takes the sizes of `short` for those that are not given."""
    for name, value in asdict(WorldSizes()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), help=f"{value:,} unless given")
    parser.add_argument("--short", action="store_true", help=f"a small world: {short}")
    parser.add_argument("--worlds", type=Path, default=FOLDER, help="folder of the worlds that were built")
    parser.set_defaults(short_sizes=short)


def sizes_of(options: argparse.Namespace) -> WorldSizes:
    """The sizes that the flags ask for."""
    usual = asdict(options.short_sizes if options.short else WorldSizes())
    given = {name: getattr(options, name) for name in usual}
    return WorldSizes(**{name: usual[name] if value is None else value for name, value in given.items()})


def build(sizes: WorldSizes, folder: Path = FOLDER, tell: Callable[[str], None] | None = None) -> CatalogueWorld:
    """The world of these sizes, built unless `folder` has it; `tell` gets a line for each part that is made."""
    world = CatalogueWorld(folder / sizes.digest(), sizes)
    if not world.folder.exists():
        with whole_folder(world.folder) as unfinished:
            _write(CatalogueWorld(unfinished, sizes), tell or (lambda line: print(line, file=sys.stderr, flush=True)))
    return world


def _write(world: CatalogueWorld, tell: Callable[[str], None]) -> None:
    sizes = world.sizes
    asked = sizes.config(sizes.requests, day=1)
    parts: list[tuple[Path, pa.Schema, Iterable[pa.RecordBatch]]] = [
        (world.log, log_schema(catalogue=True), simulate(sizes.config(sizes.rows, day=0))),
        (world.next_log, log_schema(catalogue=True), simulate(sizes.config(sizes.next_rows, day=1))),
        (world.catalogue, ad_schema(catalogue=True), catalogue(asked)),
        (world.requests, REQUEST_SCHEMA, requests(asked)),
    ]
    for path, schema, batches in parts:
        began, rows = time.perf_counter(), 0
        with table_writer(path, schema) as write:
            for batch in batches:
                write(batch)
                rows += batch.num_rows
        seconds = time.perf_counter() - began
        tell(f"{path.name}: {rows:,} rows in {seconds:.1f} s, {rows / seconds:,.0f} rows/s")
    oracle = Oracle(asked)
    search = BestAdSearch(oracle, ads_of_day(oracle.world, 1))
    began = time.perf_counter()
    best = search.search(oracle.requests(np.arange(sizes.requests)), sizes.best)
    milliseconds = 1e3 * (time.perf_counter() - began) / sizes.requests
    tell(f"exact best {best.ad.shape[1]} of all ads: {milliseconds:.1f} ms a request")
    np.save(world.folder / "best_ad.npy", best.ad)
    np.save(world.folder / "best_probability.npy", best.probability)
    (world.folder / "sizes.json").write_text(json.dumps(asdict(sizes), indent=1) + "\n")


def rough_lists(world: CatalogueWorld, k: int) -> dict[str, np.ndarray]:
    """Lists of k ads that know nothing of who asks: the best for other requests on average, the most shown, any."""
    oracle, count = world.oracle, min(k, len(world.ads))
    others = Oracle(world.sizes.config(PILOT_REQUESTS, day=2))
    mean = np.concatenate(
        [
            others.probability(others.requests(np.arange(PILOT_REQUESTS)), part).mean(axis=0)
            for part in np.array_split(world.ads, -(-len(world.ads) // 65_536))
        ]
    )
    shown = ad_numbers(pq.read_table(world.log, columns=["ad_id"])["ad_id"])
    running = shown[np.isin(shown, world.ads)]
    number, times = np.unique(running, return_counts=True)
    return {
        "best for everyone": world.ads[np.argsort(-mean)[:count]],
        "most shown": number[np.argsort(-times, kind="stable")[:count]],
        "random": world.ads[np.argsort(oracle.world.noise.uniform("random list", world.ads))[:count]],
    }


def about_log(world: CatalogueWorld) -> str:
    """How the log's impressions and clicks are spread."""
    log = pq.read_table(world.log, columns=["ad_id", "click"])
    times = np.sort(np.unique(ad_numbers(log["ad_id"]), return_counts=True)[1])[::-1]
    click = log["click"].to_numpy()
    clicked = len(np.unique(ad_numbers(log["ad_id"].filter(pa.chunked_array([pa.array(click == 1)])))))
    share = times[: max(1, len(times) // 100)].sum() / len(log)
    return (
        f"log: {click.sum():,} clicks of {len(log):,} impressions; {len(times):,} ads shown, {clicked:,} clicked; "
        f"the hundredth of them that is shown most has {share:.0%} of the impressions"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_flags(parser)
    options = parser.parse_args()
    print(machine_line())
    world = build(sizes_of(options), options.worlds, tell=print)
    print(f"in {world.folder}\n{about_log(world)}\n")
    k = world.best.ad.shape[1]
    rows = []
    for name, ads in {"best": world.best.ad, **rough_lists(world, k)}.items():
        lists = np.broadcast_to(ads, (world.sizes.requests, ads.shape[-1]))
        figures = [world.probability(lists).mean(), world.value_of(lists).mean(), world.recall_of(lists, k).mean()]
        rows.append([name, *(f"{figure:.4f}" for figure in figures)])
    print(table([f"{k} ads", "mean true probability", "value", f"recall of the best {k}"], rows))


if __name__ == "__main__":
    main()
