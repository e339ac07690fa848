"""The Open Inference Protocol, as its text has it; `test_process.py` asks by the official client."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from asgi_client import ask
from clickwise.serving.app.app import App
from clickwise.serving.store import Store

MODEL = "/v2/models/clickwise"
PRICE = {"name": "price", "datatype": "FP64", "shape": [2], "data": [0.0, 1.0]}


def test_server_and_health(app: App) -> None:
    assert ask(app, "GET", "/v2").json["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/health/live", "/v2/health/ready", f"{MODEL}/ready", f"{MODEL}/versions/1/ready"):
        assert ask(app, "GET", path).status == 200
    for path in (f"{MODEL}/versions/2/ready", f"{MODEL}/versions/2", f"{MODEL}/versions/01x", f"{MODEL}/versions"):
        assert ask(app, "GET", path).status == 404


def test_metadata(app: App) -> None:
    told = ask(app, "GET", MODEL).json
    assert told["name"] == "clickwise" and told["versions"] == ["1"]
    kinds = {one["name"]: one["datatype"] for one in told["inputs"]}
    assert kinds == {"user": "BYTES", "item": "BYTES", "price": "FP64", "tags": "BYTES"}
    assert [one["name"] for one in told["outputs"]] == ["probability", "logit"]
    assert ask(app, "GET", f"{MODEL}/versions/1").json == told


def test_infer(app: App) -> None:
    answer = ask(app, "POST", f"{MODEL}/infer", {"id": "7", "inputs": [PRICE]})
    assert answer.status == 200 and answer.headers["clickwise-version"] == "1"
    told = answer.json
    assert (told["model_name"], told["model_version"], told["id"]) == ("clickwise", "1", "7")
    (out,) = told["outputs"]
    assert (out["name"], out["datatype"], out["shape"]) == ("probability", "FP64", [2])
    assert out["data"] == [1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-2.0))]
    wanted = {"inputs": [PRICE], "outputs": [{"name": "logit"}, {"name": "probability"}]}
    logit, _ = ask(app, "POST", f"{MODEL}/infer", wanted).json["outputs"]
    assert logit == {"name": "logit", "datatype": "FP32", "shape": [2], "data": [1.0, 2.0]}


def test_infer_in_bytes(app: App) -> None:
    told = {**PRICE, "parameters": {"binary_data_size": 16}}
    del told["data"]
    asked = {"inputs": [told], "outputs": [{"name": "logit", "parameters": {"binary_data": True}}]}
    head = json.dumps(asked).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    answer = ask(app, "POST", f"{MODEL}/infer", head + np.array([0.0, 1.0]).tobytes(), headers=headers)
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.body[:length])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(answer.body[length:], "<f4").tolist() == [1.0, 2.0]


def test_a_version_by_name(make_app: Callable[..., App], store: Store) -> None:
    store.shadow(2)
    app = make_app()
    answer = ask(app, "POST", f"{MODEL}/versions/2/infer", {"inputs": [PRICE], "outputs": [{"name": "logit"}]})
    assert answer.headers["clickwise-version"] == answer.json["model_version"] == "2"
    assert answer.json["outputs"][0]["data"] == [2.0, 3.0]
    missing = ask(app, "POST", f"{MODEL}/versions/3/infer", {"inputs": [PRICE]})
    assert missing.status == 404 and missing.json["error"] == "version 3 is not served; 1, 2 is"


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"", {}, "is no inference request"),
        (b'{"inputs": {}}', {}, "is no inference request: Expected `array`"),
        (b'{"inputs": [' + b"[" * 100_000, {}, "is no inference request"),
        (b'{"inputs": []}', {"inference-header-content-length": "15"}, "the body has 14 bytes"),
        (b'{"inputs": []}', {"inference-header-content-length": "-1"}, "Inference-Header-Content-Length: got"),
        (b'{"inputs": []}', {"inference-header-content-length": "12"}, "is no inference request"),
        (b'{"inputs": [], "outputs": [{"name": "x"}]}', {}, "allowed are probability and logit"),
        (b'{"inputs": [], "outputs": [{"name": "logit"}, {"name": "logit"}]}', {}, "one comes twice"),
        (b'{"inputs": [{"name": "p", "datatype": "FP64", "shape": [9999], "data": []}]}', {}, "max_candidates"),
    ],
)
def test_what_is_wrong_is_said(app: App, body: bytes, headers: dict[str, str], message: str) -> None:
    answer = ask(app, "POST", f"{MODEL}/infer", body, headers=headers)
    assert answer.status == 400 and message in answer.json["error"]
