"""What the networks share: their input, and channels that hardware likes."""

import keras


def image_input(input_shape):
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
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Networks take the channels on the last axis, as mobile runtimes do. Received: "
            "keras.config.image_data_format() == 'channels_first'. Set it to 'channels_last'."
        )
    return keras.Input(shape, name="image")


def round_channels(channels, divisor=8):
    """Round to a multiple of `divisor`, but never by more than a tenth downwards.

    Reference: [Sandler et al., 2018](https://arxiv.org/abs/1801.04381), the authors' code

    >>> round_channels(33), round_channels(11)
    (32, 16)
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
