"""The real thing: its processes, the official client of the Open Inference Protocol, SIGTERM."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tritonclient.http as triton

import clickwise as cw
from clickwise import pipeline
from clickwise.serving.store import Store
from serving_process import Server

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def bundle(small_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "today"
    settings = ["training.epochs=1", "training.batch_size=512", "model.hidden_dims=[8]"]
    cw.train(small_log, label="click", model="deepfm", out=out, settings=settings)
    return out


@pytest.fixture(scope="module")
def store(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    pipeline.export(bundle, folder / "version")
    made = Store(folder / "store")
    made.lead(made.add(folder / "version"))
    made.add(folder / "version")
    return made


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Server]:
    made = Server(
        store.folder, "--workers", "2", "--set", "drain_s=0.0", "--set", "log_share=0.0", CLICKWISE_API_KEY="k"
    )
    made.wait_ready()
    yield made
    made.stop()
    assert made.process.returncode == 0


KEY = {"Authorization": "Bearer k"}
ONE = {"candidates": [{"user_age": 30}]}


def test_the_official_client_scores(server: Server, bundle: Path, small_log: Path) -> None:
    rows = pq.read_table(small_log).slice(0, 40)
    expected = cw.load(bundle).predict(rows)
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("clickwise", headers=KEY)
    assert client.get_server_metadata(headers=KEY)["name"] == "clickwise"
    inputs = []
    for told in client.get_model_metadata("clickwise", headers=KEY)["inputs"]:
        cells = rows[told["name"]].to_pylist()
        column = triton.InferInput(told["name"], [len(cells)], told["datatype"])
        if told["datatype"] == "BYTES":
            texts = [
                json.dumps(cell) if isinstance(cell, list) else "" if cell is None else str(cell) for cell in cells
            ]
            column.set_data_from_numpy(np.array(texts, object))
        else:
            column.set_data_from_numpy(np.array([np.nan if cell is None else cell for cell in cells], np.float64))
        inputs.append(column)
    found = client.infer("clickwise", inputs, headers=KEY)
    np.testing.assert_allclose(found.as_numpy("probability"), expected, atol=1e-6)
    wanted = [triton.InferRequestedOutput("logit", binary_data=False)]
    again = client.infer("clickwise", inputs, model_version="1", outputs=wanted, request_id="7", headers=KEY)
    np.testing.assert_allclose(1 / (1 + np.exp(-again.as_numpy("logit"))), expected, atol=1e-6)
    assert again.get_response()["id"] == "7"
    with pytest.raises(triton.InferenceServerException, match="version 9 is not served"):
        client.infer("clickwise", inputs, model_version="9", headers=KEY)
    client.close()


def test_all_workers_follow(server: Server) -> None:
    """Also the one that did not get the request; and what they counted is one count."""
    assert server.get("/v1/models/live", {"version": 2}, **KEY)[0] == 200
    until = time.monotonic() + 20
    while True:
        versions = {json.loads(server.get("/v1/score", ONE, **KEY)[1])["version"] for _ in range(30)}
        if versions == {2} or time.monotonic() > until:
            break
    assert versions == {2}
    text = ""
    while "clickwise_live_version 2.0" not in text and time.monotonic() < until:  # told a moment later
        text = server.get("/metrics", **KEY)[1].decode()
    assert "clickwise_live_version 2.0" in text
    before = int(float(re.search(r'clickwise_answers_total\{version="2"\} (\S+)', text)[1]))
    for _ in range(20):
        server.get("/v1/score", ONE, **KEY)
    text = server.get("/metrics", **KEY)[1].decode()
    assert f'clickwise_answers_total{{version="2"}} {before + 20}.0' in text


def test_a_worker_that_is_killed_is_replaced(server: Server) -> None:
    """What it had counted stays counted; what it was at that moment is forgotten."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    before = server.get("/metrics", **KEY)[1].decode()
    os.kill(int(children[0]), signal.SIGKILL)
    until, alive = time.monotonic() + 20, set[str]()
    while time.monotonic() < until and len(alive) < 2:
        alive = set(Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split())
        alive -= {children[0]}
        time.sleep(0.02)
    answers = [server.get("/v1/score", ONE, **KEY)[0] for _ in range(20)]
    assert answers.count(200) >= 19, "one may have found the door closing"
    count = re.compile(r'clickwise_requests_total\{route="/v1/score",status="200"\} (\S+)')
    after = server.get("/metrics", **KEY)[1].decode()
    assert float(count.search(after)[1]) >= float(count.search(before)[1]) + 19


