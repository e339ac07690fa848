"""Update rules, one file each, and the optimiser that applies them. Importing this package registers the rules."""

from clickwise.optim.adagrad import Adagrad
from clickwise.optim.adam import Adam
from clickwise.optim.ftrl import FTRL
from clickwise.optim.groups import ParameterGroup
from clickwise.optim.optimizer import Optimizer
from clickwise.optim.rowwise_adagrad import RowwiseAdagrad
from clickwise.optim.rule import UpdateRule
from clickwise.optim.sgd import SGD

__all__ = ["FTRL", "SGD", "Adagrad", "Adam", "Optimizer", "ParameterGroup", "RowwiseAdagrad", "UpdateRule"]
