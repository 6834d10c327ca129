"""Networks against their published twins, and the pyramids of other people's."""

import keras
import numpy as np
import pytest
from keras import layers

import blocks
from backbones import mobilenet_v2, pyramid, resnet
from tests.slow import some_slow

apps = keras.applications


def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


@pytest.mark.parametrize(("depth", "trainable"), [(18, 11_176_512), (34, 21_284_672)])
def test_resnets_without_a_twin_have_the_parameters_of_the_paper(depth, trainable):
    assert count(resnet((64, 64, 3), depth).trainable_weights) == trainable


@pytest.mark.parametrize("alpha", some_slow([0.5, 0.75, 1.3, 1.4], 0.75, 1.3, 1.4))
def test_width_factors_of_the_paper(alpha):
    twin = apps.MobileNetV2((32, 32, 3), alpha, include_top=False, weights=None)
    assert mobilenet_v2((32, 32, 3), alpha).count_params() == twin.count_params()


def test_sides_may_be_open_and_channels_any():
    model = mobilenet_v2((None, None, 1), alpha=0.35)
    assert model(np.zeros((1, 96, 64, 1)))["P5"].shape[1:3] == (3, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mobilenet_v2((224, 224)),
        lambda: mobilenet_v2((224, 224, None)),
        lambda: resnet((0, 224, 3)),
        lambda: resnet((224, 224, 3), depth=51),
        lambda: mobilenet_v2((224, 224, 3), alpha=0.0),
    ],
)
def test_wrong_arguments_say_what_was_received(make):
    with pytest.raises(ValueError, match="Received: "):
        make()


# The last block's output of every stage, read off the networks' drawings. None: a layer that
# Keras numbers anew in every process.
LEVELS = {
    "ConvNeXtTiny": ([56, 28, 14, 7], [None, None, None, "layer_normalization"]),
    "DenseNet121": (
        [56, 28, 14, 7],
        ["conv2_block6_concat", "conv3_block12_concat", "conv4_block24_concat", "relu"],
    ),
    "EfficientNetB0": (
        [56, 28, 14, 7],
        ["block2b_add", "block3b_add", "block5c_add", "top_activation"],
    ),
    "EfficientNetV2B0": (
        [56, 28, 14, 7],
        ["block2b_add", "block3b_add", "block5e_add", "top_activation"],
    ),
    "InceptionResNetV2": ([52, 25, 12, 5], [None, "block35_10_ac", "block17_20_ac", "conv_7b_ac"]),
    "InceptionV3": ([52, 25, 12, 5], [None, "mixed2", "mixed7", "mixed10"]),
    "MobileNet": (
        [56, 28, 14, 7],
        ["conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"],
    ),
    "MobileNetV2": ([56, 28, 14, 7], ["block_2_add", "block_5_add", "block_12_add", "out_relu"]),
    "MobileNetV3Large": (
        [56, 28, 14, 7],
        ["expanded_conv_2_add", "expanded_conv_5_add", "expanded_conv_11_add", None],
    ),
    "MobileNetV3Small": (
        [56, 28, 14, 7],
        ["expanded_conv_project_bn", "expanded_conv_2_add", "expanded_conv_7_add", None],
    ),
    "NASNetMobile": (
        [56, 28, 14, 7],
        ["reduction_concat_stem_1", "normal_concat_3", "normal_concat_8", None],
    ),
    "ResNet50": (
        [56, 28, 14, 7],
        ["conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"],
    ),
    "ResNet50V2": (
        [56, 28, 14, 7],
        ["conv2_block2_out", "conv3_block3_out", "conv4_block5_out", "post_relu"],
    ),
    "VGG16": ([56, 28, 14, 7], ["block3_conv3", "block4_conv3", "block5_conv3", "block5_pool"]),
    "Xception": ([55, 28, 14, 7], [None, None, None, "block14_sepconv2_act"]),
}


HEAVY = ("NASNetMobile", "InceptionResNetV2", "DenseNet121", "InceptionV3", "EfficientNetV2B0")


@pytest.mark.parametrize("network", some_slow(LEVELS, *HEAVY))
def test_pyramids_of_keras_applications(network):
    keras.backend.clear_session(free_memory=False)  # names count from one
    sides, names = LEVELS[network]
    app = getattr(apps, network)(include_top=False, weights=None, input_shape=(224, 224, 3))
    levels = pyramid(app).output
    assert list(levels) == ["P2", "P3", "P4", "P5"]
    assert [x.shape[1] for x in levels.values()] == sides
    for x, name in zip(levels.values(), names):
        assert name in (None, x._keras_history.operation.name)


def test_a_classifier_is_a_pyramid_up_to_its_pooling():
    app = apps.MobileNetV3Small(weights=None, input_shape=(224, 224, 3))
    assert {k: x.shape[1:] for k, x in pyramid(app).output.items()}["P5"] == (7, 7, 576)


def test_the_layers_are_the_given_ones():
    app = apps.MobileNetV2(weights=None, input_shape=(64, 64, 3), alpha=0.35)
    assert pyramid(app).get_layer("block_2_add") is app.get_layer("block_2_add")


def test_a_pyramid_of_a_pyramid_is_the_same():
    model = resnet((64, 64, 3), depth=18)
    again = pyramid(model)
    x = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    expected, actual = model.predict(x, verbose=0), again.predict(x, verbose=0)
    assert list(actual) == ["P2", "P3", "P4", "P5"]
    for level in actual:
        np.testing.assert_array_equal(actual[level], expected[level])
    assert again.get_layer("stage0_block0") is model.get_layer("stage0_block0")


