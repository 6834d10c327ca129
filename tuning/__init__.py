"""Tuning: choosing a model, and training it."""

from tuning.budget import Budget
from tuning.recipes import adamw, cosine_warmup
from tuning.search import ParetoSearch
from tuning.tables import choose
from tuning.tensorboard import without_tensorboard

__all__ = [
    "Budget",
    "ParetoSearch",
    "adamw",
    "choose",
    "cosine_warmup",
    "without_tensorboard",
]
