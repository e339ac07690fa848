"""An app whose versions are stand-ins."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clickwise.config import build
from clickwise.serving.app.app import App
from clickwise.serving.app.config import ServerConfig
from clickwise.serving.app.log import Log
from clickwise.serving.live import Live
from clickwise.serving.store import Store
from serving_stand_ins import StandIn, version_folder

KEY = "a-key"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Versions 1 and 2, which answer with logits 1 and 2 (and the price); 1 is live."""
    made = Store(tmp_path / "store")
    for number in (1, 2):
        made.add(version_folder(tmp_path / f"v{number}", float(number)))
    made.lead(1)
    return made


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def make_app(store: Store, log: io.StringIO) -> Callable[..., App]:
    """An app over the store; keywords are of `ServerConfig`."""

    def made(
        stopping: Callable[[], bool] = lambda: False, works: Any = lambda: None, recommender: Any = None, **told: Any
    ) -> App:
        live = Live(store, lambda folder: StandIn(folder, works))  # type: ignore[arg-type, return-value]
        live.refresh()
        config = build(ServerConfig, told)
        return App(live, config, log=Log(config.log_share, log), stopping=stopping, recommender=recommender)

    return made


@pytest.fixture
def app(make_app: Callable[..., App]) -> App:
    return make_app()
