"""The pixels that published weights were trained on, as the first layers of a network."""

import math

from keras import layers

# What keras.applications does to pixels from 0 to 255, red first, as (scale, offset) by channel.
# "caffe" weights read blue first: `weights.filled` turns the channels of the first kernel instead.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR_MEAN = (103.939, 116.779, 123.68)
MODES = {
    "tf": (1 / 127.5, -1.0),
    "128": (1 / 128, -1.0),  # EfficientNetV2-S, M and L
    "torch": ([1 / (255 * s) for s in STD], [-m / s for m, s in zip(MEAN, STD)]),
    "caffe": (1.0, [-m for m in reversed(BGR_MEAN)]),
}
LAYER = "preprocessing"


def preprocessed(image, mode):
    """Return `image`, pixels from 0 to 255 and red first, as the published weights take it.

    Raises:
        ValueError: If the constants are of three channels and the image is not.
    """
    scale, offset = MODES[mode]
    channels = image.shape[-1]
    if channels != 3 and not isinstance(offset, float):
        raise ValueError(
            "Published preprocessing is that of 3 channels, red, green and blue. "
            f"Received: an image of {channels} channels. Give include_preprocessing=False and "
            "normalize the channels with keras.layers.Normalization before the network."
        )
    return layers.Rescaling(scale, offset, name=LAYER)(image)


def standardized(image, adapted_twice):
    """Return `image` as EfficientNet takes it: by a `Normalization`, whose numbers are weights.

    Args:
        image: Pixels from 0 to 255, red first.
        adapted_twice: Whether to divide by the root of the deviation once more, as
            `keras.applications` does with its published weights.
    """
    x = layers.Rescaling(1 / 255, name=LAYER)(image)
    x = layers.Normalization(axis=-1, name=f"{LAYER}_normalization")(x)
    if adapted_twice:
        x = layers.Rescaling([1 / math.sqrt(s) for s in STD], name=f"{LAYER}_deviation")(x)
    return x
