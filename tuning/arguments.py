"""The arguments of what is made, as a table of choices."""

import inspect

import keras

from tuning.tables import check_names, choose, size

OF_LAYERS = ("name", "dtype", "trainable")


def space_of(make, **offered):
    """Return a function from hyperparameters to what a class or function makes of them.

    For a space of one's own: of any block, head, backbone or layer of Keras, whose arguments
    are offered as `tuning.choose` takes them. Wrong names are told at once and not in a search.

    Args:
        make: A class, such as `blocks.ResidualBlock`, or a function, such as `backbones.mlp`.
        **offered: What is offered for each of its arguments.

    Returns:
        A function of `hp`, a prefix for the names of hyperparameters, and further arguments of
        `make`, which stand as they are. Its attribute `size` is the number of configurations,
        `None` if a range is continuous.

    Raises:
        ValueError: If `make` has no argument of a name, or a list or range offers nothing.

    >>> import blocks, keras_tuner
    >>> block = space_of(blocks.ResidualBlock, filters=[16, 32], kernel_size=[3, 5])
    >>> made = block(keras_tuner.HyperParameters(), "stem_", strides=2)
    >>> made(keras.Input((8, 8, 3))).shape, block.size
    ((None, 4, 4, 16), 4)
    """
    names = arguments(make)
    check_names(make.__name__, offered, names)
    count = size(offered)

    def build(hp, prefix="", **given):
        check_names(make.__name__, given, names)
        return make(**{**choose(hp, offered, prefix), **given})

    build.size = count
    return build


def arguments(make):
    """Return the names of the arguments that a class or function takes.

    >>> arguments(keras.layers.Rescaling)
    ['scale', 'offset', 'name', 'dtype', 'trainable']
    """
    is_class = inspect.isclass(make)
    parameters = inspect.signature(make.__init__ if is_class else make).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = names[1:] if is_class else names
    if is_class and issubclass(make, keras.layers.Layer):
        names += [name for name in OF_LAYERS if name not in names]
    return names
