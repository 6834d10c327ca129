"""Blocks: layers and layers made of layers, free of any task."""

from blocks.attention import CrossAttention, SelfAttention
from blocks.base import Block
from blocks.channel_attention import SqueezeExcite
from blocks.conv import ConvNormAct, DepthwiseNormAct, DepthwiseSeparableConv
from blocks.fusion import ConcatFusion, CrossAttentionFusion, GatedFusion
from blocks.graph import flatten
from blocks.pyramid import FeaturePyramid
from blocks.residual import BottleneckBlock, InvertedResidual, ResidualBlock
from blocks.rotary import RotaryEmbedding
from blocks.scale import DropPath, LayerScale
from blocks.transformer import TransformerEncoder

__all__ = [
    "Block",
    "BottleneckBlock",
    "ConcatFusion",
    "ConvNormAct",
    "CrossAttention",
    "CrossAttentionFusion",
    "DepthwiseNormAct",
    "DepthwiseSeparableConv",
    "DropPath",
    "FeaturePyramid",
    "GatedFusion",
    "InvertedResidual",
    "LayerScale",
    "ResidualBlock",
    "RotaryEmbedding",
    "SelfAttention",
    "SqueezeExcite",
    "TransformerEncoder",
    "flatten",
]
