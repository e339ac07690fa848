"""`clickwise demo`: the main job on simulated traffic, from raw rows to five compared models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.importing import importing
from clickwise.cli.serve import serve
from clickwise.progress_bar import ProgressBar

EPOCHS = {"lr": 6, "fm": 4, "wide_deep": 2, "deepfm": 2, "dcn_v2": 2}
"""Models, and the most epochs each gets: about where its validation loss stops falling on the default day."""
SETTINGS = ("training.patience=1", "training.embedding_l2=0.0001")
DEEP_SETTINGS = ("model.hidden_dims=[256, 128]",)


def demo(
    rows: Annotated[int, typer.Option(help="Impressions of the simulated day.")] = 1_000_000,
    out: Annotated[Path, typer.Option(help="Folder for the data and the bundles.")] = Path("runs/demo"),
) -> None:
    """Simulate a day of ad traffic, train five models, compare them with the best that is possible."""
    with importing():
        from clickwise import pipeline
    from clickwise.evaluation import compare

    progress = ProgressBar()
    today, tomorrow = out / "today.parquet", out / "tomorrow.parquet"
    pipeline.simulate(today, rows=rows, progress=progress)
    pipeline.simulate(tomorrow, rows=max(rows // 5, 1), day=1, progress=progress)
    reports, schema = {}, None
    for model, epochs in EPOCHS.items():
        progress.note(f"\n{model}")
        folder = out / model
        settings = [*SETTINGS, f"training.epochs={epochs}", *(() if model in ("lr", "fm") else DEEP_SETTINGS)]
        bundle = pipeline.train(
            today, label="click", model=model, out=folder, schema=schema, settings=settings, progress=progress
        )
        if bundle.provenance.training["interrupted"]:
            raise KeyboardInterrupt
        schema = bundle.schema  # inferred once, then the same for all
        reports[model] = pipeline.evaluate(folder, tomorrow, progress=progress)
    best = out / max(reports, key=lambda name: -reports[name].metrics["log_loss"])
    typer.echo(f"\nMeasured on the next day ({tomorrow}), which no model has seen:\n")
    typer.echo(compare(reports, baseline="lr"))
    typer.echo(f"\nThree raw rows, scored one by one by {best}:\n")
    typer.echo(_three_rows(best, tomorrow))
    typer.echo(_what_next(best, tomorrow))
    if sys.stdin.isatty() and typer.confirm("Serve it now, until Ctrl-C?", default=False):
        serve(best)


def _three_rows(bundle: Path, data: Path) -> str:
    from clickwise import pipeline
    from clickwise.evaluation.table import table

    model = pipeline.load(bundle)
    shown = ("user_id", "site_id", "ad_id", "position")
    rows = []
    for row in pipeline.first_rows(data, 3):
        probability = model.predict([row])[0]
        truth, click = row["true_probability"], row["click"]
        rows.append([*(str(row[name]) for name in shown), f"{probability:.4f}", f"{truth:.4f}", str(click)])
    return "\n".join(table([*shown, "probability", "true probability", "click"], rows, left=(0, 1, 2)))


def _what_next(bundle: Path, data: Path) -> str:
    return f"""
What next:
  clickwise inspect {bundle}                                  what was saved
  clickwise evaluate {bundle} {data}      AUC, log loss, calibration
  clickwise predict {bundle} {data} --out scored.parquet
  clickwise train YOUR_LOGS.parquet --label click --out runs/today     the same on your own data

Serve it, and look at it (what is live, try a request, traffic, versions):
  clickwise serve {bundle}                                    then open http://127.0.0.1:8080/
"""
