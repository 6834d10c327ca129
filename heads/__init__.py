"""Heads: what a task adds to a backbone, from features to losses, metrics and answers."""

from heads.base import Head
from heads.classification import ClassificationHead
from heads.cross_entropy import CrossEntropy
from heads.deployment import deploy
from heads.detection.average_precision import coco_scores, precision_recall
from heads.detection.coco_callback import CocoScores
from heads.detection.detect import detect
from heads.detection.files import DetectionFiles
from heads.detection.head import DetectionHead
from heads.detection.loss import DetectionLoss
from heads.detection.mosaic import Mosaic
from heads.detection.pack import pack_boxes, unpack_boxes
from heads.detection.pictures import draw_boxes, draw_precision_recall
from heads.detection.rcnn import RCNNHead
from heads.detection.rcnn_loss import RCNNLoss
from heads.detection.soft_nms import soft_nms
from heads.detection.ssd import SSDHead
from heads.detection.ssd_loss import SSDLoss
from heads.for_task import for_task
from heads.graph import attach, losses, metrics
from heads.late_fusion import LateFusionHead
from heads.margin import MarginHead
from heads.margin_loss import MarginLoss
from heads.multi_task.head import MultiTaskHead
from heads.multi_task.part import WeightedLoss, WithoutWeight
from heads.pairs import verification
from heads.recommendation.approximate import ApproximateIndex, towers
from heads.recommendation.catalogue import CatalogueScores
from heads.recommendation.events import histories
from heads.recommendation.in_batch import InBatchRecall, InBatchSoftmax
from heads.recommendation.ranking import RankingHead
from heads.recommendation.ranking_loss import RankingAUC, RankingLoss
from heads.recommendation.retrieval import RetrievalHead, item_targets
from heads.recommendation.scores import rank_scores, ranks_of, recommendation_scores
from heads.recommendation.sequential import SequentialHead
from heads.recommendation.sequential_loss import NextItem, NextItemRecall
from heads.regression import R2, RegressionHead, RegressionLoss
from heads.scores import Accuracy, MacroAUC, MacroScore, OwnAngle
from heads.segmentation.boundary import BoundaryF1
from heads.segmentation.deeplab import DeepLabHead
from heads.segmentation.files import SegmentationFiles
from heads.segmentation.loss import SegmentationLoss
from heads.segmentation.lraspp import LRASPPHead
from heads.segmentation.overlay import overlay
from heads.segmentation.scores import MaskDice, MaskIoU, PixelAccuracy
from heads.segmentation.segformer import SegFormerHead
from heads.segmentation.segment import segment
from heads.segmentation.semantic_pyramid import PyramidSegmentationHead
from heads.segmentation.unet import UNetHead
from heads.tables.table import Table
from heads.tables.vocabulary import Vocabulary
from heads.targets import check_targets
from heads.threshold import choose_threshold
from heads.verify_pairs import VerifyPairs

__all__ = [
    "Accuracy",
    "ApproximateIndex",
    "BoundaryF1",
    "CatalogueScores",
    "ClassificationHead",
    "CocoScores",
    "CrossEntropy",
    "DeepLabHead",
    "DetectionFiles",
    "DetectionHead",
    "DetectionLoss",
    "Head",
    "InBatchRecall",
    "InBatchSoftmax",
    "LRASPPHead",
    "LateFusionHead",
    "MacroAUC",
    "MacroScore",
    "MarginHead",
    "MarginLoss",
    "MaskDice",
    "MaskIoU",
    "Mosaic",
    "MultiTaskHead",
    "NextItem",
    "NextItemRecall",
    "OwnAngle",
    "PixelAccuracy",
    "PyramidSegmentationHead",
    "R2",
    "RCNNHead",
    "RCNNLoss",
    "RankingAUC",
    "RankingHead",
    "RankingLoss",
    "RegressionHead",
    "RegressionLoss",
    "RetrievalHead",
    "SSDHead",
    "SSDLoss",
    "SegFormerHead",
    "SegmentationFiles",
    "SegmentationLoss",
    "SequentialHead",
    "Table",
    "UNetHead",
    "VerifyPairs",
    "Vocabulary",
    "WeightedLoss",
    "WithoutWeight",
    "attach",
    "check_targets",
    "choose_threshold",
    "coco_scores",
    "deploy",
    "detect",
    "draw_boxes",
    "draw_precision_recall",
    "for_task",
    "histories",
    "item_targets",
    "losses",
    "metrics",
    "overlay",
    "pack_boxes",
    "precision_recall",
    "rank_scores",
    "ranks_of",
    "recommendation_scores",
    "segment",
    "soft_nms",
    "towers",
    "unpack_boxes",
    "verification",
]
