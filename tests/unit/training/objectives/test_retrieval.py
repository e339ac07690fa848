"""Training two towers: candidates, the correction, what it does to popular items, validation, exact resume."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import pytest
import torch

from clickwise.batch import Batch
from clickwise.errors import ConfigError, DataError
from clickwise.models import DNN, TwoTower, build_model
from clickwise.optim import Adam
from clickwise.progress import Progress
from clickwise.schema import Field, InputSpec
from clickwise.training import TrainingConfig, train_model
from clickwise.training.config import RetrievalConfig
from clickwise.training.interrupt import Interrupt
from clickwise.training.objectives import RetrievalObjective
from clickwise.training.objectives.hard import DEPTH, HardNegatives
from clickwise.training.objectives.retrieval import Candidates
from clickwise.training.objectives.retrieved import Validation, vectors_of
from clickwise.training.objectives.sampling import SampledRows
from model_inputs import InMemoryRows

USERS, ITEMS, GROUPS = 60, 40, 4
SPEC = InputSpec(
    fields=(Field(name="user", num_ids=USERS), Field(name="item", num_ids=ITEMS), Field(name="kind", num_ids=GROUPS)),
    item=("item", "kind"),
)
MODEL = TwoTower.Config(embedding_dim=8, temperature=0.2)
CONFIG = TrainingConfig(batch_size=64, epochs=6, optimizer=Adam.Config(learning_rate=0.03), threads=1)


def rows_of(user: np.ndarray, item: np.ndarray, label: np.ndarray | None = None) -> InMemoryRows:
    starts = SPEC.offsets()
    sparse = np.stack([starts[0] + user, starts[1] + item, starts[2] + item % GROUPS], 1)
    label = np.ones(len(user)) if label is None else label
    return InMemoryRows(
        Batch.of(sparse.astype(np.int32), np.zeros((len(user), 0), np.float32), None, label.astype(np.float32))
    )


def log(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Users like the items of their own kind; low numbers are popular among all."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, USERS, count)
    liked = GROUPS * np.minimum(rng.geometric(0.2, count) - 1, ITEMS // GROUPS - 1) + user % GROUPS
    return user, np.where(rng.random(count) < 0.85, liked, rng.integers(0, ITEMS, count))


TRAIN, VALID = rows_of(*log(3000, 0)), rows_of(*log(400, 1))


def model(config=MODEL) -> TwoTower:
    built = build_model(config, SPEC, 1)
    assert isinstance(built, TwoTower)
    return built


def objective(**retrieval) -> RetrievalObjective:
    config = dataclasses.replace(CONFIG, retrieval=RetrievalConfig(**retrieval))
    return RetrievalObjective(model(), TRAIN, VALID, config)


def test_candidates_are_the_distinct_items_of_the_batch_and_some_drawn() -> None:
    asked = objective(uniform_negatives=15)
    step = next(asked.steps(64, 5, 0))
    items = step.item.sparse[:, 0].tolist()
    batch = next(asked._rows.batches(64, 5))
    assert len(items) == len(set(items)) == len(step.names)
    assert set(items[: step.in_batch]) == set(batch.sparse[:, 1].tolist())
    assert 0 < len(items) - step.in_batch <= 15
    assert [items[i] for i in step.target] == batch.sparse[:, 1].tolist()
    assert torch.equal(step.query.sparse[:, 0], batch.sparse[:, 0])
    assert step.item.sparse[:, 1].tolist() == [SPEC.offsets()[2] + (i - SPEC.offsets()[1]) % GROUPS for i in items]


def test_a_pass_that_starts_late_gives_the_same_steps() -> None:
    asked = objective(uniform_negatives=5)
    whole, rest = list(asked.steps(64, 9, 0)), list(asked.steps(64, 9, 40))
    assert len(rest) == len(whole) - 40 > 0
    for a, b in zip(whole[40:], rest, strict=True):
        assert torch.equal(a.item.sparse, b.item.sparse) and torch.equal(a.query.sparse, b.query.sparse)
    assert not torch.equal(next(asked.steps(64, 8, 0)).item.sparse, whole[0].item.sparse)


def test_the_loss_of_a_step_worked_by_hand() -> None:
    asked = objective(uniform_negatives=6)
    step = next(asked.steps(16, 5, 0))
    towers = asked._model.eval()
    loss = asked.loss(step, 1).item()
    u, v = towers.query(step.query).tolist(), towers.item(step.item).tolist()
    kept = 1.0 - 6 / len(asked.corpus)  # not drawn
    total = 0.0
    for i, own in enumerate(step.target.tolist()):
        powers = []
        for j in range(len(v)):
            in_batch = 1.0 if j < step.in_batch else 0.0  # after one step an item has come in every batch, or in none
            q = 1.0 - (1.0 - in_batch) * kept
            powers.append(math.exp(sum(a * b for a, b in zip(u[i], v[j], strict=True)) / 0.2 - math.log(q)))
        total -= math.log(powers[own] / sum(powers))
    assert loss == pytest.approx(total / len(u), rel=1e-5)


def test_without_in_batch_negatives_a_query_chooses_among_its_own_item_and_those_drawn() -> None:
    asked = objective(in_batch_negatives=False, uniform_negatives=15)
    step = next(asked.steps(16, 5, 0))
    again = next(objective(uniform_negatives=15).steps(16, 5, 0))  # the same are drawn, those of the batch left out
    drawn = set(np.random.default_rng([5, 0]).choice(len(asked.corpus), 15, replace=False, shuffle=False).tolist())
    assert step.negative is not None and int(step.negative.sum()) == 15
    assert [int(row) in drawn for row in asked.corpus.find(step.names)] == step.negative.tolist()
    assert 15 - int(step.negative[: step.in_batch].sum()) == len(again.names) - again.in_batch
    towers = asked._model.eval()
    scores = (towers.query(step.query) @ towers.item(step.item).t() / 0.2).tolist()
    total = 0.0
    for row, own in zip(scores, step.target.tolist(), strict=True):
        among = [math.exp(s) for j, s in enumerate(row) if j == own or step.negative[j]]
        total -= math.log(math.exp(row[own]) / sum(among))
    assert asked.loss(step, 1).item() == pytest.approx(total / len(scores), rel=1e-5)
    with pytest.raises(ConfigError, match="uniform_negatives"):
        RetrievalConfig(in_batch_negatives=False)


def test_the_correction_by_counts_is_the_chance_to_be_in_a_batch() -> None:
    asked = objective(frequency_rate=0.0, uniform_negatives=3)
    step = next(asked.steps(16, 5, 0))
    log_q = asked._log_q(step, 1)
    items = TRAIN.batch.sparse[:, 1].tolist()
    assert log_q is not None
    for item, found in zip(step.item.sparse[:, 0].tolist(), log_q.tolist(), strict=True):
        absent = (1.0 - items.count(item) / len(items)) ** 16 * (1.0 - 3 / len(asked.corpus))
        assert found == pytest.approx(math.log(1.0 - absent), rel=1e-4)
    assert asked.state() == {}


def test_the_correction_takes_out_what_popularity_put_in() -> None:
    """Queries tell nothing here, so the best score of an item, when corrected, is ln of its share of the clicks, and
    without the correction, every candidate being there once, its share among the batches that have it: far flatter.
    """
    rng = np.random.default_rng(3)
    share = np.array([0.55, 0.2, 0.1, 0.06, 0.04, 0.03, 0.015, 0.005])
    item = rng.choice(8, 6_000, p=share)
    rows = rows_of(np.zeros(len(item), np.int64), item)
    spread = {}
    for corrected in (True, False):
        trained = model(TwoTower.Config(embedding_dim=8, normalize=False, temperature=1.0))
        retrieval = RetrievalConfig(correct_sampling=corrected, frequency_rate=0.01)
        config = dataclasses.replace(CONFIG, batch_size=8, epochs=3, retrieval=retrieval)
        train_model(trained, rows, None, dataclasses.replace(config, optimizer=Adam.Config(learning_rate=0.06)))
        query, items = trained.split(rows_of(np.zeros(8, np.int64), np.arange(8)).batch)
        with torch.no_grad():
            score = (trained.query(query) * trained.item(items)).sum(1)
        spread[corrected] = float(score[0] - score[6])
    assert spread[True] == pytest.approx(math.log(share[0] / share[6]), abs=0.6)
    assert spread[False] < spread[True] - 1.0


@pytest.mark.parametrize("name", ["sampled_softmax", "bpr", "cosine_contrastive"])
def test_every_loss_learns_whose_kind_an_item_is(name: str) -> None:
    retrieval = RetrievalConfig(uniform_negatives=10, margin=0.3, negative_weight=5.0)
    config = dataclasses.replace(CONFIG, objective=name, retrieval=retrieval, epochs=10)
    trained = model()
    found = train_model(trained, TRAIN, VALID, config).best_metrics
    assert set(found) == {"recall_at_20", "ndcg_at_20"}
    user, item = np.arange(USERS).repeat(ITEMS), np.tile(np.arange(ITEMS), USERS)
    with torch.no_grad():
        score = trained(rows_of(user, item).batch).numpy().reshape(USERS, ITEMS)
    own = np.arange(ITEMS)[None] % GROUPS == np.arange(USERS)[:, None] % GROUPS
    assert score[own].mean() > score[~own].mean() + score.std()


def test_validation_is_recall_and_ndcg_over_all_items_but_those_known() -> None:
    trained = model(TwoTower.Config(embedding_dim=4))
    train, valid = log(300, 2), log(100, 3)
    held_out = Validation(
        trained, RetrievalObjective(trained, rows_of(*train), None, CONFIG).corpus, rows_of(*train), rows_of(*valid)
    )
    measured = held_out.measure(Progress(), Interrupt())
    known = sorted(set(train[1].tolist()))
    recalls, gains = [], []
    for user in sorted(set(valid[0].tolist())):
        wanted = set(valid[1][valid[0] == user].tolist())
        seen = set(train[1][train[0] == user].tolist())
        with torch.no_grad():
            score = trained(rows_of(np.full(len(known), user), np.array(known)).batch).tolist()
        order = [i for _, i in sorted(zip(score, known, strict=True), reverse=True) if i not in seen][:20]
        hits = [i in wanted for i in order]
        recalls.append(sum(hits) / len(wanted))
        ideal = sum(1 / math.log2(r + 2) for r in range(min(20, len(wanted))))
        gains.append(sum(h / math.log2(r + 2) for r, h in enumerate(hits)) / ideal)
    assert measured["recall_at_20"] == pytest.approx(np.mean(recalls))
    assert measured["ndcg_at_20"] == pytest.approx(np.mean(gains))


def test_goes_on_from_a_checkpoint_to_the_same_weights(tmp_path) -> None:
    config = dataclasses.replace(CONFIG, retrieval=RetrievalConfig(uniform_negatives=10), epochs=4)
    whole, halves = model(), model()
    train_model(whole, TRAIN, VALID, config)
    train_model(halves, TRAIN, VALID, dataclasses.replace(config, epochs=2), checkpoint=tmp_path)
    again = model()
    train_model(again, TRAIN, VALID, config, checkpoint=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


class StopsAt(Progress):
    """Ctrl-C after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def advance(self, rows: int = 0, **figures: float) -> None:
        if "loss" in figures:
            self.steps -= 1
            if not self.steps:
                raise KeyboardInterrupt


