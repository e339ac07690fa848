"""`RunConfig`: everything a training run can be told, from a TOML file, keywords and `--set`, through one validation.

[data]                          # how to read and split: clickwise.data.DataConfig
format = "csv"
valid_fraction = 0.1

[schema]                        # what the columns mean; what is not said is inferred. Or: schema = "schema.toml"
label = "click"
time = "timestamp"
[schema.features.user_id]       # declared features are the whole list, unless schema.infer = true
transform = "vocabulary"
min_count = 5

[model]                         # name and the keys of that model's Config
name = "deepfm"
embedding_dim = 16

[training]                      # clickwise.training.TrainingConfig
epochs = 3
[training.optimizer]
name = "adam"
learning_rate = 0.001

[calibration]                   # clickwise.calibration.CalibrationConfig
method = "platt"
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from clickwise.calibration import CalibrationConfig
from clickwise.config import build, read_toml, set_path, to_data
from clickwise.data.config import DataConfig
from clickwise.errors import ConfigError, clipped, nearest
from clickwise.features.schema_data import schema_to_data
from clickwise.models import DeepFM, model_from_file
from clickwise.registry import is_file_model, models
from clickwise.schema import Schema
from clickwise.training import TrainingConfig, training_config_from_data, training_config_to_data

_SECTIONS = ("data", "schema", "model", "training", "calibration")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """A validated run.

    Args:
        data: how to read and split the rows.
        schema: what was declared of the schema, as plain data; inference fills in the rest.
        model: the `Config` of a registered model.
        training: epochs, batch size, optimisers, early stopping.
        calibration: what is done to the trained model's logits.
    """

    data: DataConfig = field(default_factory=DataConfig)
    schema: Mapping[str, Any] = field(default_factory=dict)
    model: Any = field(default_factory=DeepFM.Config)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)

    def to_toml(self, schema: Schema) -> str:
        """The run as a TOML file that `clickwise train --config` takes, with the schema that was resolved."""
        sections = {
            "data": to_data(self.data),
            "schema": schema_to_data(schema),
            "model": model_to_data(self.model),
            "training": training_config_to_data(self.training),
            "calibration": to_data(self.calibration),
        }
        return tomli_w.dumps(sections)


def run_config(
    config: str | Path | Mapping[str, Any] | None = None,
    *,
    label: str | None = None,
    model: Any = None,
    schema: Schema | Mapping[str, Any] | str | Path | None = None,
    data: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
) -> RunConfig:
    """Merge a config file, keywords and `path=value` settings (later ones win) and validate the whole.

    Args:
        config: a TOML file or the same as nested dicts.
        label: name of the label column.
        model: a model's name, `FILE:CLASS`, a model's class, or an instance of its `Config`. Only here can a file of
            code be named: what a config file says never runs code.
        schema: a `Schema`, the same as plain data, or a TOML file of it.
        data: keys of `DataConfig`.
        settings: such as `training.epochs=3`.

    Raises:
        ConfigError: names the key, what was got, what is allowed and the nearest valid name.
    """
    sections = _read_sections(config)
    in_file = deepcopy(sections) if isinstance(config, str | Path) else {}
    if schema is not None:
        sections["schema"] = _schema_section(schema)
    if label is not None:
        sections["schema"] = {**sections["schema"], "label": label}
    if model is not None:
        sections["model"] = _model_section(model, sections["model"])
    sections["data"] = {**sections["data"], **(data or {})}
    for setting in settings:
        set_path(sections, setting)
    try:
        return _validated(sections)
    except ConfigError as error:
        there = _at(in_file, error.key)
        if there is not None and there == _at(sections, error.key):
            raise ConfigError(f"{config}: {error.key}", error.problem) from None
        raise


def _validated(sections: dict[str, Any]) -> RunConfig:
    _check_sections(sections)
    if isinstance(sections["schema"], str):
        sections["schema"] = read_toml(sections["schema"])
    model_config = model_from_data(sections["model"])
    return RunConfig(
        data=build(DataConfig, sections["data"], "data"),
        schema=sections["schema"],
        model=model_config,
        training=training_config_from_data(_with_update_rules(sections["training"], model_config), "training"),
        calibration=build(CalibrationConfig, sections["calibration"], "calibration"),
    )


def _at(sections: Mapping[str, Any], key: str) -> Any:
    """What stands at a dotted key, up to an index; None where nothing does."""
    found: Any = sections
    for part in key.partition("[")[0].split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def model_from_data(data: Mapping[str, Any]) -> Any:
    """The model `Config` that `{"name": ..., **keys}` describes; DeepFM when no name is given.

    Raises:
        ConfigError: unknown model or key, a value that is not allowed.
    """
    name = data.get("name", "deepfm")
    if not isinstance(name, str):
        raise ConfigError("model.name", f"got {clipped(name)}, allowed are {', '.join(models)}")
    if is_file_model(name) and name not in models:
        raise ConfigError(
            "model.name", f"{clipped(name)} is code, which no config runs; name its file yourself: --model FILE:CLASS"
        )
    model_class = models.get(name, "model.name")
    return build(model_class.Config, {k: v for k, v in data.items() if k != "name"}, "model")


def model_to_data(config: Any) -> dict[str, Any]:
    """The inverse of `model_from_data`."""
    return {"name": models.name_of(config), **to_data(config)}


def _with_update_rules(training: Mapping[str, Any], model_config: Any) -> dict[str, Any]:
    """The section, with the model's own update rules where it names none; its other keys of `optimizer` stay on top."""
    own = models.get(models.name_of(model_config)).update_rules
    optimizer = training.get("optimizer", {})
    names_one = not isinstance(optimizer, Mapping) or "name" in optimizer
    if names_one or "embedding_optimizer" in training or "groups" in training or not own:
        return dict(training)
    return {**own, **training, "optimizer": {**own.get("optimizer", {}), **optimizer}}


