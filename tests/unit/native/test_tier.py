"""Which kernels are used, and what is said when there are none. A process each: both settings are read once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clickwise.native import available_isas, kernels

built = pytest.mark.skipif(not available_isas(), reason="the compiled kernels were not built")
SHOW = "from clickwise.native import *; print(tier().name); tier(); "
HIDE = "import sys; sys.modules['clickwise.native._kernels'] = None; "


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    names = ("CLICKWISE_KERNELS", "CLICKWISE_ISA")
    clean = {key: value for key, value in os.environ.items() if key not in names}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, env=clean | environment, capture_output=True, text=True
    )


def test_without_kernels_torch_does_the_work_and_it_is_said_once() -> None:
    done = python(HIDE + SHOW + "print(available_isas()); set_threads(2)")
    assert done.stdout.split("\n")[:2] == ["TORCH", "[]"]
    assert done.stderr.count("ClickwiseWarning: the compiled kernels were not built") == 1


def test_torch_can_be_asked_for_in_silence() -> None:
    done = python(HIDE + SHOW, CLICKWISE_KERNELS="torch")
    assert (done.stdout, done.stderr) == ("TORCH\n", "")


@built
@pytest.mark.parametrize(("setting", "tier"), [("", "DENSE"), ("dense", "DENSE"), ("embeddings", "EMBEDDINGS")])
def test_the_tier_can_be_lowered(setting: str, tier: str) -> None:
    assert python(SHOW, CLICKWISE_KERNELS=setting).stdout == f"{tier}\n"


def test_unknown_tier() -> None:
    assert (
        'CLICKWISE_KERNELS is "fast"; allowed are torch, embeddings, dense'
        in python(SHOW, CLICKWISE_KERNELS="fast").stderr
    )


@built
def test_every_instruction_set_is_reachable_by_its_name() -> None:
    assert available_isas()[-1] == "amx_emulated"
    for isa in available_isas():
        assert python("from clickwise.native import *; print(kernels().isa())", CLICKWISE_ISA=isa).stdout == f"{isa}\n"


@built
def test_unknown_instruction_set() -> None:
    error = python("import clickwise.native as n; n.tier()", CLICKWISE_ISA="sse9").stderr
    assert 'ClickwiseError: CLICKWISE_ISA: no instruction set "sse9" on this machine; there are ' in error


@built
def test_best_instruction_set_comes_first_and_is_the_default() -> None:
    assert python("from clickwise.native import *; print(kernels().isa())").stdout == f"{available_isas()[0]}\n"
    assert kernels().isa() in available_isas()


@built
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    code = """
import os, numpy as np
from clickwise.native import kernels, set_threads
set_threads(3)
v, g = np.ones((4096, 3, 8), np.float32), np.ones(4096, np.float32)
out, total = np.empty(4096, np.float32), np.empty((4096, 8), np.float32)
kernels().fm_forward(v, out, total)
child = os.fork()
out[:] = 0
kernels().fm_forward(v, out, total)
assert (out == 24).all()
if child:
    assert os.waitpid(child, 0)[1] == 0
    print("both")
"""
    assert python(code).stdout == "both\n"
