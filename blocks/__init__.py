"""Blocks: layers and layers made of layers, free of any task."""

from blocks.attention import SelfAttention
from blocks.base import Block
from blocks.channel_attention import SqueezeExcite
from blocks.conv import ConvNormAct, DepthwiseNormAct, DepthwiseSeparableConv
from blocks.convnext import ConvNeXtBlock, GlobalResponseNorm
from blocks.dense import DenseBlock, TransitionBlock
from blocks.fusion import ConcatFusion, CrossAttentionFusion, GatedFusion
from blocks.graph import flatten
from blocks.inception import InceptionBlock
from blocks.inverted import FusedInvertedResidual, InvertedResidual
from blocks.preactivation import PreActivationBlock
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
    "DenseBlock",
    "DepthwiseNormAct",
    "DepthwiseSeparableConv",
    "DropPath",
    "FeaturePyramid",
    "FusedInvertedResidual",
    "GatedFusion",
    "GlobalResponseNorm",
    "InceptionBlock",
    "InvertedResidual",
    "LayerScale",
    "PreActivationBlock",
    "ResidualBlock",
    "SelfAttention",
    "SqueezeExcite",
    "Subsample",
    "TransformerEncoder",
    "TransitionBlock",
    "UniversalInvertedBottleneck",
    "flatten",
]
