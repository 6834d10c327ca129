"""Catalogues too large to look at every item: both towers alone, and a search by a graph."""

from pathlib import Path

import keras
import numpy as np

from blocks.base import check_positive
from heads.deployment import deploy
from heads.graph import inputs_of
from heads.tables.aside import aside


def towers(model):
    """Return the two networks of a model with a `RetrievalHead`: of a user, and of an item.

    Each is a plain functional `keras.Model` from its own inputs, an input alone or a dict of them,
    to vectors `(batch, units)`, as the index multiplies them; layers are shared.

    Args:
        model: A model made by `heads.attach(backbone, heads.RetrievalHead(…))`.

    >>> from heads import RetrievalHead, attach
    >>> x, y = keras.Input((3,), name="user"), keras.Input((4,), name="item")
    >>> user, item = towers(attach(keras.Model([x, y], {"user": x, "item": y}), RetrievalHead(8)))
    >>> item.output_shape
    (None, 8)
    """
    vectors = deploy(model).output
    if not isinstance(vectors, dict) or set(vectors) != {"user", "item"}:
        raise ValueError(
            "A model with one RetrievalHead has two towers. Received: "
            f"{model.name!r}, which answers {vectors}."
        )
    found = []
    for name in ("user", "item"):
        inputs = {x._keras_history.operation.name: x for x in inputs_of(vectors[name])}
        given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
        found.append(keras.Model(given, vectors[name], name=f"{name}_tower"))
    return tuple(found)


class ApproximateIndex:
    """The nearest items of a catalogue, nearly always: by a graph of near items (HNSW) of FAISS.

    For catalogues of millions on a server; `heads.deploy(model, items=…)` looks at every item, and
    goes into a file. Needs `pip install "keras-blocks[retrieval]"`.

    Args:
        vectors: Vectors of the items, `(items, units)`, of `heads.towers(model)[1]`.
        neighbors: Number of items that each is linked to; FAISS calls it M.
        effort: Number of items that a search keeps in view: more find more, slower. It may be set
            later.

    Raises:
        ImportError: If FAISS is missing.
        ValueError: If there are no vectors, or one is not finite.

    Reference: [Malkov and Yashunin, 2018](https://arxiv.org/abs/1603.09320)

    >>> index = ApproximateIndex(np.eye(5, dtype="float32"))  # doctest: +SKIP
    >>> index.search(np.eye(5)[:1], k=1)["items"]  # doctest: +SKIP
    array([[0]], dtype=int32)
    """

    def __init__(self, vectors, *, neighbors=32, effort=128):
        faiss = _faiss()
        check_positive(neighbors=neighbors, effort=effort)
        vectors = _rows("vectors", vectors)
        self.effort = effort
        self.graph = faiss.IndexHNSWFlat(vectors.shape[1], neighbors, faiss.METRIC_INNER_PRODUCT)
        self.graph.add(vectors)

    def search(self, users, k=10, seen=None):
        """Return the nearest items of users: `"items"`, int32 `(users, k)`, and `"scores"`.

        Args:
            users: Vectors of users, `(users, units)`.
            k: Number of items; where fewer are found, the rest are -1.
            seen: Items to leave out, `(users, length)`, filled up with -1.
        """
        users, more = _rows("users", users, self.graph.d), 0
        check_positive(k=k)
        if k > self.graph.ntotal:
            raise ValueError(
                f"`k` must be at most the number of items, {self.graph.ntotal}. Received: k={k}."
            )
        if seen is not None:
            seen = np.asarray(seen)
            if seen.ndim != 2 or len(seen) != len(users):
                raise ValueError(
                    f"`seen` has rows for {len(users)} users. Received: shape {seen.shape}."
                )
            more = seen.shape[1]
        wanted = min(k + more, self.graph.ntotal)
        self.graph.hnsw.efSearch = max(self.effort, wanted)
        scores, items = self.graph.search(users, wanted)
        if seen is not None:
            known = (items[:, :, None] == seen[:, None, :]).any(-1)
            order = np.argsort(known | (items < 0), axis=1, kind="stable")
            items = np.take_along_axis(np.where(known, -1, items), order, axis=1)
            scores = np.take_along_axis(scores, order, axis=1)
        fill = ((0, 0), (0, max(0, k - items.shape[1])))
        items = np.pad(items, fill, constant_values=-1)[:, :k].astype("int32")
        scores = np.pad(scores, fill)[:, :k]
        return {"items": items, "scores": np.where(items < 0, 0, scores).astype("float32")}

    def recall(self, users, k=10):
        """Return the share of the `k` nearest items that a search finds, from 0 to 1."""
        faiss = _faiss()
        users = _rows("users", users, self.graph.d)
        exact = faiss.IndexFlatIP(self.graph.d)
        exact.add(self.graph.reconstruct_n(0, self.graph.ntotal))
        best, found = exact.search(users, k)[1], self.search(users, k)["items"]
        return float(np.mean([np.isin(a, b).mean() for a, b in zip(best, found)]))

    def save(self, path):
        """Write the index to a file of FAISS's own form, whole or not at all."""
        with aside(path) as part:
            _faiss().write_index(self.graph, str(part))

    @classmethod
    def load(cls, path, *, effort=128):
        """Read what `save` wrote."""
        check_positive(effort=effort)
        index = cls.__new__(cls)
        Path(path).stat()  # raises where there is none
        index.graph, index.effort = _faiss().read_index(str(path)), effort
        return index


def _faiss():
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            'An approximate index needs FAISS: pip install "keras-blocks[retrieval]".'
        ) from error
    return faiss


def _rows(name, values, width=None):
    rows = np.ascontiguousarray(values, "float32")
    if rows.ndim != 2 or not len(rows) or (width is not None and rows.shape[1] != width):
        raise ValueError(
            f"`{name}` must be vectors, (rows, {width or 'units'}). Received: shape {rows.shape}."
        )
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(1))[0])
        raise ValueError(f"`{name}` must be finite. Received: other numbers in row {row}.")
    return rows
