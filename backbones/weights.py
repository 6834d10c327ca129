"""Weights for a network: published ones, by `keras.applications`, or a file of yours."""

import os
import re
import zipfile
from pathlib import Path

from keras import layers

from backbones.leaves import leaves_of, set_leaf
from backbones.preprocessing import LAYER
from backbones.saved import read_saved

LEGACY = (".h5", ".hdf5")  # how keras.applications publishes
OWN = (".keras", ".weights.h5")


def check_weights(weights, input_shape, twin):
    """Raise, before anything is built, where `weights` cannot be had for such images.

    Args:
        weights: `None`, `"imagenet"`, or the path of a file.
        input_shape: `(height, width, channels)` of the network.
        twin: Function that builds the network of `keras.applications`, `None` if it has none.
    """
    if weights is None:
        return
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            '`weights` must be None, "imagenet" or the path of a file. '
            f"Received: weights={weights!r}."
        )
    if is_published(weights):
        if twin is None:
            raise ValueError(
                "keras.applications has no weights of this network. "
                f"Received: weights={str(weights)!r}. Give weights=None, or the path of a "
                f"{' or '.join(OWN)} file that a network of this library was saved to."
            )
        if input_shape[-1] != 3:
            raise ValueError(
                "Published weights take images of 3 channels. "
                f"Received: weights={str(weights)!r}, input_shape={tuple(input_shape)}. Give "
                "weights=None, or bring the image to 3 channels first, by keras.layers.Conv2D(3, "
                "1), or keras.layers.Concatenate()([gray] * 3)."
            )
    if weights != "imagenet":
        path = Path(weights)
        if not str(path).endswith(OWN + LEGACY):
            raise ValueError(
                f'`weights` must be None, "imagenet" or a {", ".join(OWN + LEGACY)} file. '
                f"Received: weights={str(weights)!r}."
            )
        if not path.is_file():
            raise ValueError(f"`weights` must be a file. Received: {str(path)!r}: there is none.")
        if not (zipfile.is_zipfile(path) if path.suffix == ".keras" else _is_hdf5(path)):
            raise ValueError(
                "`weights` must be a file that Keras wrote. "
                f"Received: {str(path)!r}, which is no whole {path.suffix} file."
            )


def _is_hdf5(path):
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def is_published(weights):
    """Return whether `weights` means those of `keras.applications`, by name or as a file."""
    name = "" if weights is None else str(weights)
    return name == "imagenet" or (name.endswith(LEGACY) and not name.endswith(OWN))


def wants_preprocessing(weights):
    """Return whether the weights were trained behind the preprocessing of this library."""
    if str(weights).endswith(".keras"):
        with zipfile.ZipFile(weights) as archive:
            return f'"name": "{LAYER}"' in archive.read("config.json").decode()
    return is_published(weights)


def filled(model, weights, twin=None, twin_layer=None, *, blue_first=False):
    """Return `model` with its weights.

    Args:
        model: A backbone, just built.
        weights: `None`, `"imagenet"`, or the path of a file: as `keras.applications` publishes
            them (`.h5`), a model that holds these layers (`.keras`), or what `save_weights` of
            this backbone wrote (`.weights.h5`).
        twin: Function from keyword arguments to the network of `keras.applications`.
        twin_layer: Function from the path of our layer (`"stage0_block1.conv1.conv"`) to the
            name of the twin's; the second of those that Keras named after their class is
            `"layer_normalization:1"`.
        blue_first: Whether the published weights read the channels in the order blue, green,
            red; where the model has preprocessing, its first kernel is turned round.

    Raises:
        ConnectionError: If the download fails.
        ValueError: If the weights are those of another network.
    """
    if weights is None:
        return model
    if not is_published(weights):
        read_saved(model, Path(weights))
        return model
    copy_twin(model, _published(twin, weights), twin_layer)
    if blue_first and has_preprocessing(model):
        turn_channels(model)
    return model


def has_preprocessing(model):
    """Return whether a network takes pixels from 0 to 255."""
    return any(layer.name == LAYER for layer in model.layers)


def turn_channels(model):
    """Turn round the order of the channels that the first kernel reads."""
    first = next(leaf for _, leaf in leaves_of(model) if hasattr(leaf, "kernel"))
    kernel, *rest = first.get_weights()
    first.set_weights([kernel[:, :, ::-1], *rest])


def copy_twin(model, twin, twin_layer):
    """Copy the weights of the network of `keras.applications`, layer by layer, shapes checked."""
    left = _named(twin)
    for path, leaf in leaves_of(model):
        name = twin_layer(path)
        if name not in left:
            raise ValueError(f"{twin.name} has no layer for {path!r}. Received: {name!r}.")
        set_leaf(leaf, left.pop(name).get_weights(), path, twin.name)
    left = [name for name, layer in left.items() if not isinstance(layer, layers.Normalization)]
    if left:  # preprocessing alone may be left out
        raise ValueError(f"{model.name} has no layers for {', '.join(left)} of {twin.name}.")


def _named(twin):
    """Return the layers that hold weights by name; those that Keras named, numbered from 0.

    Keras counts them through the process: `"normalization_12"` is `"normalization:0"` here.
    """
    named, unnamed = {}, {}
    for _, leaf in leaves_of(twin):
        kind = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(leaf).__name__).lower()
        if found := re.fullmatch(rf"{kind}(?:_(\d+))?", leaf.name):
            unnamed.setdefault(kind, {})[int(found[1] or 0)] = leaf
        else:
            named[leaf.name] = leaf
    for kind, numbered in unnamed.items():
        named |= {f"{kind}:{i}": numbered[number] for i, number in enumerate(sorted(numbered))}
    return named


def _published(twin, weights):
    if weights == "imagenet":
        try:
            return twin(weights="imagenet", include_top=False, input_shape=(224, 224, 3))
        except ValueError as error:  # such as a width for which nothing was published
            raise ValueError(f"keras.applications says: {error} Received: 'imagenet'.") from error
        except Exception as error:  # Keras raises whatever the network gave
            raise ConnectionError(
                f"The published weights could not be downloaded: {error}\nGo on with weights=None, "
                "or fetch that file elsewhere and give its path: weights='….h5'."
            ) from error
    said = []
    for top in (False, True):  # both kinds of file are published
        shape = {} if top else {"input_shape": (224, 224, 3)}
        network = twin(weights=None, include_top=top, **shape)
        try:
            network.load_weights(weights)
            return network if not top else _without_top(twin, network)
        except (ValueError, OSError) as error:
            said.append(str(error).splitlines()[0])
    raise ValueError(
        f"The file must hold the weights of {network.name}, as keras.applications publishes them. "
        f"Received: {str(weights)!r}, which Keras cannot read so: {said[0]}"
    )


def _without_top(twin, whole):
    network = twin(weights=None, include_top=False, input_shape=(224, 224, 3))
    for (_, layer), (_, same) in zip(leaves_of(network), leaves_of(whole)):  # the top is last
        layer.set_weights(same.get_weights())
    return network
