"""Operations made again: of the same configuration, by another name."""

import inspect
import warnings

import keras
import numpy as np


def copied(operation, name):
    """Return an operation of the same configuration by a name, with fresh weights."""
    if isinstance(operation, keras.layers.Lambda):  # code that is in memory already
        return keras.layers.Lambda(
            operation.function,
            operation._output_shape,
            operation.mask,
            operation.arguments,
            name=name,
            dtype=operation.dtype_policy,
            trainable=operation.trainable,
        )
    if isinstance(operation, keras.Layer):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a lambda, which is in memory already
                config = {**operation.get_config(), "name": name}
            copy = type(operation).from_config(config | unregistered(operation, config))
        except Exception as error:  # whatever a configuration leads to
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise ValueError(
                "A layer is copied from its configuration. Received: "
                f"{operation.name!r} of type {type(operation).__name__}, of which no second can be "
                f"made: {said} … Register what it is made of: keras.saving."
                "register_keras_serializable."
            ) from error
        if operation.built and (first := operation.get_build_config()):
            copy.build_from_config(first)  # as loading does: a table may be as large as it was
        return copy
    copy = object.__new__(type(operation))  # a plain operation is its attributes
    vars(copy).update(vars(operation), name=name, _inbound_nodes=[], _outbound_nodes=[])
    return copy


def unregistered(layer, config):
    """Return the arguments of a layer that are functions no name leads to: they are in memory."""
    found = {key: getattr(layer, key, None) for key in config}
    return {
        key: function
        for key, function in found.items()
        if inspect.isfunction(function)
        and not isinstance(config[key], str)
        and not keras.saving.get_registered_object(keras.saving.get_registered_name(function))
    }


def hand_on(old, new):
    """Give a copy of an operation what the operation holds, as saving and loading do."""
    if sublayers(old):
        new.set_weights([np.array(w) for w in old.get_weights()])
    elif isinstance(old, keras.Layer) and old.weights:
        store = {}
        old.save_own_variables(store)
        # Copies: JAX gives arrays of the original away when it trains or predicts.
        new.load_own_variables({key: np.array(value) for key, value in store.items()})


def sublayers(operation):
    """Return the layers that an operation is made of."""
    if not isinstance(operation, keras.Layer):
        return []
    return list(operation._flatten_layers(include_self=False))
