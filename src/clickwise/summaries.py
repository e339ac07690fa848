"""What the verbs report: data for machines (`to_data`), a plain-text table for people (`str`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import tomli_w

from clickwise.evaluation.cross_gains import CrossGain
from clickwise.evaluation.table import number, table
from clickwise.registry import is_file_model


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What a training run did and how good the model is.

    Args:
        manifest: the manifest of the saved bundle.
        out: where it was saved.
    """

    manifest: Mapping[str, Any]
    out: Path

    def to_data(self) -> dict[str, Any]:
        keys = ("model", "data", "training", "metrics")
        found = {key: self.manifest[key] for key in (*keys, "calibrator") if key in self.manifest}
        return {"bundle": str(self.out), **found}

    def __str__(self) -> str:
        data, training = self.manifest["data"], self.manifest["training"]
        stopped = " (stopped early by Ctrl-C)" if training["interrupted"] else ""
        name = self.manifest["model"]["name"]
        file = f" --model {name}" if is_file_model(name) else ""
        lines = [
            f"{name} trained on {data['source']}{stopped}",
            *aligned(_data_rows(data) + _training_rows(training) + _calibrator_rows(self.manifest)),
            "",
            *metrics_table(self.manifest["metrics"]),
            "",
            f"saved to {self.out}",
            f"next: clickwise evaluate {self.out} NEW_DATA{file}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote.

    Args:
        out: the folder of a version, or the file.
        model: its registered name.
        format: "serving" or "onnx".
        version: what the version is called; empty for a file.
        auc_fp32: of the data of the parity gate; None: there was none, and all is fp32.
        auc_bf16: with linear layers that multiply bf16.
    """

    out: Path
    model: str
    format: str
    version: str = ""
    auc_fp32: float | None = None
    auc_bf16: float | None = None

    @property
    def size_bytes(self) -> int:
        """Of all that was written."""
        paths = self.out.rglob("*") if self.out.is_dir() else [self.out]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def to_data(self) -> dict[str, Any]:
        named = {"version": self.version} if self.version else {}
        gate = {} if self.auc_bf16 is None else {"auc_fp32": self.auc_fp32, "auc_bf16": self.auc_bf16}
        return {
            "out": str(self.out),
            "model": self.model,
            "format": self.format,
            **named,
            **gate,
            "size_bytes": self.size_bytes,
        }

    def __str__(self) -> str:
        what = f"version {self.version} of {self.model}" if self.version else f"{self.model} as ONNX"
        lines = [f"{what}, {self.size_bytes / 1e6:,.1f} MB, in {self.out}"]
        if self.auc_bf16 is not None:
            lines.append(
                f"bf16 where the processor multiplies it: AUC {self.auc_bf16:.6f}, in fp32 {self.auc_fp32:.6f}"
            )
        if self.version:
            lines.append(f"next: clickwise serve {self.out}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """What a prediction run wrote.

    Args:
        out: the file.
        rows: rows scored.
        mean_probability: their mean probability; None when there are none.
        quarantined: rows that could not be read.
        quarantine: the file they went to.
        seconds: wall time.
    """

    out: Path
    rows: int
    mean_probability: float | None
    quarantined: int
    quarantine: str | None
    seconds: float

    def to_data(self) -> dict[str, Any]:
        return {
            "out": str(self.out),
            "rows": self.rows,
            "mean_probability": self.mean_probability,
            "quarantined": self.quarantined,
            "quarantine": self.quarantine,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        mean = "" if self.mean_probability is None else f", mean probability {self.mean_probability:.5f}"
        text = f"wrote {self.rows:,} rows with a column `probability` to {self.out}{mean} ({self.seconds:.1f} s)"
        if self.quarantined:
            text += f"\n{self.quarantined:,} rows could not be read; they are in {self.quarantine}"
        return text


@dataclass(frozen=True, slots=True)
class CrossesSummary:
    """What crosses of two features would add.

    Args:
        source: the data.
        log_loss: of the model without them, on held-out rows.
        gains: of every pair measured, the largest first.
        names: those of the features, which no cross may take.
        top: how many to show.
    """

    source: str
    log_loss: float
    gains: Sequence[CrossGain]
    names: Collection[str]
    top: int

    @property
    def worthwhile(self) -> list[CrossGain]:
        """Those shown whose gain is not chance, at 5 % for all pairs together (Bonferroni)."""
        least = NormalDist().inv_cdf(1.0 - 0.05 / max(1, len(self.gains)))
        return [gain for gain in self.gains[: self.top] if gain.z > least]

    def toml(self) -> str:
        """The worthwhile ones as lines of a config."""
        tables = []
        for gain in self.worthwhile:
            of = ", ".join(_toml_text(name) for name in gain.of)
            head = f"[schema.features.{_toml_text(self._name(gain), bare=True)}]"
            tables.append(f'{head}\ntransform = "cross"\nof = [{of}]\n')
        return "\n".join(tables)

    def to_data(self) -> dict[str, Any]:
        shown = [{**asdict(gain), "of": list(gain.of)} for gain in self.gains[: self.top]]
        worthwhile = [list(gain.of) for gain in self.worthwhile]
        measured = {"log_loss": self.log_loss, "pairs_measured": len(self.gains)}
        return {"source": self.source, **measured, "crosses": shown, "worthwhile": worthwhile, "toml": self.toml()}

    def __str__(self) -> str:
        rows = [
            [" x ".join(g.of), f"{g.combinations:,}", f"{g.covered:.1%}", number(g.gain, 6, "+"), *_error(g)]
            for g in self.gains[: self.top]
        ]
        shown = f"{len(self.worthwhile)} of these {len(rows)} (of {len(self.gains):,} pairs measured)"
        found = f"{shown} lower it by more than chance does, at 5 % for all pairs together"
        return "\n".join(
            [
                f"{self.source}: held-out log loss of lr {self.log_loss:.5f}",
                "",
                *table(["cross", "combinations", "rows with one", "gain in log loss", "+-", "z"], rows),
                "",
                *([f"{found}; to add them:", "", self.toml().rstrip()] if self.worthwhile else [found]),
            ]
        )

    def _name(self, gain: CrossGain) -> str:
        name = "_x_".join(gain.of)
        while name in self.names:
            name += "_"
        return name


def _toml_text(text: str, *, bare: bool = False) -> str:
    """As TOML writes it: on one line, in quotes unless it may be a bare key."""
    if bare and re.fullmatch("[A-Za-z0-9_-]+", text):
        return text
    return tomli_w.dumps({"x": text}).removeprefix("x = ").rstrip("\n")


def _error(gain: CrossGain) -> tuple[str, str]:
    return number(gain.standard_error, 6), number(gain.z, 1)


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """What a saved bundle is.

    Args:
        folder: where it is.
        manifest: its verified manifest.
    """

    folder: Path
    manifest: Mapping[str, Any]

    def to_data(self) -> dict[str, Any]:
        return {"bundle": str(self.folder), **self.manifest}

    def __str__(self) -> str:
        manifest = self.manifest
        model, schema = manifest["model"], manifest["schema"]
        sizes = [entry["size_bytes"] for entry in manifest["files"].values()]
        roles = [(role, schema[role]) for role in ("label", "weight", "time", "group", "truth") if schema.get(role)]
        config = ", ".join(f"{key} {value}" for key, value in model["config"].items())
        made = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
        facts = [
            ("model", f"{model['name']} ({config})"),
            ("created", f"{manifest['created']} with {made}"),
            ("size", f"{sum(sizes):,} bytes in {len(sizes)} files, all checksums right"),
            *_data_rows(manifest["data"]),
            *_training_rows(manifest["training"]),
            *_calibrator_rows(manifest),
            *roles,
        ]
        return "\n".join(
            [
                f"{self.folder}",
                *aligned(facts),
                "",
                *_features_table(schema["features"], manifest["inputs"]),
                "",
                *metrics_table(manifest["metrics"]),
            ]
        )


def metrics_table(metrics: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Lines of a table: one row a metric, one column a part of the data."""
    names = dict.fromkeys(name for part in metrics.values() for name, value in part.items() if value is not None)
    rows = [[name, *(number(part.get(name), 5) for part in metrics.values())] for name in names]
    return table(["metric", *metrics], rows)


def aligned(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Names and values as two aligned columns."""
    width = max((len(name) for name, _ in pairs), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in pairs]


def _data_rows(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("data", f"{data['source']}")]
    for part, counts in data.get("parts", {}).items():
        share = counts["positives"] / counts["rows"] if counts["rows"] else 0.0
        rows.append((part, f"{counts['rows']:,} rows, {counts['positives']:,} clicks ({share:.2%})"))
    if data.get("split"):
        rows.append(("split", data["split"]))
    if data.get("quarantined"):
        rows.append(("unreadable", f"{data['quarantined']:,} rows, in {data.get('quarantine') or 'no file'}"))
    return rows


def _calibrator_rows(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = manifest.get("calibrator")
    if not found:
        return []
    return [("calibrator", f"{found['method']}: {found['slope']:.4f} x logit {found['intercept']:+.4f}")]


def _training_rows(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not training:
        return []
    rate = training["rows"] / training["seconds"] if training["seconds"] else 0.0
    rows = [
        ("training", f"{training['rows']:,} rows in {training['seconds']:.1f} s ({rate:,.0f} rows/s)"),
        ("best", f"epoch {training['best_epoch']}" if training.get("best_epoch") is not None else "the last step"),
        ("parameters", f"{training['parameters']:,}"),
    ]
    weights = training.get("first_order_weights")
    if weights and weights["not_zero"] < weights["total"]:
        share = weights["not_zero"] / weights["total"]
        counts = f"{weights['not_zero']:,} of {weights['total']:,} weights of ids are not zero ({share:.1%})"
        rows.append(("first order", counts))
    return rows


def _features_table(features: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, Any]) -> list[str]:
    fields = {field["name"]: field for field in inputs["fields"]}
    header = ["feature", "column", "transform", "ids", "slots", "options"]
    rows = []
    for name, entry in features.items():
        field = fields.get(name)
        ids, slots = (f"{field['num_ids']:,}", str(field["length"])) if field else ("number", "-")
        ids = f"those of {entry['shares']}" if "shares" in entry else ids
        hidden = {"transform", "column", "of", "shares", *(["pooling"] if slots == "1" else [])}
        shown = {key: value for key, value in entry.items() if key not in hidden}
        options = ", ".join(f"{key}={value if str(value).strip() else repr(value)}" for key, value in shown.items())
        rows.append([name, entry.get("column") or " x ".join(entry["of"]), entry["transform"], ids, slots, options])
    return table(header, rows, left=(0, 1, 2, 5))
