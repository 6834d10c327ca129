"""Blocks: layers and layers made of layers, free of any task."""

from blocks.attention import CrossAttention, SelfAttention
from blocks.base import Block
from blocks.bifpn import BiFPN, PathAggregation
from blocks.channel_attention import SqueezeExcite
from blocks.context import AtrousPyramidPooling, PyramidPooling
from blocks.conv import ConvNormAct, DepthwiseNormAct, DepthwiseSeparableConv
from blocks.convnext import ConvNeXtBlock, GlobalResponseNorm
from blocks.dense import DenseBlock, TransitionBlock
from blocks.dropblock import DropBlock
from blocks.fusion import ConcatFusion, CrossAttentionFusion, GatedFusion
from blocks.ghost import GhostBlock, GhostModule
from blocks.graph import flatten
from blocks.inception import InceptionBlock
from blocks.inverted import FusedInvertedResidual, InvertedResidual
from blocks.pooling import AttentionPooling, GeneralizedMeanPooling
from blocks.preactivation import PreActivationBlock
from blocks.pyramid import FeaturePyramid
from blocks.reparameterized import RepConv
from blocks.residual import BottleneckBlock, ResidualBlock
from blocks.rotary import RotaryEmbedding
from blocks.scale import DropPath, LayerScale
from blocks.transformer import TransformerEncoder
from blocks.universal import UniversalInvertedBottleneck

__all__ = [
    "AtrousPyramidPooling",
    "AttentionPooling",
    "BiFPN",
    "Block",
    "BottleneckBlock",
    "ConcatFusion",
    "ConvNeXtBlock",
    "ConvNormAct",
    "CrossAttention",
    "CrossAttentionFusion",
    "DenseBlock",
    "DepthwiseNormAct",
    "DepthwiseSeparableConv",
    "DropBlock",
    "DropPath",
    "FeaturePyramid",
    "FusedInvertedResidual",
    "GatedFusion",
    "GeneralizedMeanPooling",
    "GhostBlock",
    "GhostModule",
    "GlobalResponseNorm",
    "InceptionBlock",
    "InvertedResidual",
    "LayerScale",
    "PathAggregation",
    "PreActivationBlock",
    "PyramidPooling",
    "RepConv",
    "ResidualBlock",
    "RotaryEmbedding",
    "SelfAttention",
    "SqueezeExcite",
    "TransformerEncoder",
    "TransitionBlock",
    "UniversalInvertedBottleneck",
    "flatten",
]
