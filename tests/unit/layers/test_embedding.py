"""Vectors of all fields: what `Embedding` adds to its table."""

from __future__ import annotations

import torch

from clickwise.layers import Embedding
from model_inputs import SPECS, make_batch


def test_dropout_zeroes_its_share_scales_the_rest_and_rests_when_scoring() -> None:
    spec = SPECS["plain"]
    embedding, batch = Embedding(spec, 64, init_std=1.0, dropout=0.25), make_batch(spec, 200)
    plain = embedding.eval()(batch)
    torch.manual_seed(3)
    dropped = embedding.train()(batch)
    kept = dropped != 0
    assert abs(kept.float().mean() - 0.75) < 0.01
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)
