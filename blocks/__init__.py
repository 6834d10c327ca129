"""Blocks: layers and layers made of layers, free of any task."""

from blocks.attention import SelfAttention
from blocks.base import Block
from blocks.bifpn import BiFPN, PathAggregation
from blocks.channel_attention import SqueezeExcite
from blocks.context import AtrousPyramidPooling, PyramidPooling
from blocks.conv import ConvNormAct, DepthwiseNormAct, DepthwiseSeparableConv
from blocks.dropblock import DropBlock
from blocks.fusion import ConcatFusion, CrossAttentionFusion, GatedFusion
from blocks.ghost import GhostBlock, GhostModule
from blocks.graph import flatten
from blocks.pooling import AttentionPooling, GeneralizedMeanPooling
from blocks.pyramid import FeaturePyramid
from blocks.reparameterized import RepConv
from blocks.residual import BottleneckBlock, InvertedResidual, ResidualBlock
from blocks.scale import DropPath, LayerScale
from blocks.transformer import TransformerEncoder

__all__ = [
    "AtrousPyramidPooling",
    "AttentionPooling",
    "BiFPN",
    "Block",
    "BottleneckBlock",
    "ConcatFusion",
    "ConvNormAct",
    "CrossAttentionFusion",
    "DepthwiseNormAct",
    "DepthwiseSeparableConv",
    "DropBlock",
    "DropPath",
    "FeaturePyramid",
    "GatedFusion",
    "GeneralizedMeanPooling",
    "GhostBlock",
    "GhostModule",
    "InvertedResidual",
    "LayerScale",
    "PathAggregation",
    "PyramidPooling",
    "RepConv",
    "ResidualBlock",
    "SelfAttention",
    "SqueezeExcite",
    "TransformerEncoder",
    "flatten",
]
