"""Draws the newest `training-rate` results into `docs/training_rate.svg`: rows a second against table rows.

python benchmarks/plot.py                    # DeepFM
python benchmarks/plot.py --model dcn_v2 --out docs/dcn_v2.svg
"""

from __future__ import annotations

import argparse
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

from report import newest_results
from systems import ROOT

# Okabe and Ito's colours, told apart by the colour-blind too; each line has its own mark as well.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F"]
MARKS = ["circle", "square", "diamond", "triangle"]
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 470, 80, 50, 250, 60
Points = list[tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--what", nargs="+", default=["training-rate"], help="names of results of one machine, drawn as one"
    )
    parser.add_argument("--model", default="deepfm")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "training_rate.svg")
    options = parser.parse_args()
    found = [newest_results(what) for what in options.what]
    runs = [run for run in found if run is not None]
    if len(runs) < len(found):
        sys.exit(f"no results called {options.what[found.index(None)]}: run benchmarks/training_rate.py first")
    if len({run["hardware"]["cpu"] for run in runs}) > 1:
        sys.exit("these results are of different processors")
    results = {**runs[0], "rows": [row for run in runs for row in run["rows"]]}
    lines = lines_of(results, options.model)
    if not lines:
        sys.exit(f"these results have no figures for {options.model}")
    about = f"{results['hardware']['cpu']}, {results['threads']} threads, {results['time'][:10]}"
    options.out.write_text(draw(lines, f"Training rate of {options.model}", about))
    print(options.out)


def lines_of(results: dict[str, Any], model: str) -> dict[str, Points]:
    """Points (V, rows/s) of each system, fastest first."""
    lines: dict[str, Points] = {}
    for row in results["rows"]:
        if row["model"] == model and row["rate"]:
            name = " ".join(filter(None, (row["library"].replace("_", "-"), row["rule"], row["precision"])))
            lines.setdefault(name, []).append((row["V"], row["rate"]))
    return {name: sorted(lines[name]) for name in sorted(lines, key=lambda name: -max(y for _, y in lines[name]))}


def draw(lines: dict[str, Points], title: str, about: str) -> str:
    """The whole picture: both axes logarithmic, a grid line at every 1, 2 and 5, names at the right."""
    points = [point for line in lines.values() for point in line]
    x_low, x_high = min(x for x, _ in points) / 1.3, max(x for x, _ in points) * 1.3
    y_low, y_high = min(y for _, y in points) / 1.5, max(y for _, y in points) * 1.5
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / x_low) / math.log(x_high / x_low)
        up = math.log(y / y_low) / math.log(y_high / y_low)
        return LEFT + across * (right - LEFT), bottom - up * (bottom - TOP)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<title>{escape(title)}</title><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(LEFT, 22, title, size=16),
        text(LEFT, 40, about, colour="#555"),
        text((LEFT + right) / 2, HEIGHT - 14, "rows of the embedding table (V)", anchor="middle"),
        text(LEFT - 8, TOP - 4, "rows/s", anchor="end"),
    ]
    for y in ticks(y_low, y_high):
        _, down = at(x_low, y)
        out.append(f'<path d="M{LEFT} {down:.1f}H{right}" stroke="#ddd"/>')
        out.append(text(LEFT - 8, down + 4, short(y), anchor="end"))
    for x in sorted({x for x, _ in points}):
        across, _ = at(x, y_low)
        out.append(f'<path d="M{across:.1f} {TOP}V{bottom}" stroke="#eee"/>')
        out.append(text(across, bottom + 18, short(x), anchor="middle"))
    for i, (name, line) in enumerate(lines.items()):
        colour, kind = COLOURS[i % len(COLOURS)], MARKS[(i + i // len(COLOURS)) % len(MARKS)]
        places = [at(x, y) for x, y in line]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [mark(kind, x, y, colour) for x, y in places]
        out += [mark(kind, right + 20, TOP + 8 + 22 * i, colour), text(right + 32, TOP + 12 + 22 * i, name)]
    return "\n".join([*out, "</svg>\n"])


def ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]


def short(value: float) -> str:
    """Two digits: 100 k, 1 M, 33 M."""
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= 0.95 * size:
            return f"{float(f'{value / size:.2g}'):g}{unit}"
    return f"{float(f'{value:.2g}'):g}"


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 12, colour: str = "#222") -> str:
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def mark(kind: str, x: float, y: float, colour: str) -> str:
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
    shapes = {"square": "-4-4h8v8h-8z", "diamond": "0-6l6 6l-6 6l-6-6z", "triangle": "0-5l5.5 9h-11z"}
    return f'<path d="M{x:.1f} {y:.1f}m{shapes[kind]}" fill="{colour}"/>'


if __name__ == "__main__":
    main()
