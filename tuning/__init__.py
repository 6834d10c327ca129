"""Tuning: choosing a model, and training it."""

from tuning.budget import Budget
from tuning.search import ParetoSearch
from tuning.tensorboard import without_tensorboard

__all__ = ["Budget", "ParetoSearch", "without_tensorboard"]
