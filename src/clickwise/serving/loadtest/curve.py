"""`draw`: latency against rate, as an SVG file that needs nothing else."""

from __future__ import annotations

import math
from html import escape

from clickwise.serving.loadtest.report import LoadReport

# Okabe and Ito's colours, told apart by the colour-blind too; each line has its own dashes as well.
_LINES = {50.0: ("#0072B2", ""), 95.0: ("#009E73", "6 3"), 99.0: ("#D55E00", "2 3"), 99.9: ("#CC79A7", "8 3 2 3")}
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 760, 420, 70, 50, 110, 55


def draw(report: LoadReport, title: str) -> str:
    """Percentiles of latency (logarithmic) against requests a second, with the bound."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    lines = {percent: [(one.rate, one.percentile_ms(percent)) for one in report.measured] for percent in _LINES}
    shown = [y for line in lines.values() for _, y in line if math.isfinite(y) and y > 0]
    low, high = min([*shown, report.bound_ms]) / 1.3, max([*shown, report.bound_ms]) * 1.3
    fastest = max(step.rate for step in report.steps) * 1.05

    def at(rate: float, ms: float) -> tuple[float, float]:
        up = math.log(ms / low) / math.log(high / low)
        return _LEFT + rate / fastest * (right - _LEFT), bottom - up * (bottom - _TOP)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<title>{escape(title)}</title><rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_LEFT, 24, title, size=16),
        _text((_LEFT + right) / 2, _HEIGHT - 12, "requests/s", anchor="middle"),
        _text(_LEFT - 8, _TOP - 8, "ms", anchor="end"),
    ]
    for ms in _ticks(low, high):
        _, y = at(0, ms)
        out += [f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ddd"/>', _text(_LEFT - 8, y + 4, f"{ms:g}", anchor="end")]
    for rate in _round_steps(fastest):
        x, _ = at(rate, low)
        out += [
            f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="#eee"/>',
            _text(x, bottom + 18, f"{rate:g}", anchor="middle"),
        ]
    _, y = at(0, report.bound_ms)
    out += [f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#222" stroke-width="1.5"/>', _text(right + 6, y + 4, "bound")]
    for place, (percent, line) in enumerate(lines.items()):
        colour, dashes = _LINES[percent]
        points = [at(x, y) for x, y in line if math.isfinite(y) and y > 0]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        if path:
            out.append(
                f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
            )
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        key = _TOP + 12 + 20 * place
        out.append(f'<path d="M{right + 6} {key}h24" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>')
        out.append(_text(right + 36, key + 4, f"p{percent:g}"))
    return "\n".join([*out, "</svg>\n"])


def _ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]


def _round_steps(most: float) -> list[float]:
    """Four to ten round numbers from 0 to `most`."""
    size = 10.0 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.1, 0.2, 0.5, 1.0) if most / (size * part) <= 10)
    return [step * n for n in range(int(most / step) + 1)]


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222">{escape(words)}</text>'
