"""A config of every registered update rule, with all its terms at work."""

from __future__ import annotations

from clickwise.optim import FTRL, SGD, Adagrad, Adam, RowwiseAdagrad

CONFIGS = {
    "adam": Adam.Config(learning_rate=0.1, beta1=0.8, beta2=0.95, eps=1e-3),
    "adagrad": Adagrad.Config(learning_rate=0.3, initial_accumulator=0.05, eps=1e-3),
    "rowwise_adagrad": RowwiseAdagrad.Config(learning_rate=0.3, initial_accumulator=0.05, eps=1e-3),
    "ftrl": FTRL.Config(learning_rate=0.3, beta=0.2, l1=0.15, l2=0.1),
    "sgd": SGD.Config(learning_rate=0.4),
}
