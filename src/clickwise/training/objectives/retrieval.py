"""Training to find a query's item among all items: in-batch candidates, corrected for how they came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from clickwise.batch import Batch
from clickwise.errors import DataError
from clickwise.losses import bayesian_personalized_ranking, cosine_contrastive, sampled_softmax
from clickwise.models import TwoTower
from clickwise.progress import Progress
from clickwise.retrieval.corpus import gather, names_of
from clickwise.training.config import TrainingConfig
from clickwise.training.interrupt import Interrupt
from clickwise.training.objectives.blocks import by_blocks
from clickwise.training.objectives.frequency import FrequencyEstimator
from clickwise.training.objectives.hard import HardNegatives
from clickwise.training.objectives.objective import Objective
from clickwise.training.objectives.retrieved import Validation, clicked
from clickwise.training.objectives.sampling import SampledRows
from clickwise.training.state import Rows


@dataclass(frozen=True, slots=True)
class Candidates:
    """A step: B queries and the C distinct items that they choose among.

    Args:
        query: the queries' slots, with their weights.
        item: the items' slots: first those of the batch, then those drawn, then the hard ones.
        names: [C] uint64, the items by name.
        in_batch: how many of the items come from the batch.
        target: [B] int64, each query's own item.
        negative: [C] bool, those that queries choose among beside their own; None: all.
        hard: how many of the last ones were found by the model itself.
    """

    query: Batch
    item: Batch
    names: np.ndarray
    in_batch: int
    target: Tensor
    negative: Tensor | None = None
    hard: int = 0

    def __len__(self) -> int:
        return len(self.query)


class RetrievalObjective(Objective):
    """A loss over the queries of a batch and its distinct items, with uniformly drawn ones beside them.

    Rows with label 0 are left out. Candidates are distinct, so that an item is never its own negative (no accidental
    hits) and popular ones count once; the probability that an item is among them, for the correction, is therefore that
    of being in a batch, which `FrequencyEstimator` learns as it goes, or being drawn: q = 1 - (1 - p) (1 - U / C).
    Hard ones (`HardNegatives`) are there for certain, so that nothing is corrected for them. Without in-batch negatives
    all items but the own one are drawn, each as likely as any other, and nothing is corrected.

    Reference: Yi et al. 2019; Yang et al. 2020, "Mixed Negative Sampling for Learning Two-tower Neural Networks in
    Recommendations", for the drawn ones.

    Raises:
        DataError: no row is a positive.
    """

    def __init__(self, model: TwoTower, train: Rows, valid: Rows | None, config: TrainingConfig) -> None:
        self._model, self._config = model, config.retrieval
        self._loss = config.objective or model.objective
        clicks = SampledRows(train, 0.0)
        self._rows: Rows = train if len(clicks) == len(train) else clicks  # nothing is left out: no copies
        if not len(clicks):
            raise DataError("no training row has label 1", fix="retrieval learns from clicks alone; check the label")
        self.corpus = gather(item for _, item in clicked(model, train))
        rate = self._config.frequency_rate
        self._frequency = FrequencyEstimator(len(self.corpus), rate) if rate else None
        self._hard = HardNegatives(model, self.corpus, self._config.hard_negatives)
        self._validation = None if valid is None else Validation(model, self.corpus, train, valid)

    def __len__(self) -> int:
        return len(self._rows)

    def steps(self, batch_size: int, seed: int, start: int) -> Iterator[Candidates]:
        for number, batch in enumerate(self._rows.batches(batch_size, seed, start), start):
            yield self._candidates(batch, np.random.default_rng([seed, number]))

    def _candidates(self, batch: Batch, random: np.random.Generator) -> Candidates:
        query, own = self._model.split(batch)
        names, first, target = np.unique(names_of(own), return_index=True, return_inverse=True)
        item = own.take(torch.from_numpy(first))
        count = min(self._config.uniform_negatives, len(self.corpus))
        drawn = np.empty(0, np.int64)
        if count:
            drawn = random.choice(len(self.corpus), count, replace=False, shuffle=False)
        negative = None if self._config.in_batch_negatives else np.isin(names, self.corpus.names[drawn])
        if count:
            drawn = drawn[~np.isin(self.corpus.names[drawn], names)]
            more = self.corpus.items.take(torch.from_numpy(drawn))
            item = Batch(item.sparse, item.dense, item.slot_weight).followed_by(more)
            names = np.concatenate([names, self.corpus.names[drawn]])
        for part, pooling in zip((query, item), self._model.poolings, strict=True):
            part.distinct_of(pooling.groups)
        return Candidates(
            query, item, names, len(first), torch.from_numpy(target.astype(np.int64)), _extended(negative, len(names))
        )

    def completed(self, step: Candidates, epoch: int) -> Candidates:
        """The step with its hard negatives."""
        asking = self._hard.asking(epoch)
        if not asking:
            return step
        with torch.no_grad():
            vectors = self._model.query(step.query.take(torch.arange(min(asking, len(step)))))
        negative, without = step.negative, step.names
        if negative is not None:
            own = step.target[: len(vectors)].numpy()
            without = np.concatenate([step.names[negative.numpy()], step.names[own]])
        rows = self._hard.find(vectors.numpy(), without)
        if negative is not None:  # another query's own item becomes a negative where it lies
            there = np.isin(self.corpus.names[rows], step.names)
            negative = negative | torch.from_numpy(np.isin(step.names, self.corpus.names[rows[there]]))
            rows = rows[~there]
        item = Batch(step.item.sparse, step.item.dense, step.item.slot_weight)
        item = item.followed_by(self.corpus.items.take(torch.from_numpy(rows)))
        names = np.concatenate([step.names, self.corpus.names[rows]])
        negative = None if negative is None else _extended(negative.numpy(), len(names))
        return replace(step, item=item, names=names, negative=negative, hard=len(rows))

    def rows_of(self, step: Candidates) -> Tensor:
        parts = zip((step.query, step.item), self._model.poolings, strict=True)
        return torch.unique(torch.cat([part.distinct_of(pooling.groups).rows for part, pooling in parts]))

    def loss(self, step: Candidates, number: int) -> Tensor:
        query, item = self._model.query(step.query), self._model.item(step.item)
        log_q, c = self._log_q(step, number), self._config

        def of_scores(score: Tensor, part: slice) -> Tensor:
            """Of some queries' scores [b, C]."""
            target, weight = step.target[part], None if step.query.weight is None else step.query.weight[part]
            if self._loss == "cosine_contrastive":
                return cosine_contrastive(score, target, c.margin, c.negative_weight, weight, step.negative)
            if self._loss == "bpr":
                return bayesian_personalized_ranking(score, target, weight, step.negative)
            return sampled_softmax(score, target, log_q, weight, step.negative)

        return by_blocks(of_scores, query if self._loss == "cosine_contrastive" else self._model.scaled(query), item)

    def _log_q(self, step: Candidates, number: int) -> Tensor | None:
        """[C], ln of the probability that an item is a candidate; None where it is not to be corrected."""
        c = self._config
        if self._loss != "sampled_softmax" or not (c.correct_sampling and c.in_batch_negatives):
            return None
        drawn = min(c.uniform_negatives, len(self.corpus)) / len(self.corpus)
        absent = (1.0 - self._in_batch(step, number)) * (1.0 - drawn)
        absent[len(absent) - step.hard :] = 0.0
        return torch.log1p(-absent).clamp(min=-30.0)

    def _in_batch(self, step: Candidates, number: int) -> Tensor:
        """[C] float32, the probability of an item to be in a batch: 1 - (1 - its share of all rows)^B, or estimated."""
        if self._frequency is None:
            share = self.corpus.counts[self.corpus.find(step.names)] / self.corpus.counts.sum()
            return torch.from_numpy(-np.expm1(len(step) * np.log1p(-share))).float()
        self._frequency.update(step.names[: step.in_batch], number)
        return self._frequency.probability(step.names)

    def check(self) -> None:
        if len(self.corpus) < 2:
            raise DataError("all training rows show the same item", fix="check schema.item and schema.item_features")

    def validate(self, progress: Progress, interrupt: Interrupt) -> dict[str, float]:
        assert self._validation is not None
        return self._validation.measure(progress, interrupt)

    def state(self) -> dict[str, Tensor]:
        return {**(self._frequency.state() if self._frequency else {}), **self._hard.state()}


def _extended(negative: np.ndarray | None, count: int) -> Tensor | None:
    """[count] bool: as said of the first, and true for the rest."""
    return None if negative is None else torch.from_numpy(np.append(negative, np.ones(count - len(negative), bool)))
