"""Weights of a model that was saved: as a `.keras` file, or as its `.weights.h5`."""

import keras

from backbones.leaves import leaves_of, set_leaf
from backbones.preprocessing import LAYER
from blocks.graph import graph_of, nodes_between


def read_saved(model, path):
    """Copy the weights of a file, a `pathlib.Path`, of a network with the same layers."""
    try:
        if path.suffix == ".keras":
            _copy_by_name(model, _load(path))
        else:
            model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"The file must hold the weights of {model.name} with the same sizes. "
            f"Received: {str(path)!r}. {error}"
        ) from error


def _load(path):
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # whatever an unknown or broken file leads to
        raise ValueError(
            f"`weights` must be a file that Keras can load. Received: {str(path)!r}. {error}"
        ) from error


def _copy_by_name(model, source):
    """Copy from a model that holds the same layers, with a head or nested or as it is."""
    wanted = leaves_of(model)
    missing = wanted[0][0]
    for holder in source._flatten_layers():
        given = dict(leaves_of(holder)) if isinstance(holder, keras.Model) else {}
        absent = [path for path, _ in wanted if path not in given]
        if not absent:
            break
        missing = absent[0] if given.keys() & {path for path, _ in wanted} else missing
    else:
        raise ValueError(f"There is no layer {missing!r} in it.")
    more = [path for path in _on_the_way(holder, dict(wanted)) if not path.startswith(LAYER)]
    if more:
        raise ValueError(f"It is a larger network: {model.name} has no layer {more[0]!r}.")
    for path, leaf in wanted:
        set_leaf(leaf, given[path].get_weights(), path, source.name)


def _on_the_way(model, paths):
    """Return the other layers with weights through which one of `paths` is reached."""
    graph = graph_of(model)
    if graph is None:
        return []
    tops = {path.split(".")[0] for path in paths}
    nodes = [x for x in nodes_between(graph.outputs, ()) if x.operation.name in tops]
    ends = [x for node in nodes for x in node.outputs]
    names = {node.operation.name for node in nodes_between(ends, ())}
    return [path for path, _ in leaves_of(model) if path.split(".")[0] in names - tops]
