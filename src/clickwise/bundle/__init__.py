"""The one saved artefact: manifest, weights, fitted features."""

from clickwise.bundle.ahead import score_ahead
from clickwise.bundle.bundle import Bundle, Provenance, batch_logits, check_out, load
from clickwise.bundle.towers import Towers

__all__ = ["Bundle", "Provenance", "Towers", "batch_logits", "check_out", "load", "score_ahead"]
