"""A Keras model as a SavedModel of batch 1 with named inputs and outputs (TensorFlow backend)."""

from export import signature

LOOPS = ("While", "StatelessWhile")


def write(model, folder, input_shape=None):
    """Write `model` to `folder`; return the names of the loops in its graph.

    A plain module that holds the variables is saved instead of the model: the same file in half the
    time, since Keras adds nothing of its own.
    """
    import tensorflow as tf

    module = tf.Module()
    module.held = [variable.value for variable in model.variables]
    module.tables = [
        value
        for layer in model._flatten_layers()
        for value in vars(layer).values()
        if isinstance(value, tf.lookup.StaticHashTable)
    ]
    specs = [
        tf.TensorSpec(x.shape, x.dtype, name=x.name)
        for x in signature.inputs_of(model, input_shape)
    ]

    @tf.function(input_signature=specs)
    def serve(*tensors):
        return signature.call(model, tensors)

    traced = serve.get_concrete_function()
    tf.saved_model.save(module, folder, signatures=traced)
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return [node.name for node in nodes if node.op in LOOPS]
