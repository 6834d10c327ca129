"""Tuning: choosing a model, and training it."""

from tuning.augment import augmentation
from tuning.budget import Budget
from tuning.cross_validate import cross_validate
from tuning.cyclical import cyclical
from tuning.freezing import freeze, unfreeze
from tuning.gradient_norm import GradientNorm
from tuning.image_space import image_space
from tuning.layerwise import layerwise_decay
from tuning.propose import propose
from tuning.recipes import adamw, cosine_warmup
from tuning.search import ParetoSearch
from tuning.tables import choose
from tuning.tensorboard import without_tensorboard
from tuning.unfreezing import GradualUnfreezing

__all__ = [
    "Budget",
    "GradientNorm",
    "GradualUnfreezing",
    "ParetoSearch",
    "adamw",
    "augmentation",
    "choose",
    "cosine_warmup",
    "cross_validate",
    "cyclical",
    "freeze",
    "image_space",
    "layerwise_decay",
    "propose",
    "unfreeze",
    "without_tensorboard",
]
