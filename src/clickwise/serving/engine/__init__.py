"""The engine: requests in JSON or Arrow to calibrated logits, without torch and without HTTP."""

from __future__ import annotations

from clickwise.errors import RequestError
from clickwise.serving.engine.engine import Engine
from clickwise.serving.engine.explain import Explained
from clickwise.serving.engine.scores import Scores

__all__ = ["Engine", "Explained", "RequestError", "Scores"]
