"""Backbones and heads as one model, and the heads of a model found again."""

import keras

from blocks.graph import graph_of, nodes_between
from heads.base import Head


def attach(backbone, head, *, name=None):
    """Return a plain `keras.Model` from the backbone's inputs to the raw output of a head.

    Several heads train at once: `model.compile(optimizer, loss=heads.losses(model),
    metrics=heads.metrics(model), loss_weights={"kind": 1.0, "age": 0.1})` with targets as a
    dict by the same names.

    Args:
        backbone: A functional or built `Sequential` `keras.Model`. Its output is a dict of
            features by level (`"P3"`, `"tokens"`, …), or a tensor, which is then the one
            feature. The layers are shared, not copied.
        head: A `heads.Head`, or a dict of them by the names of their outputs.
        name: Name of the model; by default the backbone's.

    Returns:
        A functional `keras.Model`, whose output is a tensor for a head and a dict for a dict.

    Raises:
        ValueError: If the backbone is subclassed or lacks a level, or a head is none or is
            part of a model already.

    >>> image = keras.Input((32, 32, 3))
    >>> backbone = keras.Model(image, keras.layers.Conv2D(8, 3, strides=4)(image))
    >>> from heads import ClassificationHead
    >>> attach(backbone, ClassificationHead(10)).output_shape
    (None, 10)
    """
    graph = functional_graph(backbone)
    features = _features(graph)
    _check_heads(head)
    features = _with_image(features, graph, head)
    outputs = (
        {key: each(_choose(features, each)) for key, each in head.items()}
        if isinstance(head, dict)
        else head(_choose(features, head))
    )
    return keras.Model(graph._inputs_struct, outputs, name=name or backbone.name)


def losses(model):
    """Return the losses of a model's heads, as `compile` takes them: one, or a dict by output.

    >>> from heads import RegressionHead
    >>> x = keras.Input((4,))
    >>> losses(keras.Model(x, {"age": RegressionHead()(x)}))["age"].kind
    'mse'
    """
    return _like_outputs(model, lambda head: head.loss())


def metrics(model):
    """Return the metrics of a model's heads, as `compile` takes them: a list, or a dict of such.

    >>> from heads import RegressionHead
    >>> x = keras.Input((4,))
    >>> [metric.name for metric in metrics(keras.Model(x, RegressionHead()(x)))]
    ['mae', 'rmse', 'r2']
    """
    return _like_outputs(model, lambda head: head.metrics())


def heads_of(model):
    """Return the heads of a model by name: the key of its output, or else its own name.

    Heads inside of nested models are found too.

    Raises:
        ValueError: If the model is subclassed or has no head, or two heads have one name.
    """
    graph = functional_graph(model)
    found = dict(ends_of(graph))
    if isinstance(graph._outputs_struct, dict):  # Keras sorts what it flattens
        found = {key: found[key] for key in graph._outputs_struct if key in found}
    if not found:
        raise ValueError(
            "A model made by heads.attach is needed. "
            f"Received: {model.name!r}, which has no head among its {len(model.layers)} layers."
        )
    return found


def inputs_of(tensors):
    """Return the inputs that symbolic tensors, of any structure, are computed from."""
    nodes = nodes_between(keras.tree.flatten(tensors), ())
    is_input = keras.layers.InputLayer
    return [node.outputs[0] for node in nodes if isinstance(node.operation, is_input)]


def ends_of(graph):
    """Return the name and the head of each output of a graph, as they go.

    The name is the output's key, or else what the head is called where it was attached.

    Raises:
        ValueError: If outputs are not those of heads, each once, or two have one name.
    """
    outputs = graph._outputs_struct
    keys = {id(x): key for key, x in outputs.items()} if isinstance(outputs, dict) else {}
    nodes = [node for node in nodes_between(graph.outputs, ()) if _has_head(node.operation)]
    if not nodes:
        return []
    if {id(x) for node in nodes for x in node.outputs} != {id(x) for x in graph.outputs}:
        made = [x._keras_history.operation.name for x in graph.outputs]
        raise ValueError(
            "The outputs of a model must be those of its heads, each once, with nothing behind "
            f"or beside them. Received: a model that ends in {', '.join(made)}, with the heads "
            f"{', '.join(node.operation.name for node in nodes)}. A model that was deployed "
            "answers already."
        )
    ends = [(keys.get(id(x), name), head) for x, (name, head) in zip(graph.outputs, _ends(graph))]
    names = [name for name, _ in ends]
    if len(set(names)) < len(names):
        raise ValueError(
            f"Each head of a model has a name of its own. Received: {', '.join(names)}. Name the "
            'outputs: keras.Model(inputs, {"left": …, "right": …}).'
        )
    return ends


