"""Heads: what a task adds to a backbone, from features to losses, metrics and answers."""

from heads.base import Head
from heads.classification import ClassificationHead
from heads.cross_entropy import CrossEntropy
from heads.deployment import deploy
from heads.detection.head import DetectionHead
from heads.detection.loss import DetectionLoss
from heads.detection.pack import pack_boxes, unpack_boxes
from heads.graph import attach, losses, metrics
from heads.margin import MarginHead
from heads.margin_loss import MarginLoss
from heads.pairs import verification
from heads.regression import R2, RegressionHead, RegressionLoss
from heads.scores import Accuracy, MacroAUC, MacroScore, OwnAngle
from heads.targets import check_targets
from heads.threshold import choose_threshold
from heads.verify_pairs import VerifyPairs

__all__ = [
    "Accuracy",
    "ClassificationHead",
    "CrossEntropy",
    "DetectionHead",
    "DetectionLoss",
    "Head",
    "MacroAUC",
    "MacroScore",
    "MarginHead",
    "MarginLoss",
    "OwnAngle",
    "R2",
    "RegressionHead",
    "RegressionLoss",
    "VerifyPairs",
    "attach",
    "check_targets",
    "choose_threshold",
    "deploy",
    "losses",
    "metrics",
    "pack_boxes",
    "unpack_boxes",
    "verification",
]
