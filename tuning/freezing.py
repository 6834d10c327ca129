"""Freezing: which layers keep what they learned."""

import difflib
import warnings

import keras

import heads
from backbones.stages import stage_ends
from blocks.graph import dotted, nodes_between, path_of, trace_layers


def freeze(model: keras.Model, up_to: str | None = None) -> list[str]:
    """Freeze a model from its inputs up to a level or a layer, and return what was frozen.

    A frozen layer keeps its weights; a frozen batch normalization keeps its statistics, too, and
    normalizes by them in training. Layers inside of blocks and of nested models are frozen one by
    one, so a stage is found wherever it lies. `unfreeze` undoes it.

    Keras fixes what it trains when it first trains: after that, compile again. A saved model keeps
    what is frozen of its own layers alone, not of the layers within its blocks: freeze again
    after loading.

    Args:
        model: A functional or built `Sequential` `keras.Model`.
        up_to: What is frozen with everything before it: a level (`"P3"`, as the model's output
            names it or else the end of the stage whose stride is 8), the name of a layer or of a
            nested model, or the path of a layer inside (`"stage1_block0.conv1"`). By default all
            but the heads.

    Returns:
        The paths of the layers with weights that are frozen now, inputs first.

    Raises:
        ValueError: If there is no such level or layer, or the model is subclassed.

    >>> import backbones
    >>> head = heads.ClassificationHead(10)
    >>> model = heads.attach(backbones.resnet((32, 32, 3), depth=18), head)
    >>> freeze(model, "P2")[-1], len(freeze(model)), len(model.trainable_variables)
    ('stage0_block1.conv2.norm', 40, 2)
    """
    found = frozen_layers(model, up_to)
    for _, layer in found:
        layer.trainable = False
    _say_to_compile(model)
    return [path for path, _ in found]


def unfreeze(model: keras.Model) -> None:
    """Make every layer of a model trainable, at any depth.

    `model.trainable = True` alone does not on TensorFlow, where the model itself is trainable
    already: Keras then sees nothing to set.

    Args:
        model: Any `keras.Model`. If it was trained before, compile it again.

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
    >>> freeze(model), len(model.trainable_variables)
    (['dense'], 0)
    >>> unfreeze(model)
    >>> len(model.trainable_variables)
    2
    """
    for layer in model._flatten_layers():
        layer.trainable = True
    _say_to_compile(model)


def _say_to_compile(model):
    if model.compiled and model.optimizer is not None and model.optimizer.built:
        warnings.warn(
            f"{model.name!r} was trained before, and Keras goes on to train what it trained then. "
            "Call model.compile(…) again.",
            stacklevel=3,
        )


def frozen_layers(model: keras.Model, up_to: str | None) -> list[tuple[str, keras.Layer]]:
    """Return paths and layers with weights that lie up to a level or layer; see `freeze`."""
    flat, originals = trace_layers(model)
    nodes = nodes_between(flat.outputs, ())
    if up_to is None:
        within = [x for x in model._flatten_layers() if isinstance(x, heads.Head)]
        apart = {id(x) for head in within for x in head._flatten_layers()}
        chosen = nodes
    else:
        apart = set()
        ends = _ends(model, flat, nodes, up_to)
        chosen = nodes_between(ends, ())
    found = {}
    for node in chosen:
        layer = originals.get(id(node.operation))
        if isinstance(layer, keras.Layer) and layer.weights and id(layer) not in apart:
            found[id(layer)] = path_of(node.operation), layer
    return list(found.values())


def levels_of(model: keras.Model) -> list[str]:
    """Return the names of a model's levels, finest first."""
    flat, _ = trace_layers(model)
    return list(levels_in(flat))


def levels_in(flat):
    """Return the tensors of a flat graph that end its levels, by name, finest first."""
    return _levels(flat, nodes_between(flat.outputs, ()))


def _levels(flat, nodes):
    outputs = flat._outputs_struct
    named = outputs if isinstance(outputs, dict) else {}
    levels = {x: named[x] for x in named if x[:1] == "P" and x[1:].isdigit()}
    return levels or stage_ends(nodes)


def _ends(model, flat, nodes, up_to):
    """Return the tensors of the flat graph at which a level or a layer ends."""
    named = flat._outputs_struct if isinstance(flat._outputs_struct, dict) else {}
    levels = {**_levels(flat, nodes), **named}
    if up_to in levels:
        return [levels[up_to]]
    inside = [n for n in nodes if _is_within(path_of(n.operation), up_to)]
    if inside:
        return [x for node in inside for x in node.outputs]
    paths = [path_of(n.operation) for n in nodes]
    names = {path.rsplit(".", i)[0] for path in paths for i in range(path.count(".") + 1)}
    near = difflib.get_close_matches(str(up_to), sorted(names), n=5, cutoff=0.4)
    raise ValueError(
        f"`up_to` must be a level or a layer of {model.name!r}. Received: up_to={up_to!r}. "
        f"There are the levels {', '.join(levels) or '(none)'}, and layers such as "
        f"{', '.join(near or [path.split('.')[0] for path in paths[1:6]])}."
    )


def _is_within(path, up_to):
    within = isinstance(up_to, str) and dotted(up_to)
    return within and (path == within or path.startswith(f"{within}."))
