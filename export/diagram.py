"""A network as boxes and lines: plain data for a page."""

from blocks.graph import path_of
from export import signature

MOST = 60  # boxes; longer runs of a network are drawn as one


def diagram(model):
    """Return the nodes and edges of a model, as `describe` draws them.

    A node is a layer or block of the model as it was built, with its kind, output shape and
    parameters. Operations without weights between two others are left out; of a network of more
    than some 60 nodes, those that follow each other in a line are one.

    Args:
        model: A functional or `Sequential` `keras.Model`.

    Returns:
        `{"nodes": [{"name", "depth", "text"}, …], "edges": [(name, name), …]}`.

    >>> import keras
    >>> image = keras.Input((8, 8, 3), name="image")
    >>> drawn = diagram(keras.Model(image, keras.layers.Conv2D(4, 3, name="stem")(image)))
    >>> [node["name"] for node in drawn["nodes"]], drawn["edges"]
    (['image', 'stem'], [('image', 'stem')])
    """
    graph = signature.graph_of(model)
    texts, before = {}, {}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            operation, name = node.operation, path_of(node.operation)
            texts[name] = _text(operation, node)
            parents = [path_of(parent.operation) for parent in node.parent_nodes]
            before[name] = list(dict.fromkeys(before.get(name, []) + parents))
    merge = len(texts) > MOST
    kept, name_of = {}, {}
    for name, text in texts.items():
        parents = list(dict.fromkeys(name_of[x] for x in before[name]))
        if merge and len(parents) == 1 and _alone(name, before) and len(kept) > 1:
            name_of[name] = parents[0]
            kept[parents[0]]["more"] += 1
            continue
        name_of[name] = name
        depth = 1 + max((kept[x]["depth"] for x in parents), default=-1)
        kept[name] = {"name": name, "depth": depth, "text": text, "parents": parents, "more": 0}
    edges = [(parent, name) for name, node in kept.items() for parent in node.pop("parents")]
    for node in kept.values():
        more = node.pop("more")
        node["text"] += f" … and {more} more" if more else ""
    return {"nodes": list(kept.values()), "edges": edges}


def _alone(name, before):
    """Return whether the one parent of a node has no other child."""
    (parent,) = before[name]
    return sum(parent in parents for parents in before.values()) == 1


def _text(operation, node):
    shapes = " ".join(str(tuple(x.shape[1:])) for x in node.outputs)
    params = operation.count_params() if hasattr(operation, "count_params") else 0
    kind = type(operation).__name__
    return f"{path_of(operation)}: {kind} {shapes}" + (f", {params:,} params" if params else "")
