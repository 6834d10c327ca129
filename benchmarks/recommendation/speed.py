"""Training beside the same networks written with keras-rs: examples a second, and peak memory.

Towers, batches and optimizer are the same; each side is written as its library's users do. `python
-m benchmarks.recommendation.speed NAME BATCH` trains one alone and prints the peak of its process.
"""

import json
import subprocess
import sys

import keras
import numpy as np
from keras import layers

import backbones
import heads
from benchmarks.timing import interleaved, seconds
from export.latency import peak_memory

USERS, ITEMS, UNITS, TEMPERATURE = 50_000, 20_000, 64, 0.05
FIELDS, DEPTH, DENSE = (1000, 4000, 7, 7, 2, 2, 2, 9, 80, 230), 3, (256, 128)
ROWS, ROUNDS = 32_768, 9


def tower(name, count):
    """Return an input, and a vector from a table and a dense layer."""
    x = keras.Input((), dtype="int32", name=name)
    y = layers.Embedding(count, UNITS, name=f"{name}_table")(x)
    return x, layers.Dense(2 * UNITS, "relu", name=f"{name}_dense")(y)


def pairs():
    """Return pairs, items taken more often as in a catalogue, and our targets."""
    rng = np.random.default_rng(0)
    items = np.minimum(rng.zipf(1.2, ROWS), ITEMS) - 1
    x = {"user": rng.integers(0, USERS, len(items)).astype("int32"), "item": items.astype("int32")}
    return x, heads.item_targets(items)


def two_towers_ours():
    user, item = (keras.Model(*tower(n, c)) for n, c in (("user", USERS), ("item", ITEMS)))
    head = heads.RetrievalHead(UNITS, temperature=TEMPERATURE)
    model = heads.attach(backbones.two_towers(user, item), head)
    model.compile(keras.optimizers.Adam(1e-3), loss=head.loss(), jit_compile=False)
    return model, pairs()


def two_towers_theirs():
    import keras_rs

    class Retrieval(keras.Model):
        def __init__(self, user, item):
            super().__init__()
            self.user, self.item = user, item
            self.correct = keras_rs.layers.SamplingProbabilityCorrection()
            self.remove = keras_rs.layers.RemoveAccidentalHits()
            self.cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True)

        def call(self, x):
            return self.user(x["user"]), self.item(x["item"])

        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            user, item = y_pred
            scores = keras.ops.matmul(user, keras.ops.transpose(item)) / TEMPERATURE
            right = keras.ops.eye(keras.ops.shape(scores)[0])
            scores = self.correct(scores, keras.ops.exp(y[:, 1]))
            return self.cross_entropy(right, self.remove(scores, right, x["item"]))

    def vector(name, count):
        x, y = tower(name, count)
        y = layers.Dense(UNITS, use_bias=False, name=f"{name}_project")(y)
        return keras.Model(x, layers.UnitNormalization(name=f"{name}_unit")(y))

    model = Retrieval(vector("user", USERS), vector("item", ITEMS))
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    return model, pairs()


def rows():
    """Return ids of fields, and clicks."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, FIELDS, (ROWS, len(FIELDS))).astype("int32")
    return {"categorical": ids}, rng.integers(0, 2, (len(ids), 1)).astype("float32")


def cross_ours():
    columns = {"points": [], "gaps": [], "categories": list(FIELDS)}
    head = heads.RankingHead("cross", DENSE, depth=DEPTH)
    model = heads.attach(backbones.column_tokens(columns, 32), head)
    model.compile(keras.optimizers.Adam(1e-3), loss=head.loss(), jit_compile=False)
    return model, rows()


def cross_theirs():
    from keras_rs.layers import FeatureCross

    ids = keras.Input((len(FIELDS),), dtype="int32", name="categorical")
    x = [layers.Embedding(count, 32)(ids[:, i]) for i, count in enumerate(FIELDS)]
    x = first = layers.Concatenate()(x)
    for _ in range(DEPTH):
        x = FeatureCross()(first, x)
    for width in DENSE:
        x = layers.Dense(width, "relu")(x)
    model = keras.Model({"categorical": ids}, layers.Dense(1)(x))
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, jit_compile=False)
    return model, rows()


# What is trained, and the rows of a batch: a softmax over a batch grows with its square.
NETWORKS = {
    "two towers, batches of 512": ("two_towers", 512),
    "two towers, batches of 4,096": ("two_towers", 4096),
    "DCN-V2, batches of 512": ("cross", 512),
}


def trainer(name, batch):
    """Return a function that trains a network for an epoch, and its number of weights."""
    model, (x, y) = globals()[name]()
    model.fit(x, y, batch, verbose=0, shuffle=False)
    return lambda: model.fit(x, y, batch, verbose=0, shuffle=False), model.count_params()


def run(name, args):
    """Return examples a second of both, their ratio, and the peaks of processes of their own."""
    network, batch = NETWORKS[name]
    sides = [f"{network}_{side}" for side in ("ours", "theirs")]
    peaks = [peak(side, batch) for side in sides]
    made = [trainer(side, batch) for side in sides]
    found = interleaved([action for action, _ in made], ROUNDS)
    low, high = sorted(1 / x for x in found["ratio_quartiles"])
    return {
        "name": name,
        "weights": [count for _, count in made],
        "rates": [ROWS / found[f"{side}_seconds"] for side in ("ours", "theirs")],
        "ratio": 1 / found["ratio"],
        "quartiles": f"{low:.2f} to {high:.2f}",
        "peaks": peaks,
    }


def peak(name, batch):
    """Return the peak memory of a process that trains a network, in MB."""
    command = [sys.executable, "-m", "benchmarks.recommendation.speed", name, str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    train, _ = trainer(sys.argv[1], int(sys.argv[2]))
    seconds(train)
    print(peak_memory() / 1e6)
