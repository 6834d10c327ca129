"""Samples that are not what a model was trained on are told with the figures, others are not."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.calibration import check_alike, check_calibration
from export.normalization import normalization_of

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="needs the TensorFlow backend"
)
RNG = np.random.default_rng(0)
PHOTOS = RNG.normal(120, 60, (64, 8, 8, 3)).clip(0, 255).astype("float32")


def network(*first, after=()):
    """A convolution behind some first layers, and some behind it."""
    image = keras.Input((8, 8, 3), name="image")
    x = image
    for layer in (*first, layers.Conv2D(4, 3, name="conv"), *after):
        x = layer(x)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def standardized():
    layer = layers.Normalization(name="standardized")
    layer.adapt(PHOTOS)
    return layer


def trained():
    """Statistics as training leaves them, behind a rescaling."""
    norm = layers.BatchNormalization(name="norm", momentum=0.0)
    model = network(layers.Rescaling(1 / 255, name="scale"), after=[norm])
    model(PHOTOS, training=True)
    return model


def told(model, samples):
    samples = samples if isinstance(samples, dict) else {"image": samples}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        check_calibration(model, samples)
    return " ".join(str(x.message) for x in found if x.category is UserWarning)


MODELS = {
    "rescaling": lambda: network(layers.Rescaling(1 / 127.5, -1.0, name="scale")),
    "normalization": lambda: network(standardized()),
    "batch normalization": trained,
}


@pytest.mark.parametrize("name", MODELS)
def test_pixels_of_another_scale_are_told_and_photos_are_not(name):
    model = MODELS[name]()
    assert told(model, PHOTOS) == ""
    assert told(model, PHOTOS[:32] * 0.4) == ""  # darker ones
    text = told(model, PHOTOS / 255)
    assert "as the model was trained on. Received: " in text and "Give some 100" in text
    figures = {
        "rescaling": "numbers from 0 to 1, of which 'scale' makes numbers from -1 to -0.992",
        "normalization": "a mean of 0.47",
        "batch normalization": "where they reach 'norm', which knows a mean of",
    }
    assert figures[name] in text
    assert told(model, PHOTOS * 257) != ""  # of 16 bits


def test_normalized_pixels_are_told():
    assert "deviation of 0.965 where they reach 'standardized', which knows a mean of 12" in told(
        network(standardized()), (PHOTOS - 120) / 60
    )


def test_normalized_pixels_are_told_where_a_rescaling_alone_knows():
    """Convolutions at the borders read zeros, so that a normalization sees nothing odd."""
    for scale, offset in ((1 / 63, -2.0), (1 / 255, 0.0)):
        model = network(layers.Rescaling(scale, offset))
        for pixels in ((PHOTOS - 120) / 60, PHOTOS / 127.5 - 1):
            assert "of which" in told(model, pixels)


def test_statistics_that_say_nothing_are_not_asked():
    """Of a model that was not trained, and what is left of the start after some steps."""
    new = network(after=[layers.BatchNormalization()])
    assert told(new, PHOTOS) == told(new, PHOTOS / 255) == ""
    model = network(after=[layers.BatchNormalization(momentum=0.99)])
    for _ in range(5):
        model(PHOTOS / 2550, training=True)
    assert told(model, PHOTOS / 2550) == ""
    assert told(model, PHOTOS) != ""


def test_every_layout_of_statistics_is_read():
    """Of single numbers, of two inputs, of a normalization of everything at once."""
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    whole, norm = layers.Normalization(axis=None), layers.BatchNormalization(momentum=0.0)
    x, y = RNG.normal(3, 2, (2, 64, 5)).astype("float32")
    whole.adapt(x)
    model = keras.Model([a, b], whole(a) + norm(layers.Dense(5)(b)))
    model([x, y], training=True)
    for factor, is_told in ((1, False), (100, True)):
        for given in ({"a": x * factor, "b": y}, {"a": x, "b": y * factor}):
            assert bool(told(model, given)) == is_told


def test_few_and_equal_samples_are_told():
    model = network()
    assert "one new sample in 4.5 lies beyond them. Received: calibration of 8." in told(
        model, PHOTOS[:8]
    )
    assert "calibration of 31" in told(model, PHOTOS[:31]) and told(model, PHOTOS[:32]) == ""
    for same in (np.zeros_like(PHOTOS), np.repeat(PHOTOS[:1], 40, 0)):
        assert "samples that differ. Received: " in told(model, same)
    assert "Received: 1, all the same" in told(model, np.ones_like(PHOTOS[:1]))


def test_samples_to_compare_on_are_of_the_same_scale():
    good = {"image": PHOTOS / 255}
    check_alike(good, {})
    check_alike(good, {"image": PHOTOS[:3] / 127.5 - 1})
    check_alike(good, {"image": PHOTOS * 0})
    with pytest.warns(UserWarning, match="inputs from 0 to 255 and calibration from 0 to 1"):
        check_alike(good, {"image": PHOTOS})


@on_tensorflow
def test_files_and_reports_tell_it(tmp_path, monkeypatch):
    model, path = trained(), tmp_path / "m.tflite"
    options = {"measure": False, "tolerance": {"sqnr_db": -99, "agreement": 0}}
    with pytest.warns(UserWarning, match="reach 'norm'") as found:
        export.to_tflite(model, path, "int8", calibration=PHOTOS / 255, **options)
    assert [x.filename for x in found if x.category is UserWarning] == [__file__]
    with pytest.warns(UserWarning, match="should be of one scale"):
        export.to_tflite(
            model, path, "int8", calibration=PHOTOS, inputs=PHOTOS[:4] / 255, **options
        )
    monkeypatch.setattr("export.quantization.Bench", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), pytest.warns(UserWarning, match="calibration of 9"):
        export.quantization_report(model, PHOTOS, calibration=PHOTOS[:9], verbose=0)
    export.to_tflite(model, path, "float32", calibration=PHOTOS[:4] / 255, measure=False)


@on_tensorflow
def test_what_first_layers_do_is_known_and_told(tmp_path):
    def known(*first):
        return normalization_of(network(*first))

    mean, std = PHOTOS.mean((0, 1, 2)), PHOTOS.std((0, 1, 2))
    adapted = known(layers.Rescaling(2.0, 1.0, name="twice"), standardized())["image"]
    assert adapted["layers"] == ["twice", "standardized"]
    np.testing.assert_allclose(adapted["mean"], (mean - 1) / 2, rtol=1e-4)
    np.testing.assert_allclose(adapted["std"], std / 2, rtol=1e-4)
    scaled = {"mean": [127.5], "std": [127.5], "layers": ["scale"]}
    assert known(layers.Rescaling(1 / 127.5, -1.0, name="scale")) == {"image": scaled}
    assert known(layers.Rescaling([1.0, 2.0, 4.0], 1.0))["image"]["std"] == [1.0, 0.5, 0.25]
    assert known() == known(layers.ReLU(), layers.Rescaling(2.0)) == {}
    back = layers.Normalization(mean=3.0, variance=4.0, invert=True)
    assert known(back)["image"]["mean"] == [-1.5] and known(back)["image"]["std"] == [0.5]
    nested = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(0.5, name="half")])
    assert known(nested)["image"]["layers"] == [f"{nested.name}.half"]
    image = keras.Input((4,))
    two = keras.Model(image, layers.Rescaling(2.0)(image) + layers.Dense(4)(image))
    assert normalization_of(two) == {}  # one of two ways only

    model = network(layers.Rescaling(1 / 127.5, -1.0, name="scale"))
    bundle = export.to_tflite(model, tmp_path / "m.tflite", inputs=PHOTOS, measure=False)
    assert bundle.normalization == {"image": scaled}
    export.pack(bundle, tmp_path / "packed", PHOTOS)
    text = (tmp_path / "packed" / "bundle.json").read_text()
    assert '"normalization": {\n    "image": {\n      "mean": [\n        127.5' in text


def test_outliers_of_tables_are_no_other_scale():
    table = RNG.lognormal(3, 2, (256, 4)).astype("float32")
    norm = layers.Normalization(name="norm")
    norm.adapt(table)
    assert np.abs((table - table.mean(axis=0)) / table.std(axis=0)).max() < 20
    row = keras.Input((4,), name="image")
    model = keras.Model(row, layers.Dense(1)(norm(row)))
    table[0] = 40 * table.std(axis=0)
    assert not told(model, table)
    assert "'norm'" in told(model, 1000 * table)


class Unsaved(layers.Layer):
    """Of no configuration: nothing can be made of it a second time."""

    def __init__(self, factors, **kwargs):
        super().__init__(**kwargs)
        self.factors = factors

    def call(self, x):
        return x * self.factors


def test_models_that_cannot_be_copied_are_not_asked():
    foreign = Unsaved(np.ones(3, "float32"), name="foreign")
    norm = layers.BatchNormalization(name="norm", momentum=0.0)
    model = network(layers.Rescaling(1 / 255, name="scale"), foreign, after=[norm])
    model(PHOTOS, training=True)
    assert not told(model, PHOTOS / 255)
    assert normalization_of(model) == {}
