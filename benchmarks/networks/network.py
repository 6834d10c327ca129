"""One network of ours, its twin in `keras.applications`, and what its paper says."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import keras
import numpy as np

import heads
from backbones import pyramid
from backbones.leaves import leaves_of
from blocks import ConvNormAct
from export import products
from export.macs import rows_of

GAIN = 1.4  # of a kernel's variance: between what linear blocks and what ReLUs keep alive


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
        adds_layers: Whether the twin computes something else with published weights.
        head: Function from `classes` to the head that makes the paper's network whole.
        hidden: Arguments of the `ConvNormAct` that the paper's classifier has behind the
            pooling; `None` for none.
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
    adds_layers: bool = False
    head: callable = heads.ClassificationHead
    hidden: dict | None = None

    def ours(self, side=None, **kwargs):
        side = side or self.side
        return self.make((side, side, self.channels), **self.args, **kwargs)

    def theirs(self, side=None):
        """Return the twin without its top, no weight at its start.

        Kernels keep the size of what passes: what is deep neither dies out nor overflows, and a
        lost statistic shows.
        """
        twin = self._made(side or self.side)
        rng = np.random.default_rng(0)
        for _, leaf in leaves_of(twin):
            for w in leaf.weights:
                if len(w.shape) > 1:
                    depthwise = isinstance(leaf, keras.layers.DepthwiseConv2D)
                    fan_in = np.prod(w.shape[: -1 - depthwise])
                    w.assign(rng.normal(0, np.sqrt(GAIN / fan_in), w.shape))
                elif w.dtype == "float32":
                    w.assign(w + rng.uniform(-0.2, 0.2, w.shape))
        return twin

    def fetched(self, side, path):
        """Return the twin as `weights="imagenet"` makes it, the download being a file here."""
        with mock.patch("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path)):
            return self._made(side, "imagenet")

    def _made(self, side, weights=None):
        make = getattr(keras.applications, self.twin)
        return make(
            include_top=False, weights=weights, input_shape=(side, side, 3), **self.twin_args
        )

    def whole(self):
        """Return the paper's network: ours with its classifier."""
        backbone = self.ours()
        if self.hidden:
            x = keras.layers.GlobalAveragePooling2D(keepdims=True)(backbone.output["P5"])
            x = ConvNormAct(kernel_size=1, **self.hidden)(x)
            backbone = keras.Model(backbone.input, x)
        return heads.attach(backbone, self.head(self.classes))

    def pixels(self, twin, images):
        """Return images from 0 to 255 as the twin takes them."""
        if self.preprocesses:
            return images
        module = sys.modules[getattr(keras.applications, self.twin).__module__]
        return module.preprocess_input(images.copy())


def images(side):
    """Return two images of noise, from 0 to 255."""
    return np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype("float32")


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
    if network.adds_layers:
        twin = network.fetched(side, path)
    ours = network.ours(side, weights=path)
    x = images(side)
    expected = pyramid(twin, list(ours.output)).predict(network.pixels(twin, x), verbose=0)
    actual = ours.predict(x, verbose=0)
    differences = {
        level: float(np.abs(actual[level] - expected[level]).max() / np.abs(expected[level]).max())
        for level in ours.output
    }
    return facts(ours), facts(twin), differences
