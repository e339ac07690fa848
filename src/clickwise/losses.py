"""What training minimises. Models give logits; this is the only place in training where a sigmoid meets them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def binary_cross_entropy(
    logit: Tensor, label: Tensor, weight: Tensor | None = None, *, smoothing: float = 0.0
) -> Tensor:
    """- sum_i w_i [y_i ln s(z_i) + (1 - y_i) ln(1 - s(z_i))] / sum_i w_i, with s the logistic function.

    Args:
        logit: [B], z.
        label: [B], y, 0 or 1.
        weight: [B], w >= 0; None counts as 1. A batch whose weights are all zero has loss 0.
        smoothing: s in [0, 1); (1 - s) y + s / 2 takes the place of y.

    >>> import torch
    >>> round(float(binary_cross_entropy(torch.zeros(3), torch.tensor([0.0, 1.0, 1.0]))), 4)
    0.6931
    """
    if smoothing:
        label = label * (1.0 - smoothing) + smoothing / 2.0
    if weight is None:
        return F.binary_cross_entropy_with_logits(logit, label)
    total = F.binary_cross_entropy_with_logits(logit, label, weight, reduction="sum")
    return total / weight.sum().clamp(min=1e-12)


def sampled_softmax(
    score: Tensor,
    target: Tensor,
    log_q: Tensor | None = None,
    weight: Tensor | None = None,
    negative: Tensor | None = None,
) -> Tensor:
    """- 1/B sum_i w_i ln P_i, P_i = exp(c_ii) / sum_j exp(c_ij), c_ij = s_ij - ln q_j.

    Subtracting ln q, of the own item as of the others, makes up for candidates that are there more often than others:
    in expectation the sum is that over all items. Scores are divided by the temperature before, never after.

    Args:
        score: [B, C], s, of each query and each candidate; no item is a candidate twice.
        target: [B] int64, the column of each query's own item.
        log_q: [C], ln of the probability that an item is among the candidates; None corrects nothing.
        weight: [B], w >= 0, the reward; None counts as 1.
        negative: [C] bool, the candidates that others than their own queries choose among; None: all.

    Reference: Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations",
    Eqs. 3-6.
    """
    corrected = score if log_q is None else score - log_q
    if negative is not None:
        own = torch.zeros_like(score, dtype=torch.bool).scatter_(1, target.unsqueeze(1), True)
        corrected = corrected.masked_fill(~(negative | own), -torch.inf)
    loss = F.cross_entropy(corrected, target, reduction="none")
    return loss.mean() if weight is None else (loss * weight).sum() / len(loss)


def bayesian_personalized_ranking(
    score: Tensor, target: Tensor, weight: Tensor | None = None, negative: Tensor | None = None
) -> Tensor:
    """- 1/B sum_i w_i mean_j ln sigmoid(s_ii - s_ij), over the candidates j that are not the query's own item.

    Args:
        score, target, weight, negative: as in `sampled_softmax`.

    Reference: Rendle et al. 2009, "BPR: Bayesian Personalized Ranking from Implicit Feedback", Section 4.1.
    """
    own = score.gather(1, target.unsqueeze(1))
    loss = _mean_of_others(F.softplus(score - own), target, negative)
    return loss.mean() if weight is None else (loss * weight).sum() / len(loss)


def cosine_contrastive(
    cosine: Tensor,
    target: Tensor,
    margin: float,
    negative_weight: float,
    weight: Tensor | None = None,
    negative: Tensor | None = None,
) -> Tensor:
    """1/B sum_i w_i [1 - c_ii + mu mean_j max(0, c_ij - m)], over the candidates j that are not the query's own item.

    Args:
        cosine: [B, C], c, of each query and each candidate, not divided by a temperature.
        target, weight, negative: as in `sampled_softmax`.
        margin: m in [-1, 1].
        negative_weight: mu > 0.

    Reference: Mao et al. 2021, "SimpleX: A Simple and Strong Baseline for Collaborative Filtering", Eq. 1.
    """
    own = cosine.gather(1, target.unsqueeze(1)).squeeze(1)
    loss = 1.0 - own + negative_weight * _mean_of_others(F.relu(cosine - margin), target, negative)
    return loss.mean() if weight is None else (loss * weight).sum() / len(loss)


def _mean_of_others(penalty: Tensor, target: Tensor, negative: Tensor | None) -> Tensor:
    """Mean over the columns that are negative, but for the target's, [B]."""
    kept = penalty.new_ones(penalty.shape[1]) if negative is None else negative.to(penalty.dtype)
    own, count = penalty.gather(1, target.unsqueeze(1)).squeeze(1), kept.sum() - kept[target]
    return (penalty @ kept - own * kept[target]) / count.clamp(min=1.0)
