"""What the benchmarks share at their end: the machine they ran on, one table, one dated file of results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
FLAGS = ("avx2", "fma", "avx512f", "avx512bw", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16")
ENVIRONMENT = ("CLICKWISE_KERNELS", "CLICKWISE_ISA", "OMP_NUM_THREADS", "ONEDNN_MAX_CPU_ISA")


def cpu() -> str:
    """The processor's name, where the system says it."""
    return _cpuinfo("model name") or platform.machine()


def hardware() -> dict[str, Any]:
    """The machine, the versions and the commit, for a file of results."""
    flags = set(_cpuinfo("flags").split())
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("clickwise", "torch", "numpy", "pyarrow")},
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "commit": commit(),
    }


def machine_line() -> str:
    """The same in one line, to stand above a table."""
    about = hardware()
    parts = [about["cpu"], f"{about['cores']} cores", f"{about['memory_gb']} GB", " ".join(about["flags"])]
    return ", ".join([*filter(None, parts), f"torch {about['versions']['torch']}"])


def commit() -> str:
    """The commit of this checkout, with a + when files were changed since; empty outside one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns lined up; the first `left` to the left, the others to the right."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        padded = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def write_results(what: str, content: dict[str, Any]) -> Path:
    """`results/<date>-<what>.json`, with a number behind it for the second of a day and so on."""
    RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    stem = f"{now:%Y-%m-%d}-{what}"
    path, count = RESULTS / f"{stem}.json", 2
    while path.exists():
        path, count = RESULTS / f"{stem}-{count}.json", count + 1
    about = {"what": what, "time": now.isoformat(timespec="seconds"), "hardware": hardware()}
    path.write_text(json.dumps({**about, **content}, indent=1) + "\n")
    print(f"\nwritten to {path}")
    return path


def newest_results(what: str) -> dict[str, Any] | None:
    """The newest file of this kind by the time written in it; None: there is none."""
    found = [json.loads(path.read_text()) for path in RESULTS.glob(f"*-{what}*.json")]
    return max((content for content in found if content["what"] == what), key=lambda c: c["time"], default=None)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == key), "")
