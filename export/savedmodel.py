"""A Keras model as a SavedModel of batch 1 with named inputs and outputs (TensorFlow backend)."""

from export import delegated, signature

LOOPS = ("While", "StatelessWhile")


def write(model, folder, input_shape=None, precision="float32"):
    """Write `model` to `folder` for a file of `precision`; return the loops of its graph by name.

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

    with delegated.for_precision(model, precision):
        traced = serve.get_concrete_function()
    tf.saved_model.save(module, folder, signatures=traced)
    graph = traced.graph.as_graph_def()
    nodes = [*graph.node, *(node for f in graph.library.function for node in f.node_def)]
    return [node.name for node in nodes if node.op in LOOPS]
