"""The networks that spaces of maps choose among: of blocks, and published ones."""

import keras

import backbones
from backbones.common import image_input
from blocks import ConvNormAct
from tuning.arguments import arguments
from tuning.image_network import FAMILIES, NORMS, normalized
from tuning.image_network import block as make_block

# What all have is chosen of these; each may have any other argument of its function, too.
ENCODERS = {
    "blocks": {
        "block": FAMILIES,
        "width": [8, 16, 24, 32],  # channels of the first stage, doubled at each further one
        "depth": [1, 2],  # blocks a stage
        "attention": ["none", "squeeze_excite"],
        "norm": ["batch", "group"],
        "activation": "relu",
    },
    "mobilenet_v2": {"alpha": [0.35, 0.5, 1.0]},
    "mobilenet_v3": {"size": ["small", "large"]},
    "mobilenet_v4": {"size": ["conv_small", "conv_medium"]},
    "efficientnet": {"variant": ["b0", "b1"]},
    "resnet": {"depth": [18, 34, 50]},
    "convnext": {"size": ["tiny"], "drop_path": [0.0, 0.1]},
}
TAKES = {
    name: set(arguments(getattr(backbones, name))) - {"input_shape", "name"}
    for name in ENCODERS
    if name != "blocks"
}
HIGHEST = 5  # level


def encoder(input_shape, kind, options, mean=0.0, std=1.0):
    """Return a pyramid, `{"P1": …, "P2": …}`, of an image whose mean and deviation are taken off.

    Args:
        input_shape: `(height, width, channels)`.
        kind: A name of `ENCODERS`.
        options: What was chosen of its table; of blocks `"stem"` and `"stages"`, too.
        mean: Mean of the image's values, a number or one for each channel.
        std: Their standard deviation.
    """
    image = image_input(input_shape)
    x = normalized(image, mean, std)
    if kind == "blocks":
        return keras.Model(image, of_blocks(x, **options), name="encoder")
    published = getattr(backbones, kind)(input_shape, **options)
    return published if x is image else keras.Model(image, published(x), name="encoder")


def with_norm(options):
    """Return options whose `norm` learns quickly enough for the short trials of a search."""
    norm = options["norm"]
    return {**options, "norm": NORMS.get(norm, norm) if isinstance(norm, str) else norm}


def of_blocks(x, *, block, stem, stages, **chosen):
    """Return the features of each stage by their stride, the first behind the stem."""
    kind, own = block
    chosen = with_norm({**chosen, "family": kind, **own})
    common = {"norm": chosen["norm"], "activation": chosen["activation"]}
    x = ConvNormAct(chosen["width"], 3, stem, **common, name="stem")(x)
    levels = {}
    for stage in range(stages):
        for i in range(chosen["depth"]):
            strides = 2 if stage and not i else 1
            name = f"stage{stage + 1}_block{i + 1}"
            x = make_block(x, chosen["width"] * 2**stage, strides, chosen, name)
        levels[f"P{stem - 1 + stage}"] = x
    return levels
