"""From training on some classes to telling others apart, as for faces."""

import keras
import numpy as np
import pytest

import blocks
import heads
from tests.slow import slow

datasets = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn")


@slow
def test_digits_that_were_never_trained_on_are_told_apart():
    keras.utils.set_random_seed(0)
    digits = datasets.load_digits()
    images, labels = digits.images[..., None].astype("float32") / 16, digits.target
    known = labels < 7
    image = keras.Input((8, 8, 1))
    norm = {"type": "batch", "momentum": 0.9}
    x = blocks.ConvNormAct(16, strides=2, norm=norm)(image)
    x = blocks.InvertedResidual(32, strides=2, expansion=2, norm=norm)(x)
    head = heads.MarginHead(7, 16, margin=0.3, scale=16.0, pool="depthwise", norm=norm)
    model = heads.attach(keras.Model(image, x), head)
    model.compile(keras.optimizers.Adam(3e-3), loss=head.loss(), metrics=head.metrics())
    strangers = images[~known][::3], labels[~known][::3]
    logs = model.fit(
        images[known],
        labels[known],
        epochs=6,
        batch_size=64,
        verbose=0,
        callbacks=[heads.VerifyPairs(strangers)],
    ).history
    assert logs["accuracy"][-1] > 0.95
    assert logs["val_verification"][-1] > 0.6 and logs["val_verification_auc"][-1] > 0.65
    e = heads.deploy(model).predict(images[known][::7], verbose=0)
    assert heads.verification(e, labels[known][::7])["accuracy"] > 0.9
    mixed = np.random.default_rng(0).permutation(strangers[1])  # what chance gives
    e = heads.deploy(model).predict(strangers[0], verbose=0)
    assert abs(heads.verification(e, mixed)["accuracy"] - 0.5) < 0.05
