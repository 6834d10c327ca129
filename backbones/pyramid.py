"""Any network as a feature pyramid: the last tensor of every stride."""

import keras

from backbones.stages import stage_ends
from blocks.graph import dotted, graph_of, nodes_between, path_of, trace


def pyramid(model, levels=None, *, name=None):
    """Return a network's feature maps by level: `{"P2": …, "P3": …, "P4": …, "P5": …}`.

    Strides are counted along the graph, so padding does not mislead: of 'valid' convolutions
    the maps are as they are (54 and 52 of 224). A level is the output of the last block of
    its stage: what the next block pads, widens or normalizes for itself comes after it.
    The layers, with their weights, are the given model's, unless a level lies inside of a
    layer made of layers: then all of them are copies.

    Args:
        model: A functional or built `Sequential` `keras.Model` from images: any vision
            network of `keras.applications`, a KerasHub backbone, your own.
        levels: The levels wanted, as `["P3", "P5"]`; by default all from `"P2"` on. Or a
            dict from level to the name of the layer whose output it is, if you know better;
            layers within layers are named by their path, as `blocks.flatten` does.
        name: Name of the new model; by default the given one's.

    Returns:
        A functional `keras.Model` with the inputs of `model` and a dict of feature maps by
        level, level `"Pn"` having a stride of `2**n`.

    Raises:
        ValueError: If the model is subclassed, or has no such level.

    >>> app = keras.applications.MobileNetV2(weights=None, input_shape=(224, 224, 3))
    >>> {level: x.shape[1] for level, x in pyramid(app).output.items()}
    {'P2': 56, 'P3': 28, 'P4': 14, 'P5': 7}
    """
    flat, copies, copy_weights = trace(model)
    if isinstance(levels, dict):
        found = {level: _named(model, flat, copies, layer) for level, layer in levels.items()}
    else:
        found = _choose(stage_ends(nodes_between(flat.outputs, ())), levels, model)
    graph = graph_of(model)
    originals = {
        id(copies[id(x)]): x for node in nodes_between(graph.outputs, ()) for x in node.outputs
    }
    if all(id(x) in originals for x in found.values()):
        found = {level: originals[id(x)] for level, x in found.items()}
        return keras.Model(graph._inputs_struct, found, name=name or model.name)
    copy_weights()
    return keras.Model(flat.input, found, name=name or model.name)


def _named(model, flat, copies, layer):
    for node in nodes_between(graph_of(model).outputs, ()):
        if node.operation.name == layer:
            return copies[id(node.outputs[0])]
    names = {path_of(each): each for each in flat.layers}
    if dotted(str(layer)) not in names:
        like = [name for name in names if str(layer) in name][:5] or [*names][-5:]
        raise ValueError(
            "A level must name a layer of the model. "
            f"Received: {layer!r}. There are, among others: {', '.join(like)}."
        )
    return names[dotted(layer)].output


def _choose(found, levels, model):
    wanted = [level for level in found if int(level[1:]) >= 2] if levels is None else list(levels)
    if not wanted:
        raise ValueError(
            "A pyramid needs maps, (batch, height, width, channels), of stride 4 or more. "
            f"Received: model {model.name!r} with the strides "
            f"{[2 ** int(level[1:]) for level in found] or 'of no map at all'}."
        )
    if missing := [level for level in wanted if level not in found]:
        raise ValueError(
            f"The model has the levels {', '.join(found)}. Received: levels={wanted}, "
            f"of which there is no {', '.join(map(str, missing))}."
        )
    return {level: found[level] for level in wanted}
