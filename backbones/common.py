"""What the networks share: their input, and the names of their blocks."""

import keras

from backbones.preprocessing import preprocessed
from backbones.weights import check_weights, wants_preprocessing


def network_input(input_shape, mode, *, stride, twin, weights, include_preprocessing):
    """Return the `keras.Input` of a network, and its pixels as the network takes them.

    Args:
        input_shape: `(height, width, channels)`, the sides at least `stride` or `None`.
        mode: Name of the preprocessing in `preprocessing.MODES`, or a function from the image to
            the network's first tensor; `None` where none was published.
        stride: Total stride of the network, or what it needs if that is more.
        twin: Function that builds the network of `keras.applications`, or `None`.
        weights: As the network was given it; it is checked before anything is built.
        include_preprocessing: As the network was given it. `None` is as the weights want it.
    """
    image = image_input(input_shape, stride)
    check_weights(weights, input_shape, twin)
    if include_preprocessing is None:
        include_preprocessing = wants_preprocessing(weights)
    if not include_preprocessing:
        return image, image
    if mode is None:
        raise ValueError(
            "No preprocessing was published for this network. Received: include_preprocessing="
            f"{include_preprocessing!r}. Put keras.layers.Rescaling before it."
        )
    return image, mode(image) if callable(mode) else preprocessed(image, mode)


def image_input(input_shape, least=1):
    """Return the `keras.Input` of an image, or say what is wrong with its shape."""
    shape = tuple(input_shape)
    sides = shape[:-1]
    if (
        len(shape) != 3
        or not isinstance(shape[-1], int)
        or any(side is not None and (not isinstance(side, int) or side < 1) for side in sides)
        or shape[-1] < 1
    ):
        raise ValueError(
            "`input_shape` must be (height, width, channels), the sides whole numbers or None. "
            f"Received: input_shape={input_shape!r}."
        )
    if any(side is not None and side < least for side in sides):
        raise ValueError(
            f"Images must be at least {least} x {least}, of which one position is left. "
            f"Received: input_shape={shape}. Enlarge them with keras.layers.Resizing."
        )
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Networks take the channels on the last axis, as mobile runtimes do. Received: "
            "keras.config.image_data_format() == 'channels_first'. Set it to 'channels_last'."
        )
    return keras.Input(shape, name="image")


def stage_and_block(place):
    """Return the numbers in the name of a block.

    >>> stage_and_block("stage2_block0")
    (2, 0)
    """
    stage, block = place.removeprefix("stage").split("_block")
    return int(stage), int(block)
