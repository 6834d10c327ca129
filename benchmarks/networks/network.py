"""One network of ours, its twin in `keras.applications`, and what its paper says."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

import heads
from backbones import pyramid
from export import products
from export.macs import rows_of


@dataclass
class Network:
    """What is needed to compare a network with what was published.

    Args:
        name: The row's name.
        make: Function of `backbones`.
        args: Its arguments, but the shape.
        twin: Name of the network in `keras.applications`, `None` if it has none.
        twin_args: The twin's arguments.
        side: Side of the images it was published for.
        test_side: Side at which the tests compare it; `None` where a relative stands for it.
        channels: Channels of the images.
        classes: Classes of the paper's network.
        paper_params: The paper's parameters with the classifier.
        paper_macs: The paper's multiply-adds, or the source's where the paper rounds.
        trained: Whether `paper_params` are the trainable ones, PyTorch's way of counting.
        preprocesses: Whether the twin's first layers are its preprocessing.
        head: Function from `classes` to the head that makes the paper's network whole.
    """

    name: str
    make: callable
    args: dict = field(default_factory=dict)
    twin: str | None = None
    twin_args: dict = field(default_factory=dict)
    side: int = 224
    test_side: int | None = None
    channels: int = 3
    classes: int = 1000
    paper_params: float | None = None
    paper_macs: float | None = None
    trained: bool = True
    preprocesses: bool = False
    head: callable = heads.ClassificationHead

    def ours(self, side=None, **kwargs):
        side = side or self.side
        return self.make((side, side, self.channels), **self.args, **kwargs)

    def theirs(self, side=None):
        """Return the twin without its top, its weights and statistics away from their start."""
        side = side or self.side
        make = getattr(keras.applications, self.twin)
        twin = make(include_top=False, weights=None, input_shape=(side, side, 3), **self.twin_args)
        rng = np.random.default_rng(0)
        for w in twin.weights:  # statistics away from 0 and 1, so that a lost one shows
            if w.dtype == "float32":
                w.assign(w + 0.1 * rng.uniform(size=w.shape))
        return twin

    def whole(self):
        """Return the paper's network: ours with its classifier."""
        return heads.attach(self.ours(), self.head(self.classes))

    def pixels(self, twin, images):
        """Return images from 0 to 255 as the twin takes them."""
        if self.preprocesses:
            return images
        module = sys.modules[getattr(keras.applications, self.twin).__module__]
        return module.preprocess_input(images.copy())


def publish(model, path):
    """Write a model's weights as `keras.applications` publishes them."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


@dataclass
class Facts:
    """What must be equal: parameters, those that train, and multiply-adds."""

    params: int
    trained: int
    macs: int


def facts(model):
    trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    return Facts(model.count_params(), trained, products.total(r.macs for r in rows_of(model)))


def compare(network, side, folder):
    """Return facts of ours and of the twin, and the largest relative difference of each level.

    Args:
        network: A `Network` with a twin.
        side: Side of the images.
        folder: Where to write the file through which ours gets the twin's weights.
    """
    twin = network.theirs(side)
    path = Path(folder) / f"{network.name}.h5"
    publish(twin, path)
    ours = network.ours(side, weights=path)
    images = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype("float32")
    expected = pyramid(twin, list(ours.output)).predict(network.pixels(twin, images), verbose=0)
    actual = ours.predict(images, verbose=0)
    differences = {
        level: float(np.abs(actual[level] - expected[level]).max() / np.abs(expected[level]).max())
        for level in ours.output
    }
    return facts(ours), facts(twin), differences
