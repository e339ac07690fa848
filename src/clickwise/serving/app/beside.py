"""Work beside the one that answers: opening versions, which must not be felt."""

from __future__ import annotations

import ctypes
import os
import sys
import threading

_NICE = 15


def step_back() -> None:
    """Give this thread what the others of its core leave, for good; while they leave nothing, a thirtieth of it. A
    thread that waits for the interpreter's lock and does not run cannot ask for it either.
    """
    if sys.platform == "linux":  # elsewhere threads have no priority of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


def give_back_memory() -> None:
    """What a version that went left free in the allocator goes back to the system, where the C library can do that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
