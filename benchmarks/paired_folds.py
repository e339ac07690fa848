"""Is a model better than another beyond chance? Both score the same rows, each row by a fit that has not seen it.

    python benchmarks/paired_folds.py DATA/kdd12_40k/click.csv --data kdd12 --models lr fm deepfm

The file is text with a header and one row a line. Its rows are dealt into `--folds` parts at random; the recipe
recipes/DATA_MODEL.toml is trained on all parts but one (early stopping on a share of those rows, as the recipe says)
and scores that one. The table shows the difference to the first model, row by row: a mean and its 95 % interval over
rows. Of the log loss that of the paired differences; of the AUC, whose pairs of rows are those within a fold,
DeLong's for two curves on the same rows. Both take the trained models as given: what another draw of training rows
would change is not in them.
`--repeats` deals anew; each repeat has a line, and the last lines are of each row's mean over the repeats.

Reference: DeLong, DeLong and Clarke-Pearson 1988, "Comparing the Areas under Two or More Correlated Receiver Operating
Characteristic Curves".
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from clickwise.data.labels import read_targets
from clickwise.evaluation.report import Z95
from clickwise.metrics import logit_of
from clickwise.metrics.logistic import row_log_loss
from clickwise.pipeline import predict, train
from clickwise.progress import Progress
from report import machine_line, table, write_results

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Scores:
    """Rows in the order of the file, each scored by the fit of its fold. fold, label, logit: [n]."""

    fold: np.ndarray
    label: np.ndarray
    logit: np.ndarray

    def log_losses(self) -> np.ndarray:
        """Of each row."""
        return row_log_loss(self.logit, self.label)

    def placements(self) -> np.ndarray:
        """Of each row, within its fold: whose mean over the rows of a class is the mean AUC of the folds."""
        placed = np.empty(len(self.label))
        for k in np.unique(self.fold):
            rows = self.fold == k
            placed[rows] = placements(self.logit[rows], self.label[rows] > 0)
        return placed


@dataclass(frozen=True)
class Difference:
    """A mean difference and half of its 95 % interval."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:+.5f} ± {self.half:.5f}"


def log_loss_difference(scores: Sequence[Scores], base: Sequence[Scores]) -> Difference:
    """Of the mean log losses, over the rows; a row counts with its mean over the repeats."""
    saved = np.mean([one.log_losses() - other.log_losses() for one, other in zip(scores, base, strict=True)], axis=0)
    return Difference(float(saved.mean()), Z95 * float(saved.std(ddof=1)) / math.sqrt(len(saved)))


def auc_difference(scores: Sequence[Scores], base: Sequence[Scores]) -> Difference:
    """Of the AUCs, by DeLong's variance of the difference of two AUCs on the same rows."""
    placed = np.mean([one.placements() - other.placements() for one, other in zip(scores, base, strict=True)], axis=0)
    classes = [placed[base[0].label == value] for value in (1, 0)]
    variance = sum(float(part.var(ddof=1)) / len(part) for part in classes)
    return Difference(float(classes[0].mean()), Z95 * math.sqrt(variance))


def auc(scores: Sequence[Scores]) -> float:
    """The mean AUC: scores of two folds come from two fits, and are not compared."""
    return float(np.mean([one.placements()[one.label > 0] for one in scores]))


def placements(logit: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """[n] Of a click the share of the rest below it, of the rest the share of clicks above; a tie counts one half.

    Raises:
        SystemExit: rows of one class.
    """
    if positive.all() or not positive.any():
        sys.exit("a fold has rows of one class only: take fewer folds")
    placed = np.empty(len(logit))
    for own, sign in ((positive, 1.0), (~positive, -1.0)):
        others, asked = np.sort(sign * logit[~own]), sign * logit[own]
        ends = [np.searchsorted(others, asked, side) for side in ("left", "right")]
        placed[own] = np.mean(ends, axis=0) / len(others)
    return placed


def scores_of(recipe: Path, lines: list[str], fold: np.ndarray, header: str, settings: Sequence[str]) -> Scores:
    """Every fold scored by the recipe trained on the others."""
    label, logit = np.empty(len(lines)), np.empty(len(lines))
    for k in np.unique(fold):
        with tempfile.TemporaryDirectory() as folder:
            files = {name: Path(folder) / f"{name}.csv" for name in ("train", "test")}
            for name, rows in (("train", np.flatnonzero(fold != k)), ("test", np.flatnonzero(fold == k))):
                files[name].write_text("\n".join([header, *(lines[i] for i in rows)]) + "\n")
            bundle = train(files["train"], config=recipe, settings=settings, progress=Progress())
            predict(bundle, files["test"], Path(folder) / "scored.parquet", progress=Progress())
            scored = pq.read_table(Path(folder) / "scored.parquet").combine_chunks().to_batches()[0]
        label[fold == k] = read_targets(scored, bundle.schema).label
        logit[fold == k] = logit_of(scored.column("probability").to_numpy())
    return Scores(fold, label, logit)


def dealt(rows: int, folds: int, seed: int) -> np.ndarray:
    """[rows] The fold of each row, at random; folds of the same size, give or take one."""
    return np.random.default_rng(seed).permutation(rows) % folds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", required=True, help="name of the data in recipes/DATA_MODEL.toml")
    parser.add_argument("--models", nargs="+", required=True, help="the first is what the others are compared with")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=1, help="of the dealing and the training of the first repeat")
    parser.add_argument("--recipes", type=Path, default=ROOT / "recipes")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="as for `clickwise train`")
    options = parser.parse_args()
    recipes = {model: options.recipes / f"{options.data}_{model}.toml" for model in options.models}
    for path in [options.file, *recipes.values()]:
        if not path.is_file():
            parser.error(f"{path}: no such file")
    header, *lines = options.file.read_text().splitlines()
    found: dict[str, list[Scores]] = {model: [] for model in recipes}
    first, rows, results = options.models[0], [], []

    def report(what: str, model: str, scores: Sequence[Scores], base: Sequence[Scores]) -> None:
        loss = float(np.mean([one.log_losses() for one in scores]))
        less = {"roc_auc": auc_difference(scores, base), "log_loss": log_loss_difference(scores, base)}
        compared = model != first
        rows.append(
            [what, model, f"{auc(scores):.5f}", f"{loss:.5f}", *(str(d) if compared else "" for d in less.values())]
        )
        result = {"repeat": what, "model": model, "roc_auc": auc(scores), "log_loss": loss}
        results.append({**result, **({"less": {name: vars(d) for name, d in less.items()}} if compared else {})})
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)

    for seed in range(options.first_seed, options.first_seed + options.repeats):
        fold = dealt(len(lines), options.folds, seed)
        for model, recipe in recipes.items():
            scores = scores_of(recipe, lines, fold, header, [*options.settings, f"training.seed={seed}"])
            found[model].append(scores)
            report(str(seed), model, [scores], found[first][-1:])
    if options.repeats > 1:
        for model, repeats in found.items():
            report("all", model, repeats, found[first])
    columns = ["deal", "model", "AUC", "log loss", f"AUC less that of {first}", f"log loss less that of {first}"]
    print(f"{machine_line()}\n{len(lines):,} rows of {options.file.name} in {options.folds} folds\n")
    print(table(columns, rows, left=2))
    write_results(f"paired-folds-{options.data}", {"folds": options.folds, "rows": len(lines), "runs": results})


if __name__ == "__main__":
    main()
