"""A user's network beside an item's."""

import keras

from blocks.graph import graph_of


def two_towers(user, item, *, name="two_towers"):
    """Return two networks as one: from the inputs of both to `{"user": …, "item": …}`.

    Args:
        user: A functional `keras.Model` of a user's inputs, with names; its output is a vector
            `(batch, channels)`, or a dict with `"features"`.
        item: Another, of an item's inputs, which have names of their own.
        name: Name of the model.

    Returns:
        A functional `keras.Model`, whose inputs are a dict by the names of both.

    Raises:
        ValueError: If a model is not functional, or inputs share a name.

    >>> user = keras.Sequential([keras.Input((5,), name="user"), keras.layers.Dense(8)])
    >>> item = keras.Sequential([keras.Input((3,), name="item"), keras.layers.Dense(8)])
    >>> sorted(two_towers(user, item).output)
    ['item', 'user']
    """
    outputs, inputs = {}, {}
    for key, tower in {"user": user, "item": item}.items():
        graph = graph_of(tower) if isinstance(tower, keras.Model) else None
        if graph is None:
            raise ValueError(f"A tower is a functional keras.Model. Received: {key}={tower!r}.")
        own = {x._keras_history.operation.name: x for x in graph.inputs}
        if shared := sorted(set(own) & set(inputs)):
            raise ValueError(
                "Inputs of the towers have names of their own. "
                f"Received: {', '.join(shared)} in both. Give keras.Input a `name`."
            )
        inputs |= own
        vector = graph._outputs_struct
        if isinstance(vector, dict):
            vector = vector.get("features")
        if not isinstance(vector, keras.KerasTensor) or len(vector.shape) != 2:
            raise ValueError(
                "A tower gives a vector, (batch, channels), alone or as 'features'. Received: "
                f"{key} with {graph._outputs_struct}."
            )
        outputs[key] = vector
    return keras.Model(inputs, outputs, name=name)
