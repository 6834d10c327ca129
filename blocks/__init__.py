"""Blocks: layers and layers made of layers, free of any task."""

from blocks.attention import SelfAttention
from blocks.base import Block
from blocks.channel_attention import SqueezeExcite
from blocks.conv import ConvNormAct, DepthwiseNormAct, DepthwiseSeparableConv
from blocks.convnext import ConvNeXtBlock, GlobalResponseNorm
from blocks.fusion import ConcatFusion, CrossAttentionFusion, GatedFusion
from blocks.graph import flatten
from blocks.inverted import FusedInvertedResidual, InvertedResidual
from blocks.pyramid import FeaturePyramid
from blocks.residual import BottleneckBlock, ResidualBlock
from blocks.scale import DropPath, LayerScale
from blocks.shortcut import Subsample
from blocks.transformer import TransformerEncoder
from blocks.universal import UniversalInvertedBottleneck

__all__ = [
    "Block",
    "BottleneckBlock",
    "ConcatFusion",
    "ConvNeXtBlock",
    "ConvNormAct",
    "CrossAttentionFusion",
    "DepthwiseNormAct",
    "DepthwiseSeparableConv",
    "DropPath",
    "FeaturePyramid",
    "FusedInvertedResidual",
    "GatedFusion",
    "GlobalResponseNorm",
    "InvertedResidual",
    "LayerScale",
    "ResidualBlock",
    "SelfAttention",
    "SqueezeExcite",
    "Subsample",
    "TransformerEncoder",
    "UniversalInvertedBottleneck",
    "flatten",
]