def _read_sections(config: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    """All sections; a schema that is a file, named beside the config file, is read."""
    raw = read_toml(config) if isinstance(config, str | Path) else deepcopy(dict(config or {}))
    try:
        _check_sections(raw)
    except ConfigError as error:
        raise (
            ConfigError(f"{config}: {error.key}", error.problem) if isinstance(config, str | Path) else error
        ) from None
    if isinstance(raw.get("schema"), str):
        folder = Path(config).parent if isinstance(config, str | Path) else Path()
        raw["schema"] = read_toml(folder / raw["schema"])
    return {name: dict(raw.get(name, {})) for name in _SECTIONS}


def _check_sections(raw: Mapping[str, Any]) -> None:
    for name, section in raw.items():
        if name not in _SECTIONS:
            raise ConfigError(name, f"unknown section{nearest(name, _SECTIONS)}; allowed are {', '.join(_SECTIONS)}")
        if not isinstance(section, Mapping) and not (name == "schema" and isinstance(section, str)):
            raise ConfigError(name, f"got {clipped(section)}, allowed is a table")


def _schema_section(schema: Schema | Mapping[str, Any] | str | Path) -> dict[str, Any]:
    if isinstance(schema, Schema):
        return schema_to_data(schema)
    if isinstance(schema, str | Path):
        return read_toml(schema)
    return deepcopy(dict(schema))


def _model_section(model: Any, section: Mapping[str, Any]) -> dict[str, Any]:
    """What `model` says; a bare name keeps the keys that the config file gives for that same model."""
    if isinstance(model, str):
        model = model_from_file(model) if is_file_model(model) else model
        same = section.get("name", model) == model
        return {**(section if same else {}), "name": model}
    if dataclasses.is_dataclass(model) and not isinstance(model, type):
        return model_to_data(model)
    if isinstance(model, type):
        return {"name": models.name_of(model)}
    raise ConfigError("model", f"got {clipped(model)}, allowed is a name, a model class or its Config")
