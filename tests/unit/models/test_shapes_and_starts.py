"""What formulas of given weights cannot tell: widths of hidden layers, where parameters start, dropout."""

from __future__ import annotations

import pytest
import torch

from clickwise.layers import SENET, MaskBlock
from clickwise.models import DLRM, TwoTower, build_model
from model_inputs import SPECS, make_batch

TWO_SIDES = SPECS["plain"]


@pytest.mark.parametrize(("vectors", "ratio", "width"), [(7, 3, 2), (6, 3, 2), (7, 1, 7), (2, 3, 1)])
def test_senet_squeezes_to_a_share_of_the_vectors_rounded_down(vectors, ratio, width):
    senet = SENET(vectors, ratio)
    assert senet.squeeze.weight.shape == (width, vectors)
    assert senet.excite.weight.shape == (vectors, width)


@pytest.mark.parametrize(("ratio", "width"), [(1.5, 6), (1.0, 4), (0.4, 2), (0.01, 1)])
def test_a_mask_passes_through_a_share_of_the_width_of_its_input(ratio, width):
    block = MaskBlock(10, 4, 3, reduction_ratio=ratio)
    assert [tuple(layer.weight.shape) for layer in (*block.mask.hidden, block.mask.out)] == [(width, 10), (4, width)]


def test_dropout_of_a_mask_block_is_of_its_output_in_training():
    torch.manual_seed(1)
    block, x, h = MaskBlock(10, 4, 300, reduction_ratio=1.0, dropout=0.4), torch.randn(20, 10), torch.randn(20, 4)
    whole, dropped = block.eval()(x, h), block.train()(x, h)
    stays = dropped != 0
    torch.testing.assert_close(dropped[stays], whole[stays] / 0.6)
    assert stays.sum() / (whole != 0).sum() == pytest.approx(0.6, abs=0.04)


def test_the_bottom_of_dlrm_has_the_layers_asked_for_and_ends_with_the_vectors_width():
    model = build_model(DLRM.Config(bottom_hidden_dims=(7, 5), embedding_dim=4), SPECS["multi_valued"], 1)
    assert [layer.weight.shape[0] for layer in model.bottom.hidden] == [7, 5, 4]


def test_a_learned_temperature_starts_where_it_is_told():
    fixed, learned = (TwoTower.Config(temperature=0.3, learn_temperature=learn) for learn in (False, True))
    similarity = torch.tensor([0.6, -0.2])
    for config in (fixed, learned):
        scaled = build_model(config, TWO_SIDES, 1).scaled(similarity)
        torch.testing.assert_close(scaled.detach(), similarity / 0.3)


@pytest.mark.parametrize(("hidden_dims", "width"), [((6, 5, 3), 3), ((7,), 7), ((), 4)])
def test_the_width_of_the_vectors_of_two_towers_is_that_of_their_last_layers(hidden_dims, width):
    model = build_model(TwoTower.Config(embedding_dim=4, hidden_dims=hidden_dims), TWO_SIDES, 1).eval()
    query, item = model.split(make_batch(TWO_SIDES, 5, seed=1))
    assert model.dim == width
    assert model.query(query).shape == model.item(item).shape == (5, width)


def test_dropout_of_the_query_leaves_the_item_and_scoring_alone():
    config = TwoTower.Config(embedding_dim=64, query_dropout=0.3)
    model = build_model(config, TWO_SIDES, 1).eval()
    query, item = model.split(make_batch(TWO_SIDES, 40, seed=1))
    whole, items = model.query(query), model.item(item)
    dropped = model.train().query(query)
    stays = dropped != 0
    torch.testing.assert_close(dropped[stays], whole[stays] / 0.7)
    assert stays.float().mean() == pytest.approx(0.7, abs=0.04)
    torch.testing.assert_close(model.item(item), items)
