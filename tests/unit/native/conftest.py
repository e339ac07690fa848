"""Every kernel is tested on every instruction set that the machine has, and on AMX in emulation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clickwise.native import available_isas, kernels


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "isa" in metafunc.fixturenames:
        skip = pytest.param(None, marks=pytest.mark.skip(reason="the compiled kernels were not built"))
        metafunc.parametrize("isa", available_isas() or [skip], indirect=True)


@pytest.fixture
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """The instruction set in use during the test."""
    before = kernels().isa()
    kernels().use_isa(request.param)
    yield request.param
    kernels().use_isa(before)
