"""A model's parameters and multiply-adds, layer by layer and block by block."""

from dataclasses import dataclass

import keras

from blocks import flatten
from blocks.graph import path_of
from export import products, signature


@dataclass(frozen=True)
class Row:
    """A layer's facts; `macs` is `None` where they cannot be told."""

    name: str
    kind: str
    output_shape: tuple
    params: int
    macs: int | None


def rows_of(model, input_shape=None):
    """Return a `Row` for each leaf of the flattened model and each operation that multiplies."""
    tensors = [keras.KerasTensor(x.shape, x.dtype) for x in signature.inputs_of(model, input_shape)]
    counts, shapes = {}, {}
    for operation, args, kwargs, outputs in products.calls(flatten(model), tensors):
        counts.setdefault(operation, []).append(products.count(operation, args, kwargs, outputs))
        shapes[operation] = tuple(outputs[0].shape[1:]) if outputs else ()
    rows = []
    for operation, macs in counts.items():
        is_layer = isinstance(operation, keras.Layer)
        if is_layer or products.total(macs) != 0:
            rows.append(
                Row(
                    path_of(operation),
                    type(operation).__name__,
                    shapes[operation],
                    operation.count_params() if is_layer else 0,
                    products.total(macs),
                )
            )
    return rows


def by_block(rows):
    """Return rows summed by block: the first part of each dotted name."""
    groups = {}
    for row in rows:
        groups.setdefault(row.name.split(".")[0], []).append(row)
    return [
        Row(
            name,
            part[0].kind if len(part) == 1 else "block",
            part[-1].output_shape,
            sum(row.params for row in part),
            products.total(row.macs for row in part),
        )
        for name, part in groups.items()
    ]
