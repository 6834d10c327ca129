"""Tuning: choosing a model, and training it."""

from tuning.budget import Budget
from tuning.image_space import image_space
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
    "image_space",
    "without_tensorboard",
]
