"""What every test shares: one torch thread, a cache of its own, a small simulated log."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from clickwise.data.simulator import SimulatorConfig, write_simulation

torch.set_num_threads(1)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

# A shell starts background jobs with Ctrl-C ignored, and children inherit that: the tests of Ctrl-C need it back.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Encoded data sets of the tests go to a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLICKWISE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def small_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5,000 simulated impressions as Parquet."""
    path = tmp_path_factory.mktemp("log") / "clicks.parquet"
    write_simulation(SimulatorConfig(rows=5_000, num_users=500, num_ads=50), path)
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real logs beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the real logs in ../shared/data, which are not part of the project")
    return SHARED