def _ends(graph):
    """Yield the name and the head behind each output of a graph."""
    for x in graph.outputs:
        operation, _, place = x._keras_history
        if isinstance(operation, Head):
            yield operation.ends()[place]
        else:
            yield ends_of(functional_graph(operation))[place]


def answers_by_name(model):
    """Return whether a model's outputs are named, as those of several heads are."""
    return isinstance(functional_graph(model)._outputs_struct, dict) or len(heads_of(model)) > 1


def _like_outputs(model, make):
    made = {name: make(head) for name, head in heads_of(model).items()}
    return made if answers_by_name(model) else next(iter(made.values()))


def _has_head(operation):
    """Return whether an operation is a head, or a model that holds one."""
    return isinstance(operation, Head) or (
        isinstance(operation, keras.Model)
        and any(isinstance(layer, Head) for layer in operation._flatten_layers(include_self=False))
    )


def functional_graph(model):
    """Return the graph of a functional model; raise if there is none."""
    graph = graph_of(model) if isinstance(model, keras.Model) else None
    if graph is None:
        raise ValueError(
            "A functional keras.Model or a built Sequential is needed. "
            f"Received: {model!r}. Write it with keras.Input and keras.Model(inputs, outputs)."
        )
    return graph


def _check_heads(head):
    heads = list(head.values()) if isinstance(head, dict) else [head]
    if not heads or not all(isinstance(each, Head) for each in heads):
        raise ValueError(
            f"`head` must be a heads.Head, or a dict with at least one of them. Received: {head!r}."
        )
    if isinstance(head, dict) and not all(isinstance(key, str) and key for key in head):
        raise ValueError(f"Heads are named by strings. Received: {list(head)}.")
    if isinstance(head, dict) and any(len(each.ends()) > 1 for each in heads):
        raise ValueError(
            "A head of several tasks stands alone: heads.attach(backbone, head). "
            f"Received: a dict of {', '.join(type(each).__name__ for each in heads)}."
        )
    for i, each in enumerate(heads):
        if each._inbound_nodes or any(each is other for other in heads[:i]):
            raise ValueError(
                "A head belongs to one model and one output. "
                f"Received: {each.name!r}, which is in use. Make a new head."
            )


def _features(graph):
    outputs = graph._outputs_struct
    if isinstance(outputs, keras.KerasTensor):
        return {"": outputs}
    if isinstance(outputs, dict) and outputs:
        return outputs
    raise ValueError(
        "A backbone gives one tensor, or a dict of features by level. "
        f"Received: {type(outputs).__name__} of {len(outputs)} outputs. Make it a dict: "
        'keras.Model(inputs, {"P4": x, "P5": y}), or see backbones.pyramid.'
    )


def _with_image(features, graph, head):
    """Return the features, and the backbone's one input as `"image"` where a head names it."""
    heads = head.values() if isinstance(head, dict) else [head]
    if "image" in features or not any("image" in (each.levels or ()) for each in heads):
        return features
    if len(graph.inputs) > 1:
        raise ValueError(
            "A head that answers at the size of the image needs a backbone of one input, or "
            '"image" among its outputs. '
            f"Received: {len(graph.inputs)} inputs, {', '.join(x.name for x in graph.inputs)}."
        )
    return {**features, "image": graph.inputs[0]}


def _choose(features, head):
    if head.levels is None:
        return features[_coarsest(features)]
    missing = [level for level in head.levels if level not in features]
    if missing:
        raise ValueError(
            f"{type(head).__name__} takes the levels {', '.join(head.levels)}, but there is no "
            f"{', '.join(missing)}. Received: a backbone that gives "
            f"{', '.join(features) or 'one tensor; backbones.pyramid finds its levels'}."
        )
    return {level: features[level] for level in head.levels}


def _coarsest(features):
    """Return the level with the fewest positions: the lowest rank, then the largest stride."""
    strides = {x: int(x[1:]) if x[:1] == "P" and x[1:].isdigit() else 0 for x in features}
    order = sorted(features, key=lambda level: (len(features[level].shape), -strides[level]))
    ties = [
        level
        for level in order
        if strides[level] == strides[order[0]]
        and len(features[level].shape) == len(features[order[0]].shape)
    ]
    if len(ties) > 1:
        raise ValueError(
            "A head without `levels` takes the coarsest feature. "
            f"Received: {' and '.join(ties)}, of which neither is coarser. Attach it to "
            "keras.Model(backbone.inputs, …) with one of them as output."
        )
    return order[0]
