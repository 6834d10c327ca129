"""The same functions in operations that the runtime computes well.

Layers with a flag `in_file` compute otherwise where their gradient is needed.

XNNPACK, LiteRT's default on processors, takes no int8 HARD_SWISH: each cuts the file into parts
with slow ones between them. As `relu6(x + 3) * (x / 6)`, which the converter does not turn into
that operation, it stays in one part; benchmarks/RESULTS.md has the times.
"""

import contextlib

import keras
from keras import ops


def hard_swish(x):
    """Return `x * relu6(x + 3) / 6`, multiplied in an order that the converter does not know."""
    return ops.relu6(x + 3.0) * (x * (1 / 6))


@contextlib.contextmanager
def for_precision(model, precision):
    """Let the model's layers compute so while it is traced for a file of this precision."""
    changes = []
    for layer in model._flatten_layers():
        if (
            precision == "int8"
            and getattr(layer, "activation", None) is keras.activations.hard_silu
        ):
            changes.append((layer, "activation", hard_swish, keras.activations.hard_silu))
        if hasattr(layer, "in_file"):
            changes.append((layer, "in_file", True, False))
    try:
        for layer, name, value, _ in changes:
            setattr(layer, name, value)
        yield
    finally:
        for layer, name, _, before in changes:
            setattr(layer, name, before)
