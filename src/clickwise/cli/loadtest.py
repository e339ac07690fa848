"""`clickwise loadtest`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from clickwise.cli.options import JsonOption, show
from clickwise.config import require


def loadtest(
    url: Annotated[str, typer.Argument(help="Address of a server, such as http://127.0.0.1:8080.")],
    requests: Annotated[Path | None, typer.Option(help="File with a body of /v1/score a line; else made up.")] = None,
    candidates: Annotated[int | None, typer.Option(help="Of made-up requests; else as MLPerf's DLRM has them.")] = None,
    p99_ms: Annotated[float, typer.Option(help="Bound that 99 of 100 requests are to keep.")] = 10.0,
    rates: Annotated[
        str | None, typer.Option(help="Requests a second of each step, such as 100,200; else a search.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Of each step.")] = 10.0,
    svg: Annotated[Path | None, typer.Option(help="File to draw latency against rate to.")] = None,
    json: JsonOption = False,
) -> None:
    """Send requests as they would arrive, faster and faster, and say which rate keeps the bound."""
    from clickwise.atomic import whole_file
    from clickwise.cli.serve import API_KEY
    from clickwise.serving.loadtest.bodies import columns_of, made_bodies, read_bodies
    from clickwise.serving.loadtest.curve import draw
    from clickwise.serving.loadtest.run import load_test, target_of
    from clickwise.serving.loadtest.step import Step

    require(p99_ms > 0, "--p99-ms", p99_ms, "milliseconds > 0")
    require(seconds > 0, "--seconds", seconds, "seconds > 0")
    require(candidates is None or candidates >= 1, "--candidates", candidates, "a whole number >= 1")
    key = os.environ.get(API_KEY, "")
    target = target_of(url, key)
    where = f"http://{target.host}:{target.port}"
    bodies = read_bodies(requests) if requests else made_bodies(columns_of(where, key), candidates)

    def note(step: Step) -> None:
        found = f"p99 {step.percentile_ms(99):.2f} ms"
        if step.is_spoiled(p99_ms):
            found = f"not measured: the load generator itself was {step.late_ms:.0f} ms late, twice"
        typer.echo(f"{step.rate:8.0f} requests/s: {found}", err=True)

    report = load_test(target, bodies, bound_ms=p99_ms, seconds=seconds, rates=_rates(rates), note=note)
    if svg is not None:
        with whole_file(svg) as file:
            file.write_text(draw(report, f"Latency of {where}"), encoding="utf-8")
    show(report, json)


def _rates(text: str | None) -> list[float]:
    found = [part.strip() for part in text.split(",")] if text else []
    for part in found:
        require(part.replace(".", "", 1).isdigit() and float(part) > 0, "--rates", part, "numbers > 0 between commas")
    return [float(part) for part in found]
