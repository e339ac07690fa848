"""What `import clickwise` does to a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

KEYS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.mark.parametrize(
    ("told", "after"),
    [
        ({}, ["2000", "None"]),
        ({"GOMP_SPINCOUNT": "7"}, ["7", "None"]),
        ({"OMP_WAIT_POLICY": "active"}, ["None", "active"]),
    ],
)
def test_idle_threads_of_torch_sleep_soon_unless_told_otherwise(told: dict[str, str], after: list[str]) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in KEYS} | told
    code = f"import os, sys, clickwise; print(*map(os.environ.get, {KEYS}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*after, "False"]
