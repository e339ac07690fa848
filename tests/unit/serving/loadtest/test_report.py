"""The table, the data and the curve of a load test; and the search for the rate."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickwise.errors import ClickwiseError, ConfigError
from clickwise.serving.loadtest import run
from clickwise.serving.loadtest.curve import draw
from clickwise.serving.loadtest.report import LoadReport
from clickwise.serving.loadtest.run import load_test, target_of
from clickwise.serving.loadtest.step import Step


def made(rate: float, ms: float, busy: int = 0, failed: int = 0, late_ms: float = 0.1) -> Step:
    n = 200
    status = np.full(n, 200)
    status[:busy], status[busy : busy + failed] = 503, 0
    latency = np.where(status == 0, np.inf, ms / 1000)
    return Step(float(rate), 2.0, latency, status, np.full(n, late_ms / 1000))


REPORT = LoadReport((made(100, 2.0), made(200, 4.0, busy=1), made(300, 20.0, busy=100, failed=3)), 10.0)


def test_table() -> None:
    assert str(REPORT).splitlines() == [
        "rate/s  goodput/s  p50 ms  p95 ms  p99 ms  p99.9 ms  busy  failed  late ms",
        "100.00     100.00    2.00    2.00    2.00      2.00     0       0     0.10",
        "200.00      99.50    4.00    4.00    4.00      4.00     1       0     0.10",
        "300.00       0.00   20.00   20.00   20.00     20.00   100       3     0.10",
        "p99 within 10 ms: held up to 200 requests/s",
        "late: the load generator's own delay, 99th percentile, counted into the latency",
    ]


def test_data() -> None:
    told = json.loads(json.dumps(REPORT.to_data(), allow_nan=False))
    assert told["best_rate"] == 200 and told["steps"][2]["failed"] == 3
    nothing = LoadReport((made(100, 2.0, failed=200),), 10.0)
    assert nothing.to_data()["steps"][0]["p99_ms"] is None and nothing.best_rate is None
    assert "no step held it" in str(nothing)


def test_a_lucky_step_above_a_broken_one_does_not_count() -> None:
    assert LoadReport((made(100, 2.0), made(150, 50.0), made(200, 2.0)), 10.0).best_rate == 100


def test_a_step_that_the_generator_spoiled_is_not_the_servers_failure() -> None:
    report = LoadReport((made(100, 2.0), made(150, 6629.0, late_ms=6621.0), made(200, 4.0), made(300, 20.0)), 10.0)
    assert report.best_rate == 200
    assert [step["measured"] for step in report.to_data()["steps"]] == [True, False, True, True]
    assert "not measured: 150 requests/s, where the load generator itself was too slow" in str(report)
    picture = ET.fromstring(draw(report, "x"))
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 12, "of three steps"
    nothing = LoadReport((made(150, 50.0, late_ms=40.0),), 10.0)
    assert nothing.best_rate is None and "p99 within 10 ms: no step was measured" in str(nothing)
    draw(nothing, "x")


def test_a_spoiled_step_is_repeated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    async def pretended(target: Any, bodies: Any, rate: float, seconds: float, seed: int = 0) -> Step:
        asked.append(rate)
        spoiled = rate == 300 or (rate == 200 and asked.count(200) == 1)
        return made(rate, 5000.0, late_ms=4999.0) if spoiled else made(rate, 5.0)

    monkeypatch.setattr(run, "run_step", pretended)
    told: list[Step] = []
    rates = [100, 200, 300]
    report = load_test(target_of("http://127.0.0.1:1"), [b"{}"], bound_ms=10.0, rates=rates, note=told.append)
    assert asked == [100, *(100, 200, 200, 300, 300)], "the first warms up"
    assert tuple(told) == report.steps and [step.rate for step in report.measured] == [100, 200]
    assert report.best_rate == 200


def test_curve() -> None:
    picture = ET.fromstring(draw(REPORT, "Latency of <a>"))
    texts = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "Latency of <a>" and {"p50", "p95", "p99", "p99.9", "bound", "300"} <= set(texts)
    places = [
        (float(dot.get("cx", "nan")), float(dot.get("cy", "nan")))
        for dot in picture.iter("{http://www.w3.org/2000/svg}circle")
    ]
    assert len(places) == 12
    assert places[0][0] < places[1][0] < places[2][0] and places[0][1] > places[1][1] > places[2][1]
    nothing = LoadReport((made(100, 2.0, failed=200),), 10.0)
    assert not list(ET.fromstring(draw(nothing, "x")).iter("{http://www.w3.org/2000/svg}circle"))


def test_the_search_closes_in_on_the_rate(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pretended(target: Any, bodies: Any, rate: float, seconds: float, seed: int = 0) -> Step:
        return made(rate, 5.0 if rate <= 333.0 else 50.0)

    monkeypatch.setattr(run, "run_step", pretended)
    told: list[Step] = []
    report = load_test(target_of("http://127.0.0.1:1"), [b"{}"], bound_ms=10.0, note=told.append)
    assert len(told) == len(report.steps)
    assert [step.rate for step in told[:6]] == [50, 75, 112.5, 168.75, 253.125, 379.6875]
    assert report.best_rate is not None and 315 <= report.best_rate <= 333


def test_given_rates(server: Any) -> None:
    report = load_test(target_of(f"127.0.0.1:{server.port}"), [b"{}"], bound_ms=1e4, seconds=0.2, rates=[60, 30])
    assert [step.rate for step in report.steps] == [30, 60] and report.best_rate == 60


def test_a_server_that_answers_nothing(server: Any) -> None:
    server.answer = lambda n: (401, 0.0)
    with pytest.raises(ClickwiseError, match=r"no request was answered; status \[401\]"):
        load_test(target_of(f"127.0.0.1:{server.port}"), [b"{}"], bound_ms=10.0, seconds=0.2)


def test_addresses() -> None:
    assert target_of("http://h:1")[:3] == ("h", 1, "/v1/score")
    assert target_of("h")[:2] == ("h", 80)
    for wrong in ("https://h", "ftp://h", "http://"):
        with pytest.raises(ConfigError, match="an address such as"):
            target_of(wrong)


def test_the_verb(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    import sys

    from clickwise.cli import main

    told = {"traffic": {"live": 1}, "versions": [{"number": 1, "columns": {"a": "text"}}]}
    server.models, svg = json.dumps(told).encode(), tmp_path / "curve.svg"
    words = [f"http://127.0.0.1:{server.port}", "--candidates", "2", "--rates", "40,80", "--seconds", "0.2"]
    monkeypatch.setattr(sys, "argv", ["clickwise", "loadtest", *words, "--p99-ms", "9000", "--svg", str(svg), "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    printed = capsys.readouterr()
    assert json.loads(printed.out)["best_rate"] == 80 and "80 requests/s: p99" in printed.err
    assert svg.read_text().startswith("<svg")
    assert len(json.loads(server.asked[0])["candidates"]) == 2
    monkeypatch.setattr(sys, "argv", ["clickwise", "loadtest", words[0], "--rates", "1,x"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "--rates: got 'x'" in capsys.readouterr().err
