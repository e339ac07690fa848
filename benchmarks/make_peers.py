"""Makes the environments of the libraries that the benchmarks compare with, one each.

    python benchmarks/make_peers.py                          # all of them, into build/peers/
    python benchmarks/make_peers.py --only fuxictr --dir /somewhere/else

torch comes first and from `constraints.txt`: asked for by the library it may come with gigabytes of CUDA. An
environment that is there already is left alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from systems import PEERS_FOLDER

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = {
    "fuxictr": ["fuxictr==2.3.10", "polars<2"],  # its data loader calls what polars 2 has removed
    # it imports requests, and its README pandas, without asking for them
    "deepctr_torch": ["deepctr-torch==0.3.0", "requests", "pandas"],
    "torch_rechub": ["torch-rechub==0.9.0"],
    # the release for torch 2.13; 1.9 does not load there (undefined symbol)
    "fbgemm": ["fbgemm-gpu-cpu==1.8.0", "numpy"],
    "fastapi": ["fastapi==0.165.0", "uvicorn[standard]==0.54.0", "orjson==3.13.0", "numpy"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=PEERS_FOLDER, help="folder of the environments")
    parser.add_argument("--only", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    options = parser.parse_args()
    failed = [name for name in options.only if not make(options.dir / name, PACKAGES[name])]
    if failed:
        sys.exit(f"not made: {', '.join(failed)}")


def make(folder: Path, packages: list[str]) -> bool:
    """One environment; false when pip failed. What a failed attempt left is made again."""
    ready = folder / ".ready"
    if ready.exists():
        print(f"{folder.name}: there already")
        return True
    print(f"{folder.name}: {' '.join(packages)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["-c", str(ROOT / "constraints.txt")]
    done = all(subprocess.run([*pip, *names], check=False).returncode == 0 for names in (["torch"], packages))
    if done:
        ready.touch()
    return done


if __name__ == "__main__":
    main()
