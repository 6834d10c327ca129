"""The networks that are trained, from pixels to logits."""

import keras
from keras import layers

import backbones
import heads
from blocks import ConvNormAct, ResidualBlock

CLASSES = 10
SHAPE = (32, 32, 3)


def classifier(backbone):
    """Return a backbone with the scaling of pixels before it and the head behind."""
    image = keras.Input(SHAPE, name="image")
    features = backbone(layers.Rescaling(1 / 63, offset=-2.0, name="scale")(image))
    return heads.attach(keras.Model(image, features), heads.ClassificationHead(CLASSES))


def resnet8():
    """MLPerf Tiny's ResNet-8, 78,666 parameters."""
    return classifier(backbones.resnet(SHAPE, depth=8))


def residual(widths, depths):
    """Return stages of residual blocks, the first at full resolution, each next at half."""

    def make():
        image = keras.Input(SHAPE)
        x = ConvNormAct(widths[0], name="stem")(image)
        for stage, (filters, depth) in enumerate(zip(widths, depths)):
            for i in range(depth):
                strides = 2 if stage and not i else 1
                x = ResidualBlock(filters, strides=strides, name=f"stage{stage}_block{i}")(x)
        return classifier(keras.Model(image, x))

    return make


def pooled(x, width, norm="batch"):
    """Return maps of Page's ResNet-9 ("How to Train Your ResNet", 2018), there 64 channels wide."""
    x = ConvNormAct(width, norm=norm, name="stem")(x)
    for stage in range(3):
        filters = width * 2 ** (stage + 1)
        x = ConvNormAct(filters, norm=norm, name=f"stage{stage}_conv")(x)
        x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
        if stage != 1:
            x = ResidualBlock(filters, norm=norm, name=f"stage{stage}_block")(x)
    return x


def resnet9(width=16):
    """A teacher, 414,074 parameters."""
    image = keras.Input(SHAPE)
    return classifier(keras.Model(image, pooled(image, width)))


NETWORKS = {
    "resnet8": resnet8,
    "resnet9": resnet9,
    "small": residual((16, 24, 36), (2, 3, 2)),
}
