"""The ten best of a million items, exactly: by our index, NumPy and FAISS, and in a file."""

import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from benchmarks.timing import in_turn, ratio, seconds
from heads.recommendation.index import ItemIndex

ITEMS, UNITS, K, ROUNDS = 1_000_000, 64, 10, 11
CASES = ("one user", "256 users", "file", "approximate")
EFFORTS = (32, 128, 512)


def index(vectors):
    """Return a model of an index of vectors."""
    x = keras.Input((UNITS,), name="user")
    layer = ItemIndex(len(vectors), K, name="index")
    model = keras.Model(x, layer(x))
    layer.vectors.assign(vectors)
    return model


def by_numpy(vectors):
    def find(users):
        scores = users @ vectors.T
        places = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, places, 1), axis=1)
        return np.take_along_axis(places, order, 1)

    return find


def by_faiss(vectors):
    import faiss

    flat = faiss.IndexFlatIP(UNITS)
    flat.add(vectors)
    return lambda users: flat.search(users, K)[1]


def run(name, args):
    """Return the times of all that can do it, in turn, as ratios to ours."""
    rng = np.random.default_rng(args.seed)
    if name == "approximate":
        return {"name": name, "rows": approximate(rng)}
    vectors = rng.normal(size=(ITEMS, UNITS)).astype("float32")
    model = index(vectors)
    if name == "file":
        return {"name": name, "rows": [in_file(model, rng)]}
    users = rng.normal(size=(256 if name == "256 users" else 1, UNITS)).astype("float32")
    finders = {
        "this": lambda users: model.predict_on_batch(users)["items"],
        "numpy": by_numpy(vectors),
        "faiss": by_faiss(vectors),
    }
    expected = finders["numpy"](users)
    for key, find in finders.items():
        same = np.mean([len(set(a) & set(b)) for a, b in zip(expected, find(users))]) / K
        if same < 0.999:
            raise SystemExit(f"{key} finds other items: {same:.3f} are the same.")
    times = in_turn([lambda f=f: seconds(lambda: f(users)) for f in finders.values()], ROUNDS, 1)
    return {
        "name": name,
        "rows": [row(key, len(users), x, times[0]) for key, x in zip(finders, times)],
    }


def row(name, users, own, ours):
    """Return medians, and how often as long as ours it takes."""
    found = ratio(own, ours)
    low, high = found["ratio_quartiles"]
    ms = 1000 * statistics.median(own)
    text = {"ratio": f"{found['ratio']:.2f}", "quartiles": f"{low:.2f} to {high:.2f}"}
    return {"name": name, "users": users, "ms": ms, **text}


def approximate(rng):
    """Return the times of an index that does not look at all items, and what it finds.

    Items and users lie about 1,000 centres, as those of a catalogue do: of vectors that lie
    anywhere nothing is nearer than all else.
    """
    import heads

    centres = rng.normal(size=(1000, UNITS))

    def near(count):
        x = centres[rng.integers(0, len(centres), count)] + 0.7 * rng.normal(size=(count, UNITS))
        return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype("float32")

    vectors, users = near(ITEMS), near(256)
    began = time.perf_counter()
    found = heads.ApproximateIndex(vectors)
    minutes = (time.perf_counter() - began) / 60
    exact, rows = by_faiss(vectors), []
    for effort in EFFORTS:
        found.effort = effort
        pair = (lambda u: found.search(u, K), exact)
        times = in_turn([lambda f=f: seconds(lambda: f(users[:1])) for f in pair], ROUNDS, 1)
        name = (
            f"effort {effort}: {found.recall(users, K):.3f} of the ten, built in {minutes:.1f} min"
        )
        rows.append(row(name, 1, times[0], times[1]))
    return rows


def in_file(model, rng):
    """Return the latency of a file of the index."""
    import export

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.tflite")
        samples = rng.normal(size=(8, UNITS)).astype("float32")
        export.to_tflite(model, path, inputs=samples, measure=False)
        ms = export.measure(path, runs=ROUNDS, threads=(1,)).latency[0]["median_ms"]
        size = path.stat().st_size / 1e6
    return {"name": f"file of {size:.0f} MB", "users": 1, "ms": ms, "ratio": "–", "quartiles": "–"}
