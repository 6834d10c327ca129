"""What `fit` itself can choose: the batch size, and augmentation."""

import math
import warnings

import keras
import keras_tuner

from tuning.augment import STRENGTHS, augmentation
from tuning.tables import choose, replaced, size

FIT = {"batch_size": [16, 32, 64, 128], "augmentation": "none"}


class FitSpace(keras_tuner.HyperModel):
    """A space whose trials choose a batch size and, of images, how strongly these are augmented.

    A `keras_tuner.HyperModel` for ParetoSearch and every tuner of KerasTuner, as a function from
    hyperparameters to a model says nothing about `fit`. `search` takes arrays or a
    `tf.data.Dataset` of batches, which are made anew, and what else `fit` takes. A schedule has
    other steps with each batch size: give its space a function,
    `steps=lambda batch: epochs * math.ceil(len(x) / batch)`.

    Args:
        space: Function from hyperparameters to a compiled model, such as `tuning.image_space`
            returns.
        choices: Table, as `choose` takes it, that replaces rows of `tuning.fit_space.FIT`:
            `"batch_size"`, and `"augmentation"`, the strengths of `tuning.augmentation`.
        **augment: Further arguments of `tuning.augmentation`, such as `value_range`.

    Attributes:
        size: The number of configurations; `None` if a range is continuous, or the space does not
            say its own.

    Raises:
        ValueError: If a name is unknown, a batch size is none, or there is no such strength.

    >>> import tuning
    >>> space = tuning.image_space((8, 8, 1), 10)
    >>> model = FitSpace(space, {"batch_size": [16, 32], "augmentation": ["none", "light"]})
    >>> model.size == 4 * space.size
    True
    """

    def __init__(self, space, choices=None, **augment):
        super().__init__()
        if not callable(space):
            raise ValueError(f"`space` must be a function of hp. Received: space={space!r}.")
        self.space, self.augment = space, augment
        self.table = replaced(FIT, choices)
        sizes, strengths = _offered(self.table["batch_size"]), _offered(self.table["augmentation"])
        if any(isinstance(x, bool) or not isinstance(x, int) or x < 1 for x in sizes):
            raise ValueError(
                f"A batch size is a whole number above zero. Received: batch_size={sizes}."
            )
        if any(not isinstance(x, str) or x not in STRENGTHS for x in strengths):
            raise ValueError(
                f"A strength is one of {', '.join(STRENGTHS)}. Received: augmentation={strengths}."
            )
        for strength in strengths:
            augmentation(strength, **augment)  # wrong arguments are told now
        own = getattr(space, "size", None)
        self.size = None if own is None else own * size(self.table)

    def build(self, hp):
        """Return the model of a configuration; see `keras_tuner.HyperModel.build`."""
        for name, value in choose(hp, self.table).items():
            if name not in hp:
                hp.Fixed(name, value)  # so that it stands among the values of a trial
        return self.space(hp)

    def fit(self, hp, model, x=None, y=None, **kwargs):
        """Train a model as its trial has chosen; see `keras_tuner.HyperModel.fit`."""
        if kwargs.get("batch_size") is not None:
            raise keras_tuner.errors.FatalValueError(
                "The batch size is a choice. "
                f"Received: batch_size={kwargs['batch_size']!r}. Offer it in `choices`."
            )
        batch, strength = hp.get("batch_size"), hp.get("augmentation")
        if y is not None and strength == "none":
            return model.fit(x, y, batch_size=batch, **kwargs)
        shuffle = kwargs.pop("shuffle", True)
        if y is None:
            dataset = _again(x, batch)
        else:
            arrays = [x, y]
            if (weights := kwargs.pop("sample_weight", None)) is not None:
                arrays.append(weights)
            if share := kwargs.pop("validation_split", None):
                arrays, kwargs["validation_data"] = _held_back(arrays, share)
            dataset = _batches(arrays, batch, shuffle)
        if strength != "none":
            _check(dataset)
            dataset = dataset.map(augmentation(strength, **self.augment))
        with warnings.catch_warnings():
            if kwargs.get("steps_per_epoch") is None:  # no one knows the number of new batches
                warnings.filterwarnings("ignore", "Your input ran out of data")
            return model.fit(dataset, shuffle=False, **kwargs)  # it is shuffled already


def _offered(row):
    if isinstance(row, tuple):
        return list(row[:2])
    return row if isinstance(row, list) else [row]


def _held_back(arrays, share):
    """Return arrays without their last rows, and those, as Keras divides them."""
    if not 0 < share < 1:
        raise keras_tuner.errors.FatalValueError(
            f"A share is between 0 and 1. Received: validation_split={share!r}."
        )
    most = math.floor(len(keras.tree.flatten(arrays)[0]) * (1 - share))
    first = keras.tree.map_structure(lambda a: a[:most], arrays)
    return first, tuple(keras.tree.map_structure(lambda a: a[most:], arrays))


def _batches(arrays, batch, shuffle):
    """Return arrays as a dataset of batches."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(tuple(arrays))
    rows = len(keras.tree.flatten(arrays)[0])
    return (dataset.shuffle(rows) if shuffle else dataset).batch(batch)


def _again(dataset, batch):
    """Return a dataset of batches in batches of another size."""
    if not hasattr(dataset, "rebatch"):
        raise keras_tuner.errors.FatalValueError(
            "A batch size can be chosen of arrays, or of a tf.data.Dataset of batches. "
            f"Received: {type(dataset).__name__}."
        )
    return dataset.rebatch(batch)


def _check(dataset):
    """Raise where augmentation would change images and leave their targets behind."""
    parts = dataset.element_spec
    shapes = [getattr(x, "shape", None) for x in parts[:2]] if isinstance(parts, tuple) else []
    if len(shapes) != 2 or None in shapes or len(shapes[0]) != 4 or len(shapes[1]) > 2:
        raise keras_tuner.errors.FatalValueError(
            "Images are augmented beside targets that stay what they are: class ids, or rows. "
            f"Received: {parts}. Leave augmentation='none', and augment in the dataset."
        )
