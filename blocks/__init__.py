"""Blocks: layers and layers made of layers, free of any task."""

from blocks.attention import CrossAttention, SelfAttention
from blocks.base import Block
from blocks.channel_attention import EfficientChannelAttention, SqueezeExcite
from blocks.conv import ConvNormAct, DepthwiseNormAct, DepthwiseSeparableConv
from blocks.embedding import PatchEmbedding, PositionEmbedding
from blocks.fusion import ConcatFusion, CrossAttentionFusion, GatedFusion
from blocks.graph import flatten
from blocks.linear_attention import LinearAttention
from blocks.pyramid import FeaturePyramid
from blocks.residual import BottleneckBlock, InvertedResidual, ResidualBlock
from blocks.rotary import RotaryEmbedding
from blocks.scale import DropPath, LayerScale
from blocks.simple_pyramid import SimpleFeaturePyramid
from blocks.spatial_attention import ChannelSpatialAttention, CoordinateAttention
from blocks.transformer import TransformerEncoder
from blocks.window_attention import WindowAttention

__all__ = [
    "Block",
    "BottleneckBlock",
    "ChannelSpatialAttention",
    "ConcatFusion",
    "ConvNormAct",
    "CoordinateAttention",
    "CrossAttention",
    "CrossAttentionFusion",
    "DepthwiseNormAct",
    "DepthwiseSeparableConv",
    "DropPath",
    "EfficientChannelAttention",
    "FeaturePyramid",
    "GatedFusion",
    "InvertedResidual",
    "LayerScale",
    "LinearAttention",
    "PatchEmbedding",
    "PositionEmbedding",
    "ResidualBlock",
    "RotaryEmbedding",
    "SelfAttention",
    "SimpleFeaturePyramid",
    "SqueezeExcite",
    "TransformerEncoder",
    "WindowAttention",
    "flatten",
]