@pytest.mark.parametrize(
    "block",
    [
        blocks.ConvNormAct,
        blocks.DepthwiseSeparableConv,
        blocks.ResidualBlock,
        blocks.BottleneckBlock,
        blocks.InvertedResidual,
    ],
)
def test_stages_of_one_block_each(block):
    """A level is a block's output, also where no block of its stage adds anything."""
    x = image = keras.Input((64, 64, 3))
    for i in range(5):
        x = block(8 * (i + 1), strides=2, name=f"block{i}")(x)
    found = pyramid(keras.Model(image, x), [f"P{i}" for i in range(1, 6)]).output
    made = [y._keras_history.operation.name for y in found.values()]
    assert made == [f"block{i}" for i in range(5)]


def test_a_pyramid_of_our_mobilenet_is_the_same():
    model = mobilenet_v2((64, 64, 3), alpha=0.35)
    again = pyramid(model, list(model.output))
    for level, x in model.output.items():
        assert again.output[level]._keras_history == x._keras_history


def test_attention_heads_are_no_map():
    image = keras.Input((64, 64, 3))
    x = layers.Conv2D(8, 16, 16, name="patch")(image)
    x = blocks.TransformerEncoder(2)(layers.Reshape((-1, 8))(x))
    assert list(pyramid(keras.Model(image, x)).output) == ["P4"]
    x = layers.Reshape((4, 4, 8), name="map")(x)
    (found,) = pyramid(keras.Model(image, x)).output.values()
    assert found._keras_history.operation.name == "map"


def test_channels_first_is_refused():
    image = keras.Input((3, 64, 64))
    x = layers.Conv2D(8, 3, 4, "same", data_format="channels_first")(image)
    with pytest.raises(ValueError, match="Received: .*channels_first"):
        pyramid(keras.Model(image, x))


def test_strides_that_are_no_power_of_two_have_no_level():
    x = image = keras.Input((144, 144, 3))
    for strides in (3, 2, 2):
        x = layers.Conv2D(4, 3, strides, "same")(x)
    with pytest.raises(ValueError, match="stride 4 or more"):
        pyramid(keras.Model(image, x))


def test_sequentials_nested_and_flat():
    app = apps.MobileNetV2(weights=None, input_shape=(64, 64, 3), alpha=0.35, include_top=False)
    model = keras.Sequential([keras.Input((64, 64, 3)), layers.Rescaling(1 / 127.5, -1.0), app])
    nested = pyramid(model)
    assert [x.shape[1] for x in nested.output.values()] == [16, 8, 4, 2]
    x = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    expected = pyramid(app).predict(x / 127.5 - 1, verbose=0)
    for level, y in nested.predict(x, verbose=0).items():
        np.testing.assert_allclose(y, expected[level], rtol=1e-4, atol=1e-5)
    flat = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 3, padding="same"),
            layers.MaxPooling2D(),
        ]
    )
    assert {k: x.shape[1] for k, x in pyramid(flat).output.items()} == {"P2": 8}


def test_levels_inside_of_a_layer_made_of_layers():
    class Stages(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.convs = [layers.Conv2D(4, 3, 2, "same", name=f"conv{i}") for i in range(3)]

        def build(self, shape):
            for conv in self.convs:
                conv.build(shape)
                shape = conv.compute_output_shape(shape)

        def call(self, x):
            for conv in self.convs:
                x = conv(x)
            return x

    image = keras.Input((32, 32, 3))
    model = keras.Model(image, Stages(name="stages")(image))
    found = pyramid(model)
    assert {k: x.shape[1] for k, x in found.output.items()} == {"P2": 8, "P3": 4}
    x = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(found.predict(x, verbose=0)["P3"], model.predict(x, verbose=0))
    named = pyramid(model, {"P1": "stages.conv0"})
    assert named.output["P1"].shape[1:] == (16, 16, 4)


def test_open_sides():
    image = keras.Input((None, None, 3))
    x = blocks.ConvNormAct(4, strides=2)(image)
    x = layers.ZeroPadding2D(1)(blocks.SqueezeExcite()(x))
    x = layers.MaxPooling2D(3, 2)(x)
    assert list(pyramid(keras.Model(image, x)).output) == ["P2"]


def test_levels_by_name():
    app = apps.MobileNetV2(weights=None, input_shape=(64, 64, 3), alpha=0.35)
    model = pyramid(app, {"P2": "block_3_expand_relu", "P5": "out_relu"})
    assert {k: x.shape[1] for k, x in model.output.items()} == {"P2": 16, "P5": 2}
    assert list(pyramid(app, ["P1", "P5"]).output) == ["P1", "P5"]
    with pytest.raises(ValueError, match=r"Received: levels=\['P7'\]"):
        pyramid(app, ["P7"])
    ours = mobilenet_v2((64, 64, 3), alpha=0.35)
    assert pyramid(ours, {"P3": "stage2_block2"}).output["P3"] is ours.output["P3"]
    with pytest.raises(ValueError, match="Received: 'block_3_exp'.*block_3_expand_relu"):
        pyramid(app, {"P2": "block_3_exp"})


def test_models_without_a_pyramid_are_refused():
    x = keras.Input((8,))
    with pytest.raises(ValueError, match="Received: model .* of no map at all"):
        pyramid(keras.Model(x, layers.Dense(3)(x)))
    image = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"stride 4 or more.*\[2\]"):
        pyramid(keras.Model(image, layers.MaxPooling2D()(image)))

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="type Subclassed"):
        pyramid(Subclassed())


def test_backbones_of_keras_hub():
    models = pytest.importorskip("keras_hub", reason="needs keras-hub installed").models
    backbone = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(64, 64, 3),
    )
    assert [x.shape[1] for x in pyramid(backbone).output.values()] == [16, 8, 4, 2]