def test_the_port_is_not_shared_with_another_server(server: Server, store: Store) -> None:
    words = ["-m", "clickwise", "serve", str(store.folder), "--port", str(server.port)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"cannot listen at 127.0.0.1:{server.port}: Address already in use" in done.stderr


def test_sigterm_answers_what_was_begun(store: Store) -> None:
    """The server of one version. `/readyz` says no at once; a body that is still on its way is read and answered."""
    server = Server(store.folder_of(1), "--workers", "1", "--set", "drain_s=2.0")
    server.wait_ready()
    body = json.dumps(ONE).encode()
    head = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(head % len(body) + body[:5])
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert seen_in_time(server, 503) and seen_in_time(server, 0), "not ready first, then nobody new gets in"
        slow.sendall(body[5:])
        answer = slow.recv(100_000)
    assert answer.startswith(b"HTTP/1.1 200") and b'"probabilities":[' in answer
    errors = server.ended()
    assert server.process.returncode == 0, errors


def seen_in_time(server: Server, status: int) -> bool:
    """Whether `/readyz` comes to answer so within ten seconds."""
    until = time.monotonic() + 10
    while (found := server.get("/readyz")[0]) != status and time.monotonic() < until:
        time.sleep(0.01)
    return found == status


def test_a_second_signal_stops_at_once(store: Store) -> None:
    server = Server(store.folder_of(1), "--workers", "1", "--set", "drain_s=60.0")
    server.wait_ready()
    server.process.send_signal(signal.SIGTERM)
    assert seen_in_time(server, 503)
    began = time.monotonic()
    errors = server.stop()
    assert server.process.returncode == 0 and time.monotonic() - began < 20, errors


HEAD = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def impatient(store: Store) -> Iterator[Server]:
    limits = ["header_s=0.5", "body_s=0.5", "max_body_bytes=1000", "drain_s=0.0"]
    made = Server(store.folder_of(1), "--workers", "1", *(word for limit in limits for word in ("--set", limit)))
    made.wait_ready()
    yield made
    made.stop()


def trickled(server: Server, begin: bytes, drop: bytes) -> tuple[bytes, float]:
    """What the server answers to one who sends `drop` after `drop`, and after how many seconds it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.05) as slow:
        began, answer = time.monotonic(), b""
        slow.sendall(begin)
        while time.monotonic() < began + 10:
            try:
                slow.sendall(drop)
                answer += (part := slow.recv(100_000))
                if not part:
                    break
            except TimeoutError:
                continue
            except OSError:  # closed, while something was still sent
                break
        return answer, time.monotonic() - began


@pytest.mark.parametrize(
    ("begin", "drop", "status", "at_once"),
    [
        (b"POST /v1/score HTTP/1.1\r\n", b"a: b\r\n", b"", False),
        (HEAD + b"Content-Length: 900\r\n\r\n", b" ", b"HTTP/1.1 408", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b"HTTP/1.1 408", False),
        (HEAD + b"Content-Length: 1001\r\n\r\n", b" ", b"HTTP/1.1 413", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b" " * 1000 + b"\r\n", b"HTTP/1.1 413", True),
        (HEAD.replace(b"score", b"nothing") + b"Content-Length: 900\r\n\r\n", b" ", b"HTTP/1.1 404", False),
    ],
    ids=["headers", "body", "chunks", "large", "large chunks", "nobody reads it"],
)
def test_who_is_slow_or_sends_too_much_is_cut_off(
    impatient: Server, begin: bytes, drop: bytes, status: bytes, at_once: bool
) -> None:
    answer, seconds = trickled(impatient, begin, drop)
    assert answer.startswith(status) and answer.count(b"HTTP/1.1") <= 1
    assert seconds < 0.5 if at_once else 0.4 < seconds < 4
    assert impatient.get("/readyz")[0] == 200