def test_goes_on_from_within_a_pass_with_hard_negatives(tmp_path) -> None:
    config = dataclasses.replace(CONFIG, retrieval=RetrievalConfig(hard_negatives=16), epochs=3)
    whole, plain, stopped, again = (model() for _ in range(4))
    train_model(whole, TRAIN, VALID, config)
    train_model(plain, TRAIN, VALID, dataclasses.replace(config, retrieval=RetrievalConfig()))
    assert train_model(stopped, TRAIN, VALID, config, StopsAt(70), checkpoint=tmp_path).interrupted
    train_model(again, TRAIN, VALID, config, checkpoint=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(whole.table.weight, plain.table.weight)


def best_rows(asked: RetrievalObjective, step: Candidates, without: set[int]) -> list[int]:
    """Rows of the corpus: the best of each of the first two queries, then the second best, .., without some names."""
    with torch.no_grad():
        scores = asked._model.query(step.query).numpy()[:2] @ vectors_of(asked._model, asked.corpus).T
    order = np.argsort(-scores, axis=1)[:, : DEPTH + 1].T.ravel().tolist()
    return [row for row in dict.fromkeys(order) if int(asked.corpus.names[row]) not in without][: 2 * DEPTH]


def test_hard_negatives_are_the_best_items_of_the_first_queries_without_those_that_are_there() -> None:
    asked = objective(hard_negatives=2 * DEPTH)
    step = next(asked.steps(8, 5, 0))
    assert asked.completed(step, 0) is step  # the first pass has none
    more = asked.completed(step, 1)
    expected = best_rows(asked, step, without=set(step.names.tolist()))
    assert more.hard == len(expected) > 0
    np.testing.assert_array_equal(more.names, [*step.names, *asked.corpus.names[expected]])
    assert more.item.sparse[len(step.names) :].tolist() == asked.corpus.items.sparse[expected].tolist()
    assert torch.equal(more.target, step.target)
    log_q = asked._log_q(more, 5)
    assert log_q is not None and (log_q[-more.hard :] == 0.0).all() and (log_q[: -more.hard] < 0.0).all()


def test_without_in_batch_negatives_hard_ones_may_be_what_other_queries_want() -> None:
    asked = objective(in_batch_negatives=False, uniform_negatives=3, hard_negatives=2 * DEPTH)
    step = next(asked.steps(16, 5, 0))
    more = asked.completed(step, 1)
    assert step.negative is not None and more.negative is not None
    before = set(step.names[step.negative.numpy()].tolist())
    expected = best_rows(asked, step, without=before | set(step.names[step.target[:2].numpy()].tolist()))
    added = set(more.names[more.negative.numpy()].tolist()) - before
    assert added == set(asked.corpus.names[expected].tolist())
    assert 0 < more.hard < len(added)  # the rest are items of the batch
    assert len(set(more.names)) == len(more.names)


def test_hard_negatives_are_found_by_the_vectors_of_the_beginning_of_the_pass() -> None:
    hard = HardNegatives(model(), objective().corpus, 8)
    assert (hard.asking(0), hard.asking(1)) == (0, 1)
    before = hard._vectors.clone()
    with torch.no_grad():
        hard._model.table.weight[1:] = torch.randn_like(hard._model.table.weight[1:])
    hard.asking(1)
    assert torch.equal(hard._vectors, before)
    hard.asking(2)
    assert not torch.equal(hard._vectors, before)
    assert HardNegatives(model(), objective().corpus, 0).state() == {}


def test_rows_that_were_not_clicked_are_left_out() -> None:
    user, item = log(2000, 4)
    label = (np.arange(2000) % 3 == 0).astype(np.float32)
    mixed = RetrievalObjective(model(), rows_of(user, item, label), None, CONFIG)
    alone = RetrievalObjective(model(), rows_of(user[label > 0], item[label > 0]), None, CONFIG)
    assert len(mixed) == len(alone) == int(label.sum())
    assert mixed.corpus.names.tolist() == alone.corpus.names.tolist()
    assert mixed.corpus.counts.tolist() == alone.corpus.counts.tolist()


def test_rows_of_clicks_alone_are_read_as_they_are() -> None:
    """Steps are those of a log that had other rows beside them."""
    user, item = log(500, 6)
    alone = RetrievalObjective(model(), rows_of(user, item), None, CONFIG)
    assert isinstance(alone._rows, InMemoryRows)
    sampled = SampledRows(rows_of(user, item), 0.0)
    for batch, same in zip(alone._rows.batches(64, 3, 2), sampled.batches(64, 3, 2), strict=True):
        assert torch.equal(batch.sparse, same.sparse)
    mixed = RetrievalObjective(model(), rows_of(user, item, (np.arange(500) > 0).astype(np.float32)), None, CONFIG)
    assert isinstance(mixed._rows, SampledRows)


def test_what_cannot_be_trained_is_said() -> None:
    user, item = log(100, 5)
    with pytest.raises(DataError, match="no training row has label 1"):
        train_model(model(), rows_of(user, item, np.zeros(100)), None, CONFIG)
    with pytest.raises(DataError, match="all training rows show the same item"):
        train_model(model(), rows_of(user, np.zeros(100, np.int64)), None, CONFIG)
    with pytest.raises(DataError, match="no validation row has label 1"):
        train_model(model(), TRAIN, rows_of(user, item, np.zeros(100)), CONFIG)
    with pytest.raises(ConfigError, match="needs two towers"):
        train_model(build_model(DNN.Config(), SPEC, 1), TRAIN, None, dataclasses.replace(CONFIG, objective="bpr"))
    with pytest.raises(ConfigError, match=re.escape("measures only recall_at_20, ndcg_at_20")):
        train_model(model(), TRAIN, VALID, dataclasses.replace(CONFIG, monitor="roc_auc"))
