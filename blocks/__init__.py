"""Blocks: layers and layers made of layers, free of any task."""

from blocks.attention import CrossAttention, SelfAttention
from blocks.attention_gate import AttentionGate
from blocks.base import Block
from blocks.bifpn import BiFPN, PathAggregation
from blocks.channel_attention import SqueezeExcite
from blocks.columns import FeatureTokenizer, PeriodicEmbedding
from blocks.conditioning import FiLM
from blocks.context import AtrousPyramidPooling, PyramidPooling
from blocks.conv import ConvNormAct, DepthwiseNormAct, DepthwiseSeparableConv
from blocks.convnext import ConvNeXtBlock, GlobalResponseNorm
from blocks.dense import DenseBlock, TransitionBlock
from blocks.dropblock import DropBlock
from blocks.embedding import PatchEmbedding, PositionEmbedding
from blocks.experts import MixtureOfExperts
from blocks.fusion import BilinearFusion, ConcatFusion, CrossAttentionFusion, GatedFusion
from blocks.gates import ChannelSpatialAttention, CoordinateAttention, EfficientChannelAttention
from blocks.ghost import GhostBlock, GhostModule
from blocks.graph import flatten
from blocks.ids import BagEmbedding, IdDropout, IdEmbedding
from blocks.inception import InceptionBlock
from blocks.interactions import CrossNetwork, DotInteraction, FactorizationMachine
from blocks.inverted import FusedInvertedResidual, InvertedResidual
from blocks.linear_attention import LinearAttention
from blocks.mlp import GatedLinearUnit, ResidualMLP
from blocks.modality import ModalityDropout
from blocks.piecewise import PiecewiseLinear
from blocks.pooling import AttentionPooling, GeneralizedMeanPooling
from blocks.preactivation import PreActivationBlock
from blocks.pyramid import FeaturePyramid
from blocks.reparameterized import RepConv
from blocks.residual import BottleneckBlock, ResidualBlock
from blocks.rotary import RotaryEmbedding
from blocks.scale import DropPath, LayerScale
from blocks.shortcut import Subsample
from blocks.simple_pyramid import SimpleFeaturePyramid
from blocks.tabnet import Sparsemax, TabNet
from blocks.transformer import TransformerEncoder
from blocks.universal import UniversalInvertedBottleneck
from blocks.window_attention import WindowAttention

__all__ = [
    "AtrousPyramidPooling",
    "AttentionGate",
    "AttentionPooling",
    "BagEmbedding",
    "BiFPN",
    "BilinearFusion",
    "Block",
    "BottleneckBlock",
    "ChannelSpatialAttention",
    "ConcatFusion",
    "ConvNeXtBlock",
    "ConvNormAct",
    "CoordinateAttention",
    "CrossAttention",
    "CrossAttentionFusion",
    "CrossNetwork",
    "DenseBlock",
    "DepthwiseNormAct",
    "DepthwiseSeparableConv",
    "DotInteraction",
    "DropBlock",
    "DropPath",
    "EfficientChannelAttention",
    "FactorizationMachine",
    "FeaturePyramid",
    "FeatureTokenizer",
    "FiLM",
    "FusedInvertedResidual",
    "GatedFusion",
    "GatedLinearUnit",
    "GeneralizedMeanPooling",
    "GhostBlock",
    "GhostModule",
    "GlobalResponseNorm",
    "IdDropout",
    "IdEmbedding",
    "InceptionBlock",
    "InvertedResidual",
    "LayerScale",
    "LinearAttention",
    "MixtureOfExperts",
    "ModalityDropout",
    "PatchEmbedding",
    "PathAggregation",
    "PeriodicEmbedding",
    "PiecewiseLinear",
    "PositionEmbedding",
    "PreActivationBlock",
    "PyramidPooling",
    "RepConv",
    "ResidualBlock",
    "ResidualMLP",
    "RotaryEmbedding",
    "SelfAttention",
    "SimpleFeaturePyramid",
    "Sparsemax",
    "SqueezeExcite",
    "Subsample",
    "TabNet",
    "TransformerEncoder",
    "TransitionBlock",
    "UniversalInvertedBottleneck",
    "WindowAttention",
    "flatten",
]
