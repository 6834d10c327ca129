"""Rows of a table an image: more of them, and some of them."""

from keras import ops

NOTHING = -1e4  # a logit that no position has


def lengthened(x, count):
    """Return `(batch, rows, columns)` with more rows, whose logits are those of nothing."""
    return ops.concatenate([x, ops.repeat(0 * x[:, :1] + NOTHING, count, axis=1)], axis=1)


def take(x, places):
    """Return the rows of `(batch, rows, columns)` at places, `(batch, number)`."""
    if x.shape[0] == 1:  # of a file, where a gather takes one image, and x[0] is slow
        return ops.take(ops.reshape(x, (-1, x.shape[-1])), places[0], axis=0)[None]
    batch, rows, columns = ops.shape(x)
    starts = ops.arange(batch, dtype="int32")[:, None] * rows
    return ops.take(ops.reshape(x, (-1, columns)), ops.cast(places, "int32") + starts, axis=0)


def top(table, order, count):
    """Return the first of an order and their rows of a table: as many as are asked, if there are.

    Args:
        table: Dict of `(batch, rows, columns)`.
        order: `(batch, rows)`: the largest come first, and `NOTHING` is no row.
        count: Number of rows.
    """
    if order.shape[1] is None:  # perhaps fewer rows
        order = lengthened(order[..., None], count)[..., 0]
        table = {key: lengthened(x, count) for key, x in table.items()}
    order, places = ops.top_k(order, min(count, order.shape[1] or count))
    return order, {key: take(x, places) for key, x in table.items()}
