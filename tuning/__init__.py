"""Tuning: choosing a model, and training it."""

from tuning.arguments import space_of
from tuning.augment import augmentation
from tuning.budget import Budget
from tuning.cross_validate import cross_validate
from tuning.cyclical import cyclical
from tuning.detection_space import detection_space
from tuning.distill import distill
from tuning.fit_space import FitSpace
from tuning.freezing import freeze, unfreeze
from tuning.gradient_norm import GradientNorm
from tuning.halving import Halving
from tuning.image_space import image_space
from tuning.layerwise import layerwise_decay
from tuning.magnitude import MagnitudePruning
from tuning.propose import propose
from tuning.prune import prune, pruning_plan
from tuning.recipes import adamw, cosine_warmup
from tuning.recommendation_space import recommendation_space, retrieval_space, sequential_space
from tuning.search import ParetoSearch
from tuning.tables import choose
from tuning.tabular_space import tabular_space
from tuning.tensorboard import without_tensorboard
from tuning.training import training_space
from tuning.unet_space import unet_space
from tuning.unfreezing import GradualUnfreezing

__all__ = [
    "Budget",
    "FitSpace",
    "GradientNorm",
    "GradualUnfreezing",
    "Halving",
    "MagnitudePruning",
    "ParetoSearch",
    "adamw",
    "augmentation",
    "choose",
    "cosine_warmup",
    "cross_validate",
    "cyclical",
    "detection_space",
    "distill",
    "freeze",
    "image_space",
    "layerwise_decay",
    "propose",
    "prune",
    "pruning_plan",
    "recommendation_space",
    "retrieval_space",
    "sequential_space",
    "space_of",
    "tabular_space",
    "training_space",
    "unet_space",
    "unfreeze",
    "without_tensorboard",
]
