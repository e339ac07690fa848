from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from clickwise.errors import ConfigError
from clickwise.models import FM, DeepFM
from clickwise.optim import FTRL, Adagrad, Adam, ParameterGroup
from clickwise.run_config import run_config
from clickwise.schema import Schema


def test_settings_win_over_keywords_and_keywords_over_the_file() -> None:
    file = {"model": {"name": "deepfm", "embedding_dim": 4}, "training": {"epochs": 2}, "schema": {"label": "a"}}
    run = run_config(file, label="b", settings=["training.epochs=7", "model.embedding_dim=5"])
    assert (run.training.epochs, run.model.embedding_dim, run.schema["label"]) == (7, 5, "b")


def test_a_model_can_be_a_name_a_class_or_a_config() -> None:
    assert run_config().model == DeepFM.Config()
    assert run_config(model="fm").model == run_config(model=FM).model == FM.Config()
    assert run_config(model=FM.Config(embedding_dim=3)).model.embedding_dim == 3


def test_another_model_than_the_files_does_not_inherit_its_keys() -> None:
    file = {"model": {"name": "deepfm", "hidden_dims": [4]}}
    assert run_config(file, model="deepfm").model.hidden_dims == (4,)
    assert run_config(file, model="fm").model == FM.Config()


def test_the_saved_toml_gives_the_same_run() -> None:
    settings = ["training.optimizer.name=adagrad", "training.optimizer.learning_rate=0.1", "data.valid_fraction=0.2"]
    run = run_config(model="dcn", settings=settings)
    again = run_config(tomllib.loads(run.to_toml(Schema(label="click"))))
    assert (again.model, again.training, again.data) == (run.model, run.training, run.data)
    assert again.training.optimizer == Adagrad.Config(learning_rate=0.1)
    assert again.schema == {"label": "click"}


def test_wide_and_deep_trains_by_its_papers_rules_unless_a_run_names_one() -> None:
    paper = run_config(model="wide_deep").training
    wide = ParameterGroup(parameters="wide.*", optimizer=FTRL.Config(learning_rate=0.05, l1=1e-4))
    assert (paper.optimizer, paper.groups) == (Adagrad.Config(learning_rate=0.01), (wide,))
    slower = run_config(model="wide_deep", settings=["training.optimizer.learning_rate=0.003"]).training
    assert (slower.optimizer, slower.groups) == (Adagrad.Config(learning_rate=0.003), (wide,))
    for said in ({"optimizer": "adam"}, {"optimizer": {"name": "adam"}}, {"groups": []}):
        named = run_config({"training": said}, model="wide_deep").training
        assert (named.optimizer, named.embedding_optimizer, named.groups) == (Adam.Config(), None, ())
    tables = run_config({"training": {"embedding_optimizer": "adagrad"}}, model="wide_deep").training
    assert (tables.optimizer, tables.embedding_optimizer, tables.groups) == (Adam.Config(), Adagrad.Config(), ())
    assert run_config(model="deepfm").training.optimizer == Adam.Config()


def test_a_schema_can_be_a_file_beside_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schema.toml").write_text('label = "y"\n')
    (tmp_path / "run.toml").write_text('schema = "schema.toml"\n')
    assert run_config(tmp_path / "run.toml").schema == {"label": "y"}
    assert run_config(schema=tmp_path / "schema.toml").schema == {"label": "y"}
    monkeypatch.chdir(tmp_path)
    assert run_config(settings=["schema=schema.toml"]).schema == {"label": "y"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"config": {"modle": {}}}, r"modle: unknown section \(did you mean 'model'\?\)"),
        ({"config": {"model": 3}}, "model: got 3, allowed is a table"),
        ({"model": "wide_and_deep"}, "model.name: unknown model 'wide_and_deep'.*did you mean 'wide_deep'"),
        ({"model": 7}, "model: got 7"),
        ({"settings": ["model.embedding_dims=3"]}, "model.embedding_dims: unknown key.*'embedding_dim'"),
        ({"settings": ["training.optimizer.name=adamm"]}, "training.optimizer.name.*'adam'"),
        ({"settings": ["data.valid_fraction=1.5"]}, r"data.valid_fraction: got 1.5, allowed is a number in \[0, 1\)"),
    ],
)
def test_mistakes_name_the_key(arguments: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run_config(**arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[traning]\n", r"traning: unknown section \(did you mean 'training'"),
        ("model = 3\n", "model: got 3"),
        ("[training]\nepochz = 3\n", "training.epochz: unknown key"),
        ("[training.optimizer]\nname = 'adamm'\n", "training.optimizer.name: "),
        ("[data]\nvalid_fraction = 1.5\n", "data.valid_fraction: got 1.5"),
        ("[data]\nnames = ['a', 7]\n", r"data.names\[1\]: got 7"),
        ("[model]\nname = 'wide_and_deep'\n", "model.name: unknown model"),
    ],
)
def test_mistakes_in_a_file_name_it(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f"^{re.escape(str(file))}: {said}"):
        run_config(file)


def test_a_mistake_in_a_setting_is_not_said_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text("[data]\nvalid_fraction = 0.2\n")
    with pytest.raises(ConfigError, match=r"^data.valid_fraction: got 1.5"):
        run_config(file, settings=["data.valid_fraction=1.5"])
