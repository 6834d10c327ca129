"""Two towers on films and games, beside the nearest items of what a user took."""

import time

import keras
import numpy as np
from scipy import sparse

import backbones
import blocks
import heads
import tuning
from benchmarks.recommendation.data import films, games, padded

HISTORY, BATCH, K = 20, 512, 10
MODELS = ("popularity", "item-kNN", "RetrievalHead")
UNITS, TEMPERATURE, DROPOUT, PEAK = 64, 0.05, 0.5, 2e-3


def events_of(name, split):
    """Return histories to train on, those to answer, and what is right.

    Returns:
        The number of items; pairs to train on, of a history, `(HISTORY,)`, -1 where there is none,
        and the item that came next; histories of the judged users and the sets of items that are
        right; their items that are left out; and columns of items, or `None`.
    """
    if name == "games":
        count, train, parts = games(50)
        histories, target, _ = parts[split]
        rows = [row[row > 0] - 1 for row in train]
        known = [row[row > 0] - 1 for row in histories]
        return count, rows, known, [{int(x) - 1} for x in target], None
    found = films()
    users, items = found["user"], found["item"]
    cut, stop = (80_000, 90_000) if split == "valid" else (90_000, len(users))
    rows = group(users[:cut], items[:cut])
    later = group(users[cut:stop], items[cut:stop])
    judged = [user for user in later if user in rows and set(later[user]) - set(rows[user])]
    right = [set(later[user].tolist()) - set(rows[user].tolist()) for user in judged]
    columns = {"genres": found["genres"].astype("float32"), "year": scaled(found["year"])}
    return len(columns["year"]), [*rows.values()], [rows[u] for u in judged], right, columns


def group(users, items):
    """Return the items of each user, in order."""
    order = np.argsort(users, kind="stable")
    names, starts = np.unique(users[order], return_index=True)
    return dict(zip(names.tolist(), np.split(items[order], starts[1:])))


def scaled(years):
    """Return years as numbers near 0, unknown ones as the mean."""
    known = years > 0
    return np.where(known, (years - years[known].mean()) / 20, 0.0)[:, None].astype("float32")


def last(rows):
    """Return the last items of rows, filled up in front with -1."""
    return padded(rows, HISTORY, -1)


def pairs(rows):
    """Return histories and the items that came next, of every step but the first."""
    steps = [(row[max(0, i - HISTORY) : i], row[i]) for row in rows for i in range(1, len(row))]
    return last([history for history, _ in steps]), np.array([item for _, item in steps])


def towers(count, columns, units=UNITS):
    """Return a tower of histories beside one of items."""
    history = keras.Input((HISTORY,), dtype="int32", name="history")
    mean = blocks.BagEmbedding(count, units, name="bag")(history)
    newest = blocks.IdEmbedding(count + 1, units, name="newest")(history[:, -1] + 1)
    x = keras.layers.Dropout(DROPOUT)(keras.layers.Concatenate()([mean, newest]))
    x = keras.layers.Dense(2 * units, "relu")(x)
    user = keras.Model(history, x)
    item = keras.Input((), dtype="int32", name="item")
    inputs, parts = {"item": item}, [blocks.IdEmbedding(count, units, name="item_id")(item)]
    for name, column in (columns or {}).items():
        inputs[name] = keras.Input(column.shape[1:], name=name)
        parts.append(keras.layers.Dense(units, name=f"{name}_dense")(inputs[name]))
    y = parts[0] if len(parts) == 1 else keras.layers.Concatenate()(parts)
    return backbones.two_towers(user, keras.Model(inputs, y))


def retrieval(data, args):
    """Return the best items of a trained `RetrievalHead`, and what training took."""
    count, rows, known, _, columns = data
    x, y = pairs(rows)
    items = {"item": np.arange(count), **(columns or {})}
    keras.utils.set_random_seed(args.seed)
    head = heads.RetrievalHead(UNITS, temperature=TEMPERATURE)
    model = heads.attach(towers(count, columns), head)
    steps = args.retrieval_epochs * -(-len(y) // BATCH)
    optimizer = tuning.adamw(steps, PEAK, weight_decay=0.0, ema=0.99)
    model.compile(optimizer, loss=head.loss())
    counts = np.maximum(np.bincount(y, minlength=count), 1)
    given = {"history": x, **{key: column[y] for key, column in items.items()}}
    began = time.perf_counter()
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]
    targets = heads.item_targets(y, counts)
    model.fit(given, targets, BATCH, args.retrieval_epochs, verbose=0, callbacks=callbacks)
    minutes = (time.perf_counter() - began) / 60
    most = max(len(row) for row in known)
    answer = heads.deploy(model, items=items, k=K, seen=most)
    seen = np.full((len(known), most), -1, "int32")
    for i, row in enumerate(known):
        seen[i, : len(row)] = row
    found = answer.predict({"history": last(known), "seen": seen}, batch_size=256, verbose=0)
    return found["items"], {"params": model.count_params(), "minutes": minutes}


def nearest(data, shrink=100.0):
    """Return the best items by the cosines of items that the same users took (item-kNN)."""
    count, rows, known, _, _ = data
    table = incidence(rows, count)
    similar = (table.T @ table).tocsr().astype("float32")
    sizes = similar.diagonal()
    similar.setdiag(0)
    similar = similar.tocoo()
    norm = np.sqrt(sizes[similar.row] * sizes[similar.col]) + shrink
    similar = sparse.csr_matrix((similar.data / norm, (similar.row, similar.col)), similar.shape)
    return best(lambda some: (incidence(some, count) @ similar).toarray(), known)


def popular(data):
    """Return the items that were taken most."""
    count, rows, known, _, _ = data
    counts = np.bincount(np.concatenate(rows), minlength=count).astype("float32")
    return best(lambda some: np.tile(counts, (len(some), 1)), known)


def incidence(rows, count):
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.concatenate(rows)
    table = sparse.csr_matrix((np.ones(len(items), "float32"), (users, items)), (len(rows), count))
    table.data[:] = 1.0  # however often
    return table


def best(score, known, rows=1000):
    """Return the best items of users by a function of scores, but for those they know."""
    found = []
    for start in range(0, len(known), rows):
        some = known[start : start + rows]
        scores = score(some)
        for i, row in enumerate(some):
            scores[i, row] = -np.inf
        found.append(np.argsort(-scores, axis=1, kind="stable")[:, :K])
    return np.concatenate(found)


def run(data, name, args):
    """Return the scores of a model among all items, and what its training took."""
    events = events_of(data, args.split)
    right = [sorted(x) for x in events[3]]
    began = time.perf_counter()
    if name == "RetrievalHead":
        found, facts = retrieval(events, args)
    else:
        found, facts = {"popularity": popular, "item-kNN": nearest}[name](events), {}
    minutes = (time.perf_counter() - began) / 60
    scores = heads.recommendation_scores(found, right, k=K, num_items=events[0])
    return {"name": name, "users": len(right), "minutes": minutes, **facts, **scores}
