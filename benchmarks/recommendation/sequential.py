"""What comes next on Amazon's video games."""

import time

import keras
import numpy as np

import heads
import tuning
from benchmarks.best import Best
from benchmarks.recommendation.data import games
from heads.recommendation.index import HIDDEN

LENGTH = 50
MODELS = {
    "SASRec": {"units": 64, "depth": 2, "num_heads": 1, "dropout": 0.5, "negatives": 512},
    "GRU": {"units": 64, "depth": 1, "kind": "gru", "dropout": 0.5, "negatives": 512},
}


def scorer(model):
    """Return a function from histories to the scores of all items, that of 0 included."""
    (head,) = heads.graph.heads_of(model).values()
    states = keras.Model(model.inputs, head.history(model.inputs[0])[:, -1])
    table = keras.ops.convert_to_numpy(head.history.table.vectors)

    def score(histories):
        return states.predict(histories, batch_size=1024, verbose=0) @ table.T

    return score


def scores_of(score, part, rows=2000):
    """Return the scores of a part by both protocols: against 100 items, and against all."""
    histories, target, others = part
    sampled, whole = [], []
    for start in range(0, len(histories), rows):
        some = slice(start, start + rows)
        found = score(histories[some])
        places = np.arange(len(found))
        own = found[places, target[some]]
        sampled.append(heads.ranks_of(own, np.take_along_axis(found, others[some], 1)))
        found[:, 0] = HIDDEN
        np.put_along_axis(found, histories[some], HIDDEN, 1)
        found[places, target[some]] = own
        better = (found > own[:, None]).sum(-1) + 0.5 * ((found == own[:, None]).sum(-1) - 1)
        whole.append(better)
    return {
        **heads.rank_scores(np.concatenate(sampled), protocol="sampled100"),
        **heads.rank_scores(np.concatenate(whole), protocol="catalogue"),
    }


def popularity(count, train):
    """Return a function that scores every item by how often it was taken."""
    counts = np.bincount(train.reshape(-1), minlength=count + 1).astype("float32")
    return lambda histories: np.tile(counts, (len(histories), 1))


def run(name, args):
    """Return the scores of a model, and what its training took."""
    count, train, parts = games(LENGTH)
    if name == "popularity":
        return {"name": name, **scores_of(popularity(count, train), parts["test"])}
    keras.utils.set_random_seed(args.seed)
    ids = keras.Input((LENGTH,), dtype="int32", name="items")
    head = heads.SequentialHead(count, length=LENGTH, **MODELS[name])
    model = heads.attach(keras.Model(ids, ids), head)
    steps = args.epochs * -(-len(train) // 128)
    model.compile(tuning.adamw(steps, 2e-3, weight_decay=0.0, ema=0.99), loss=head.loss())
    places = np.random.default_rng(0).permutation(len(parts["valid"][0]))[:5000]
    some = tuple(x[places] for x in parts["valid"])

    def score(model):
        found = scores_of(scorer(model), some)["sampled100_ndcg_10"]
        print(f"{name}: NDCG@10 {found:.4f} of some validation histories", flush=True)
        return found

    best = Best(score, max(1, args.epochs // 20))
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), best]
    began = time.perf_counter()
    model.fit(train, train, 128, args.epochs, verbose=0, callbacks=callbacks)
    minutes = (time.perf_counter() - began) / 60
    best.restore()
    facts = {"params": model.count_params(), "epoch": best.epoch, "minutes": minutes}
    return {"name": name, **facts, **scores_of(scorer(model), parts["test"])}
