"""The model that answers."""

import functools

import keras
import numpy as np
from keras import layers, tree

from blocks.graph import nodes_between
from heads.base import Head
from heads.graph import answers_by_name, ends_of, functional_graph, heads_of, inputs_of
from heads.targets import as_arrays, batches_of


def deploy(model, **options):
    """Return the model that answers: probabilities, values, boxes, not raw outputs.

    It has the inputs of `model`, but for those that only training needs, and shares its layers,
    so training `model` on changes it too.
    It saves, loads and exports as any functional model, options included.

    Args:
        model: A model with heads, made by `heads.attach`, also after saving and loading, and
            also as a part of another functional model.
        **options: Options of the heads' decoders, such as `threshold=0.3`. Of several heads
            those that know an option take it; `kind={"threshold": 0.3}` is for head `kind`.

    Returns:
        A functional `keras.Model`. Of one head with one answer the output is a tensor, made by
        a layer called as the answer is; else it is a dict of tensors by name: `"labels"`, and
        of several heads `"kind"`, or `"kind_labels"` where a head gives several.

    Raises:
        ValueError: If the model has no head, or no head knows an option.

    >>> from heads import ClassificationHead, attach
    >>> x = keras.Input((8,))
    >>> model = attach(keras.Model(x, x), ClassificationHead(2))
    >>> sorted(deploy(model, threshold=0.3).output)
    ['labels', 'probabilities']
    """
    graph = functional_graph(model)
    chosen = _sort_options(heads_of(model), options)
    names = [name for name, _ in ends_of(graph)]
    made = dict(zip(names, _answers(graph, [chosen[name] for name in names])))
    answers = {name: made[name] for name in chosen}
    by_name = answers_by_name(model)
    named = _flat(answers) if by_name else next(iter(answers.values()))
    taken = {node.operation.name for node in nodes_between(tree.flatten(named), ())}
    outputs = _call_outputs(named, taken | {layer.name for layer in model.layers})
    if not by_name and len(outputs) == 1:
        (outputs,) = outputs.values()
    return keras.Model(_inputs(graph, outputs), outputs, name=model.name)


def _inputs(graph, outputs):
    """Return the inputs that answers need: those of the model, but for what training alone takes.

    What an answer needs besides is an input of its own, by its name.
    """
    needed = {id(x): x for x in inputs_of(outputs)}
    own = {id(x) for x in graph.inputs}
    if set(needed) == own:
        return graph._inputs_struct
    names = dict(zip(_names(graph), graph.inputs))
    kept = {name: x for name, x in names.items() if id(x) in needed}
    more = {x.name: x for key, x in needed.items() if key not in own}
    return {**kept, **more}


def _names(graph):
    """Return the names by which a model is given its inputs."""
    return [
        path[0] if len(path) == 1 and isinstance(path[0], str) else x._keras_history.operation.name
        for path, x in tree.flatten_with_path(graph._inputs_struct)
    ]


def _answers(graph, options):
    """Return for each output of a graph a dict of its named answers, on the graph's own inputs.

    Args:
        graph: A functional model that ends in heads, or in models that do.
        options: Options of each output, in their order.
    """
    made, answers = {}, []
    for x in graph.outputs:
        operation, index, place = x._keras_history
        if (operation, index) not in made:
            node = operation._inbound_nodes[index]
            features = node.arguments.args[0]
            own = {
                y._keras_history.tensor_index: chosen
                for y, chosen in zip(graph.outputs, options)
                if y._keras_history[:2] == (operation, index)
            }
            inner = [own[i] for i in range(len(node.outputs))]
            if isinstance(operation, Head):
                made[operation, index] = operation.answers(features, inner)
            else:
                made[operation, index] = _inside(operation, inner, made)(features)
        answers.append(made[operation, index][place])
    return answers


def _inside(model, options, made):
    """Return the model that answers for a nested one, the same for the same options."""
    key = "inside", id(model), repr(options)
    if key not in made:
        graph, count = functional_graph(model), sum(x[0] == "inside" for x in made)
        name = f"{model.name}_{count}" if count else model.name
        answers = _answers(graph, options)
        if {id(x) for x in inputs_of(answers)} != {id(x) for x in graph.inputs}:
            raise ValueError(
                "A head whose answer takes other inputs than its model cannot be inside of another "
                f"model. Received: {model.name!r}. Deploy that one, or leave out the options."
            )
        made[key] = keras.Model(graph._inputs_struct, answers, name=name)
    return made[key]


def _flat(answers):
    """Return the answers of several heads as one dict."""
    flat = {}
    for name, answer in answers.items():
        for key, x in answer.items():
            flat[name if len(answer) == 1 else f"{name}_{key}"] = x
    return flat


def _call_outputs(outputs, taken):
    """Return the outputs, each made by a layer that is called as it is, for files and reports."""
    named = {}
    for key, x in outputs.items():
        name = key
        while name in taken:
            name += "_answer"
        named[key] = layers.Identity(dtype="float32", name=name)(x)
    return named


def _sort_options(heads, options):
    known = {name: head.options() for name, head in heads.items()}
    chosen = {name: {} for name in heads}
    for option, value in options.items():
        if option in heads and isinstance(value, dict):
            given = [(option, each, x) for each, x in value.items()]
        else:
            given = [(name, option, value) for name in heads if option in known[name]]
        if not given or any(each not in known[name] for name, each, _ in given):
            options_of = ", ".join(f"{n}: {', '.join(k) or 'none'}" for n, k in known.items())
            raise ValueError(
                f"The options of this model's heads are: {options_of}. "
                f"Received: {option}={value!r}."
            )
        for name, each, x in given:
            chosen[name][each] = x
    return chosen


def predicted(answer, data):
    """Return a deployed model's (first) answers and the targets, in one order.

    Args:
        answer: A model with answers as outputs.
        data: `(inputs, targets)` or a data set of such batches.
    """
    predict = answer.predict_on_batch
    if isinstance(data, tuple):
        predict = functools.partial(answer.predict, verbose=0)
    rows = [(predict(x), as_arrays(y)) for x, y, *_ in batches_of(data)]
    flat = [[tree.flatten(part)[0] for part in row] for row in rows]
    return tuple(np.concatenate(part) for part in zip(*flat))
