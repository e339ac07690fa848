"""`serve`, `publish` and `rollback` as a person uses them; a running server is in `serving/app/test_process.py`."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import clickwise as cw
from clickwise import pipeline
from clickwise.cli import main
from clickwise.cli.exported import exported
from clickwise.sealed import name_of
from clickwise.serving.app import run as running
from clickwise.serving.one_version import OneVersion
from clickwise.serving.store import Store
from clickwise.serving.traffic import Traffic


@pytest.fixture
def clickwise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line; gives exit code, stdout, stderr."""

    def ran(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["clickwise", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return ran


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `run` was called with, instead of running."""
    calls: list[Any] = []

    def run(store: Any, config: Any, recommender: Any, listens: Callable[[], None]) -> None:
        calls.append((store, config, recommender))
        listens()

    monkeypatch.setattr(running, "run", run)
    return calls


@pytest.fixture(scope="module")
def bundle(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "today"
    cw.train(small_log, label="click", model="lr", out=out, settings=["training.epochs=1"])
    return out


@pytest.fixture(scope="module")
def version(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("versions") / "one"
    pipeline.export(bundle, out)
    return out


@pytest.mark.slow
def test_publish_try_and_roll_back(clickwise: Any, version: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert clickwise("publish", version, store) == (0, f"{store}: version 1 is live\n", "")
    assert clickwise("publish", version, store, "--shadow")[1] == f"{store}: version 2 scores in the shadow\n"
    assert (
        clickwise("publish", version, store, "--share", "0.05")[1]
        == f"{store}: version 3 answers 5.0% of the requests\n"
    )
    assert Store(store).traffic() == Traffic(live=1, second=3, share=0.05, shadow=2)
    assert clickwise("rollback", store)[1].splitlines() == [
        f"{store}: version 3 no longer answers 5.0% of the requests",
        f"{store}: version 2 no longer scores in the shadow",
        f"{store}: version 1 is live and stays so",
    ]
    assert Store(store).traffic() == Traffic(live=1)
    Store(store).try_out(3, 0.05)
    assert clickwise("rollback", store, "--to", "3")[1] == f"{store}: version 3 is live\n", "it has won"
    assert clickwise("rollback", store)[1] == f"{store}: version 1 is live\n"
    code, _, told = clickwise("rollback", store)
    assert code == 2 and "version 1 is the first that was live" in told
    code, _, told = clickwise("rollback", store, "--to", "9")
    assert code == 2 and "has no version 9; there are: 1, 2, 3" in told


@pytest.mark.slow
def test_publish_refuses(clickwise: Any, version: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    for words, message in (
        (["--share", "0.1"], "no version is live; publish one without --share"),
        (["--shadow"], "no version is live"),
        (["--share", "1.5"], "--share: got 1.5"),
        (["--share", "0.1", "--shadow"], "without --shadow"),
    ):
        code, _, told = clickwise("publish", version, store, *words)
        assert code == 2 and message in told and "\n" not in told.strip()
    golden = version / "golden.json"
    whole = golden.read_bytes()
    try:
        golden.write_bytes(whole.replace(b"1", b"2"))
        code, _, told = clickwise("publish", version, store)
        assert code == 2 and "golden.json: its checksum differs" in told
    finally:
        golden.write_bytes(whole)
    assert not store.exists()
    for path in (tmp_path / "nowhere", tmp_path):
        code, _, told = clickwise("publish", path, store)
        assert code == 2 and "is neither a version nor a bundle; `clickwise train` makes bundles" in told


@pytest.mark.slow
def test_a_bundle_becomes_a_version(bundle: Path, version: Path) -> None:
    with exported(bundle) as folder:
        assert json.loads((folder / "golden.json").read_bytes())
        kept = folder
    assert not kept.exists()
    with exported(version) as folder:
        assert folder == version


@pytest.mark.slow
def test_serve_reads_its_flags(
    clickwise: Any, served: list[Any], version: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLICKWISE_API_KEY", "k")
    code, _, told = clickwise("serve", version, "--port", "9999", "--workers", "3", "--set", "max_waiting=5")
    assert code == 0 and "by 3 workers: http://127.0.0.1:9999/ is a page to look at" in told
    store, config, recommender = served.pop()
    assert isinstance(store, OneVersion) and store.folder_of(1) == version and recommender is None
    assert (config.host, config.port, config.workers, config.max_waiting) == ("127.0.0.1", 9999, 3, 5)
    assert config.api_key == "k"
    monkeypatch.delenv("CLICKWISE_API_KEY")
    clickwise("publish", version, tmp_path / "store")
    assert clickwise("serve", tmp_path / "store")[0] == 0
    store, config, _ = served.pop()
    assert isinstance(store, Store) and config.api_key == "" and config.num_workers == len(os.sched_getaffinity(0))
    assert name_of(store.folder_of(1)) == name_of(version)


@pytest.mark.slow
def test_serve_announces_no_address_that_another_has(clickwise: Any, version: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, told = clickwise("serve", version, "--port", port)
    assert code == 2 and told == (
        f"clickwise: error: host: cannot listen at 127.0.0.1:{port}: Address already in use\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "max_wating=5"], "max_wating: unknown key (did you mean 'max_waiting'?)"),
        (["--set", "max_waiting=0"], "max_waiting: got 0"),
        (["--port", "70000"], "port: got 70000, allowed is 1 to 65535"),
        ([], "is neither a version nor a bundle"),
    ],
)
def test_serve_refuses(clickwise: Any, served: list[Any], tmp_path: Path, words: list[str], message: str) -> None:
    code, _, told = clickwise("serve", tmp_path, *words)
    assert code == 2 and message in told and not served


@pytest.mark.slow
def test_serve_refuses_what_is_no_recommender(clickwise: Any, served: list[Any], version: Path, tmp_path: Path) -> None:
    code, _, told = clickwise("serve", version, "--recommender", tmp_path)
    assert code == 2 and "is no recommender; `clickwise index" in told and not served
