"""What is done beside the work takes a back seat."""

from __future__ import annotations

import ctypes
import os
import sys
import threading

import pytest

from clickwise.serving.app.beside import give_back_memory, step_back


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_a_thread_steps_back_alone() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before, found = priority(), []
    thread = threading.Thread(target=lambda: (step_back(), found.append(priority())))
    thread.start()
    thread.join()
    assert found == [15] or before > 15
    assert priority() == before


def test_memory_is_given_back_where_that_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    class Library:
        malloc_trim = told.append

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library)
    give_back_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    give_back_memory()
    assert told == [0]
