"""One row for every public layer: how to make it, what it takes, what it gives."""

from dataclasses import dataclass, field

import keras

import blocks
import heads

PUBLIC = {
    value
    for package in (blocks, heads)
    for value in (getattr(package, name) for name in package.__all__)
    if isinstance(value, type)
    and issubclass(value, keras.Layer)
    and value not in (blocks.Block, heads.Head)
}


@dataclass
class Case:
    """What the contract needs to know of a layer.

    `wrong_args` and `wrong_shapes` must be refused. `exceptions` maps a precision to the
    reason why the layer's own file does not keep the promise there; the README shows it.
    """

    layer: type
    args: dict
    input_shape: object
    output_shape: object
    wrong_args: list = field(default_factory=list)
    wrong_shapes: list = field(default_factory=list)
    exceptions: dict = field(default_factory=dict)

    def make(self, **kwargs):
        return self.layer(**self.args, **kwargs)


CASES = [
    Case(
        blocks.ConvNormAct,
        {"filters": 6},
        (2, 8, 9, 4),
        (2, 8, 9, 6),
        [
            {"filters": 6, "norm": "nonsense"},
            {"filters": 6, "activation": "nonsense"},
            {"filters": 6, "rank": 4},
            {"filters": 6, "groups": 4},
            {"filters": 0},
            {"filters": 6, "strides": 2, "dilation_rate": 2},
            {"filters": 6, "padding": "nonsense"},
            {"filters": [6]},
            {"filters": 6, "strides": (2, 2, 2)},
            {"filters": 6, "norm": ["batch"]},
            {"filters": 6, "data_format": "channels_first"},
        ],
        [(2, 8, 4), (2, 8, 9, 9, 4)],
    ),
    Case(
        blocks.ConvNormAct,
        {"filters": 6, "strides": 2, "groups": 2, "norm": "group", "activation": "silu"},
        (2, 7, 9, 4),
        (2, 4, 5, 6),
        wrong_shapes=[(2, 7, 9, 5)],
    ),
    Case(
        blocks.ConvNormAct,
        {"filters": 6, "rank": 1, "dilation_rate": 2, "padding": "causal", "norm": "layer"},
        (2, 9, 4),
        (2, 9, 6),
        wrong_shapes=[(2, 9, 9, 4)],
    ),
    Case(
        blocks.ConvNormAct,
        {"filters": 6, "kernel_size": 2, "strides": 2, "rank": 3, "norm": "rms"},
        (2, 4, 5, 6, 3),
        (2, 2, 3, 3, 6),
    ),
    Case(
        blocks.DepthwiseNormAct,
        {"kernel_size": 5, "strides": 2},
        (2, 7, 9, 4),
        (2, 4, 5, 4),
        [{"rank": 3}, {"norm": "nonsense"}, {"kernel_size": 0}, {"strides": 2, "dilation_rate": 2}],
        [(2, 7, 4)],
    ),
    Case(
        blocks.DepthwiseSeparableConv,
        {"filters": 6, "strides": 2},
        (2, 7, 9, 4),
        (2, 4, 5, 6),
        [{"filters": 6, "norm": "nonsense"}, {"filters": -1}],
        [(2, 7, 4)],
    ),
    Case(
        blocks.DepthwiseSeparableConv,
        {"filters": 6, "rank": 1, "dilation_rate": 2, "norm": "none", "activation": "gelu"},
        (2, 9, 4),
        (2, 9, 6),
    ),
    Case(
        blocks.ResidualBlock,
        {"filters": 4, "drop_path": 0.2},
        (2, 8, 9, 4),
        (2, 8, 9, 4),
        [
            {"filters": 4, "drop_path": 1.0},
            {"filters": 4, "activation": "nonsense"},
            {"filters": 4, "strides": (1, 1)},
        ],
        [(2, 8, 4)],
    ),
    Case(
        blocks.ResidualBlock,
        {"filters": 6, "strides": 2, "se_ratio": 0.5},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
    ),
    Case(blocks.ResidualBlock, {"filters": 6, "rank": 1, "norm": "layer"}, (2, 7, 4), (2, 7, 6)),
    Case(
        blocks.BottleneckBlock,
        {"filters": 8, "strides": 2, "norm": "none"},
        (2, 7, 8, 4),
        (2, 4, 4, 8),
        [{"filters": 6}, {"filters": 8, "norm": "nonsense"}],
        [(2, 8, 4)],
    ),
    Case(blocks.BottleneckBlock, {"filters": 8, "groups": 2}, (2, 7, 8, 8), (2, 7, 8, 8)),
    Case(
        blocks.InvertedResidual,
        {"filters": 4, "se_ratio": 0.25, "drop_path": 0.2},
        (2, 7, 8, 4),
        (2, 7, 8, 4),
        [{"filters": 4, "expansion": 0.5}, {"filters": 4, "drop_path": -0.1}],
        [(2, 8, 4)],
    ),
    Case(
        blocks.InvertedResidual,
        {"filters": 6, "strides": 2, "expansion": 1, "kernel_size": 5},
        (2, 7, 8, 4),
        (2, 4, 4, 6),
    ),
    Case(
        blocks.SqueezeExcite,
        {"ratio": 0.5},
        (2, 5, 6, 8),
        (2, 5, 6, 8),
        [{"ratio": 0.0}, {"ratio": "x"}, {"gate": "nonsense"}],
        [(2, 8)],
    ),
    Case(
        blocks.SqueezeExcite,
        {"ratio": 0.5, "activation": "silu", "gate": "hard_sigmoid"},
        (2, 5, 8),
        (2, 5, 8),
    ),
    Case(
        blocks.SelfAttention,
        {"num_heads": 2, "dropout": 0.3},
        (2, 7, 8),
        (2, 7, 8),
        [{"num_heads": 0}, {"num_heads": [2]}, {"dropout": 1.0}, {"dropout": "a"}],
        [(2, 7, 9), (2, 3, 7, 8)],
    ),
    Case(
        blocks.SelfAttention,
        {"num_heads": 2, "causal": True},
        (2, 7, 8),
        (2, 7, 8),
        exceptions={
            "int8": "a causal mask's lowest float takes the whole int8 range of the scores"
        },
    ),
    Case(
        blocks.TransformerEncoder,
        {"num_heads": 2, "dropout": 0.1, "drop_path": 0.1},
        (2, 7, 8),
        (2, 7, 8),
        [{"norm": "nonsense"}, {"expansion": 0}, {"drop_path": 1.5}],
        [(2, 7, 9)],
    ),
    Case(
        blocks.ConcatFusion,
        {"units": 6, "dropout": 0.3},
        [(2, 3), (2, 5)],
        (2, 6),
        [{"units": 0}, {"units": 6, "activation": "nonsense"}],
        [[(2, 3)], [(2, 3), (2, 4, 5)], [(2, 3, 4), (2, 4, 4)]],
    ),
    Case(blocks.ConcatFusion, {"units": 6}, [(2, 4, 5, 3)] * 3, (2, 4, 5, 6)),
    Case(
        blocks.GatedFusion,
        {"units": 6},
        [(2, 3), (2, 5), (2, 4)],
        (2, 6),
        [{"units": 0}, {"units": 6, "activation": "nonsense"}],
        [[(2, 3)], [(2, 3), (2, 4, 5)], [(2, 3, 3, 3, 2)] * 2],
    ),
    Case(
        blocks.CrossAttentionFusion,
        {"num_heads": 2, "dropout": 0.3},
        [(2, 7, 8), (2, 5, 6)],
        (2, 7, 8),
        [{"num_heads": 0}, {"dropout": 1.0}],
        [[(2, 7, 9), (2, 5, 6)], [(2, 7, 8)], [(2, 8), (2, 6)]],
    ),
    Case(
        blocks.FeaturePyramid,
        {"filters": 6},
        [(2, 13, 12, 3), (2, 7, 6, 4), (2, 4, 3, 5)],
        [(2, 13, 12, 6), (2, 7, 6, 6), (2, 4, 3, 6)],
        [{"filters": 0}],
        [
            [(2, 7, 8, 4)],
            [(2, 4, 4, 5), (2, 8, 8, 4)],
            [(2, 8, 8, 4), (2, 2, 2, 4)],
            [(2, 8, 8, 4), (2, 8, 8, 4)],
            {"P3": (2, 8, 8, 4), "P5": (2, 4, 4, 4)},
        ],
    ),
    Case(
        blocks.FeaturePyramid,
        {"filters": 6},
        {"P3": (2, 7, 8, 4), "P4": (2, 4, 4, 5)},
        {"P3": (2, 7, 8, 6), "P4": (2, 4, 4, 6)},
    ),
    Case(blocks.LayerScale, {"start": 0.1}, (2, 7, 4), (2, 7, 4)),
    Case(
        blocks.DropPath,
        {"rate": 0.5, "seed": 7},
        (8, 7, 4),
        (8, 7, 4),
        [{"rate": 1.0}, {"rate": -0.1}],
    ),
    Case(
        heads.ClassificationHead,
        {"num_classes": 5, "label_smoothing": 0.1, "class_weights": [1.0, 2.0, 1.0, 1.0, 0.5]},
        (2, 4, 5, 6),
        (2, 5),
        [
            {"num_classes": 0},
            {"num_classes": 1},
            {"num_classes": 3, "class_weights": [1.0, 1.0]},
            {"num_classes": 3, "label_smoothing": 1.0},
            {"num_classes": 3, "focal_gamma": -1.0},
            {"num_classes": 3, "multi_label": True, "one_hot": True},
        ],
    ),
    Case(
        heads.ClassificationHead,
        {"num_classes": 3, "multi_label": True, "dropout": 0.2},
        (2, 7, 6),
        (2, 3),
    ),
    Case(
        heads.RegressionHead,
        {"units": 2, "loss": "huber", "mean": [1.0, 2.0], "std": 3.0},
        (2, 4, 5, 6),
        (2, 2),
        [{"units": 0}, {"loss": "nonsense"}, {"std": 0.0}, {"units": 2, "mean": [1.0]}],
    ),
    Case(
        heads.ClassificationHead,
        {"num_classes": 2, "one_hot": True, "focal_gamma": 2.0},
        (2, 6),
        (2, 2),
        [
            {"num_classes": 3, "class_weights": "balanced"},
            {"num_classes": 3, "focal_gamma": "high"},
            {"num_classes": 3, "dropout": 1.0},
        ],
        [(2,)],
    ),
    Case(
        heads.RegressionHead,
        {"dropout": 0.2},
        (2, 7, 6),
        (2, 1),
        [{"std": [1.0, 1.0]}, {"mean": float("nan")}, {"std": "one"}, {"dropout": -0.1}],
        [(2,)],
    ),
]
