"""What every block shares: one base class, one registration, two tables of names."""

import functools
import math

import keras
import numpy as np
from keras import layers

register = keras.saving.register_keras_serializable("keras_blocks")


class PlainArguments:
    """Lets Keras write `get_config` from constructor arguments, which must be plain data."""

    def __new__(cls, *args, **kwargs):
        for value in keras.tree.flatten((args, kwargs)):
            if isinstance(value, np.generic) or hasattr(value, "shape"):
                plain = np.asarray(value).tolist()
                raise ValueError(
                    "Arguments of a layer are plain Python data, so that it can be saved. "
                    f"Received: {value!r} for {cls.__name__}. Write {plain!r}."
                )
        if isinstance(kwargs.get("dtype"), keras.DTypePolicy):  # sublayers get it as an object
            kwargs = {**kwargs, "dtype": kwargs["dtype"].name}
        return super().__new__(cls, *args, **kwargs)


class Block(PlainArguments, layers.Layer):
    """A layer made of layers.

    A subclass creates its sublayers in `__init__` and connects them in `call`.
    Running `call` once on symbolic tensors builds the sublayers and gives the
    output shape. Sublayers that depend on the input's shape are created in `build`,
    before `super().build(input_shape)`.

    `call` takes one argument, a tensor or a list or dict of tensors, and uses
    layers and `keras.ops` only; sizes may be `None` in it. Constructor arguments are
    plain data (numbers, strings, booleans, `None`, and sequences of them), so Keras
    writes `get_config`. Give every sublayer `name=` and `dtype=self.dtype_policy`.
    The channels are always the last axis.

    Raises:
        ValueError: If an argument is a NumPy number, or channels first are asked for.

    >>> class Twice(Block):
    ...     def __init__(self, units, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.dense = layers.Dense(units, dtype=self.dtype_policy, name="dense")
    ...
    ...     def call(self, x):
    ...         return 2 * self.dense(x)
    >>> Twice(3)(np.ones((1, 4))).shape
    (1, 3)
    """

    def __init__(self, **kwargs):
        asked = kwargs.pop("data_format", None) or keras.config.image_data_format()
        if asked != "channels_last":
            raise ValueError(
                "Blocks take the channels on the last axis, as mobile runtimes do. "
                f"Received: data_format={asked!r}. Move the channels with keras.layers.Permute, "
                'and call keras.config.set_image_data_format("channels_last").'
            )
        super().__init__(**kwargs)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _with_known_channels(cls.build)

    def build(self, input_shape):
        check_channels(input_shape)
        self.call(self._symbolic(input_shape))

    def compute_output_shape(self, input_shape):
        if not self.built:
            self.build(input_shape)
        outputs = self.call(self._symbolic(input_shape))
        return keras.tree.map_structure(lambda x: x.shape, outputs)

    def compute_output_spec(self, *args, **kwargs):
        outputs = self.call(*args, **kwargs)
        return keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), outputs)

    def _symbolic(self, input_shape):
        return keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor(shape, self.compute_dtype), input_shape
        )


def _with_known_channels(build):
    @functools.wraps(build)
    def checked(self, input_shape):
        check_channels(input_shape)
        build(self, input_shape)

    return checked


def check_channels(input_shape):
    """Raise where the last axis of a shape, or of a list or dict of them, is open."""

    def check(shape):
        if len(shape) > 1 and shape[-1] is None:
            raise ValueError(
                "The channels, the last axis, must be known before weights can be made. "
                f"Received: input_shape={input_shape}."
            )

    keras.tree.map_shape_structure(check, input_shape)


NORMS = {
    "batch": layers.BatchNormalization,
    "layer": layers.LayerNormalization,
    "group": layers.GroupNormalization,
    "rms": layers.RMSNormalization,
    "none": layers.Identity,
}


def make_norm(norm, channels, *, name="norm", **kwargs):
    """Return a normalization layer.

    Args:
        norm: `"batch"`, `"layer"`, `"group"`, `"rms"` or `"none"`, or a dict of one of them
            as `"type"` and the layer's own arguments: `{"type": "batch", "epsilon": 1e-5}`.
        channels: Number of channels it will see. Group normalization makes as many groups
            as divide both them and 32, the number of its paper.
        name: Name of the layer.
        **kwargs: Further arguments of the layer, such as `dtype`.
    """
    options = dict(norm) if isinstance(norm, dict) else {"type": norm}
    kind = options.pop("type", None)
    if not isinstance(kind, str) or kind not in NORMS or "name" in options:
        raise ValueError(f"`norm` must be one of {sorted(NORMS)}. Received: norm={norm!r}.")
    if kind == "group":
        options.setdefault("groups", math.gcd(32, channels))
    return NORMS[kind](name=name, **options, **kwargs)


def has_norm(norm):
    """Return whether `norm`, as `make_norm` takes it, normalizes: a bias before it is idle."""
    return norm not in ("none", {"type": "none"})


@register
class ChannelPReLU(layers.PReLU):
    """Keras's PReLU with one slope for each channel, at any number of sides.

    Shape: `(batch, *sides, channels)` to the same.

    >>> ChannelPReLU()(np.ones((1, 8, 8, 3))).shape
    (1, 8, 8, 3)
    """

    def build(self, input_shape):
        self.shared_axes = list(range(1, len(input_shape) - 1))
        super().build(input_shape)


def make_activation(activation, *, name="act", **kwargs):
    """Return the layer of an activation.

    Args:
        activation: The name of one of `keras.activations`, or `"prelu"`, which learns the slope
            of every channel below zero; `None` is none.
        name: Name of the layer.
        **kwargs: Further arguments of the layer, such as `dtype`.
    """
    if activation == "prelu":
        start = keras.initializers.Constant(0.25)  # its paper's, arXiv 1502.01852
        return ChannelPReLU(start, name=name, **kwargs)
    try:
        if not isinstance(activation, str | None):
            raise ValueError
        keras.activations.get(activation)
    except ValueError:
        raise ValueError(
            "`activation` must be the name of one of keras.activations, or 'prelu'. "
            f"Received: activation={activation!r}."
        ) from None
    if activation in (None, "linear"):
        return layers.Identity(name=name, **kwargs)
    return layers.Activation(activation, name=name, **kwargs)


def check_positive(**values):
    """Raise where a value is no whole number above zero."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(
                f"`{name}` must be a whole number above zero. Received: {name}={value!r}."
            )


def check_sides(rank, **values):
    """Raise where a value is neither a whole number above zero nor one for each side."""
    for name, value in values.items():
        if isinstance(value, (list, tuple)) and len(value) != rank:
            raise ValueError(
                f"`{name}` must be a number, or one for each of {rank} sides. "
                f"Received: {name}={value!r}."
            )
        for number in value if isinstance(value, (list, tuple)) else [value]:
            check_positive(**{name: number})


def check_above_zero(**values):
    """Raise where a value is no finite number above zero."""
    for name, value in values.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value < math.inf:
            raise ValueError(f"`{name}` must be above 0. Received: {name}={value!r}.")


def check_rate(**values):
    """Raise where a value is no share: at least 0 and below 1."""
    for name, value in values.items():
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(f"`{name}` must lie in [0, 1). Received: {name}={value!r}.")
