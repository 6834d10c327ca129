"""Clicks on Frappe's apps, by every ranking network."""

import time

import keras
import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

import backbones
import heads
import tuning
from benchmarks.recommendation.data import apps, counted

KINDS = ("deep", "cross", "fm", "dot", "ncf")
UNITS, EMBEDDING, DROPOUT, BATCH, PEAK = (256, 128), 32, 0.4, 512, 1e-3
UNKNOWN, FEATURES = 0.1, 0.2  # shares of ids made unknown, and of their vectors' numbers made 0


class Best(keras.callbacks.Callback):
    """Keep the averaged weights of the epoch that is best on the validation rows."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y, self.best, self.weights, self.epoch = x, y, 0.0, None, 0

    def on_epoch_end(self, epoch, logs=None):
        found = roc_auc_score(self.y, self.model.predict(self.x, batch_size=8192, verbose=0)[:, 0])
        if found > self.best:
            self.best, self.weights, self.epoch = found, self.model.get_weights(), epoch + 1


def run(kind, args):
    """Return the test scores of a network, and what its training took."""
    rows, y, is_test = apps()
    train = np.random.default_rng(args.seed).permutation(np.flatnonzero(~is_test))
    valid, train, test = train[: len(train) // 10], train[len(train) // 10 :], is_test
    if kind == "ncf":  # of user and item alone
        rows = {name: rows[name] for name in ("user", "item")}
    else:
        rows |= counts_of(rows, y, train)
    table = heads.Table.of({k: x[train] for k, x in rows.items()})
    x = table(rows)

    def part(places):
        return {key: values[places] for key, values in x.items()}

    keras.utils.set_random_seed(args.seed)
    head = heads.RankingHead(kind, UNITS, dropout=DROPOUT)
    columns = backbones.column_tokens(table.columns, EMBEDDING, unknown=UNKNOWN)
    tokens = keras.layers.Dropout(FEATURES)(columns.output["tokens"])
    model = heads.attach(keras.Model(columns.input, tokens), head)
    steps = args.ranking_epochs * -(-len(train) // BATCH)
    model.compile(tuning.adamw(steps, PEAK, weight_decay=args.decay, ema=0.99), loss=head.loss())
    best = Best(part(valid), y[valid])
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), best]
    began = time.perf_counter()
    model.fit(part(train), y[train], BATCH, args.ranking_epochs, verbose=0, callbacks=callbacks)
    minutes = (time.perf_counter() - began) / 60
    model.set_weights(best.weights)
    judged = test if args.split == "test" else valid
    p = heads.deploy(model).predict(part(judged), batch_size=8192, verbose=0)[:, 0]
    return {
        "name": kind,
        "params": model.count_params(),
        "epoch": best.epoch,
        "minutes": minutes,
        "valid_auc": best.best,
        "auc": float(roc_auc_score(y[judged], p)),
        "log_loss": float(log_loss(y[judged], p.astype("float64"))),
    }


def counts_of(rows, y, train):
    """Return columns of counts: clicks on the app by the user, on the app, at its cost, by all."""
    pairs = {name: np.char.add(np.char.add(rows["item"], " "), rows[name]) for name in rows}
    found = {
        "clicks of the user": counted(rows["user"], y, train),
        "clicks of both": counted(pairs["user"], y, train),
    }
    for name, keys in {"item": rows["item"], "item at its cost": pairs["cost"]}.items():
        found[f"clicks of the {name}"] = counted(keys, y, train)
        found[f"other rows of the {name}"] = counted(keys, 1 - y, train)
    return found
