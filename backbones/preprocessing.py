"""The pixels that published weights were trained on, as the first layers of a network."""

from keras import layers

# What keras.applications does to pixels from 0 to 255, red first, as (scale, offset) by channel.
# "caffe" weights read blue first: `weights.filled` turns the channels of the first kernel instead.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR_MEAN = (103.939, 116.779, 123.68)
MODES = {
    "tf": (1 / 127.5, -1.0),
    "128": (1 / 128, -1.0),  # EfficientNetV2-S, M and L
    "lite": (1 / 128, -127 / 128),  # EfficientNet-Lite, by its authors
    "torch": ([1 / (255 * s) for s in STD], [-m / s for m, s in zip(MEAN, STD)]),
    "caffe": (1.0, [-m for m in reversed(BGR_MEAN)]),
}
LAYER = "preprocessing"
STANDARDIZED = f"{LAYER}_normalization"


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


def standardized(image):
    """Return `image` as EfficientNet takes it: by a `Normalization`, whose numbers are weights.

    Args:
        image: Pixels from 0 to 255, red first.
    """
    x = layers.Rescaling(1 / 255, name=LAYER)(image)
    return layers.Normalization(axis=-1, name=STANDARDIZED)(x)


def divide_again(model):
    """Let the `Normalization` divide by the root of the deviation of ImageNet once more.

    The published variances are deviations, by mistake; `keras.applications` makes up for it by
    a layer more behind published weights, which is part of the variance here.
    """
    for layer in model.layers:
        if layer.name == STANDARDIZED:
            mean, variance, count = layer.get_weights()
            layer.set_weights([mean, variance * STD, count])
            layer.finalize_state()
