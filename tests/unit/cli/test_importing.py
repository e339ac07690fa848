from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import gc, sys
from clickwise.cli.importing import importing
with importing():
    import torch
import pyarrow as pa
array = pa.array([1, 2])
assert "pandas" not in sys.modules
assert gc.isenabled() and gc.get_freeze_count() > 100_000
assert array.to_pandas().tolist() == [1, 2] and "pandas" in sys.modules
"""


def test_a_verb_imports_no_pandas_unless_a_frame_is_asked_for() -> None:
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
