"""The one saved artefact: manifest, weights, fitted features."""

from clickwise.bundle.ahead import score_ahead
from clickwise.bundle.bundle import Bundle, Provenance, batch_logits, check_out, load

__all__ = ["Bundle", "Provenance", "batch_logits", "check_out", "load", "score_ahead"]
