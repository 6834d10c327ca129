"""Clicks on Frappe's apps, by every ranking network."""

import time

import keras
import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

import backbones
import heads
import tuning
from benchmarks.recommendation.data import apps

KINDS = ("deep", "cross", "fm", "dot", "ncf")
UNITS, EMBEDDING, DROPOUT, BATCH = (256, 128), 32, 0.4, 512


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
    if kind == "ncf":  # of user and item alone
        rows = {name: rows[name] for name in ("user", "item")}
    train = np.random.default_rng(args.seed).permutation(np.flatnonzero(~is_test))
    valid, train, test = train[: len(train) // 10], train[len(train) // 10 :], is_test
    table = heads.Table.of({k: x[train] for k, x in rows.items()}, min_count=2)
    x = table(rows)["categorical"]
    keras.utils.set_random_seed(args.seed)
    head = heads.RankingHead(kind, UNITS, dropout=DROPOUT)
    model = heads.attach(backbones.column_tokens(table.columns, EMBEDDING), head)
    steps = args.ranking_epochs * -(-len(train) // BATCH)
    model.compile(tuning.adamw(steps, 2e-3, weight_decay=args.decay, ema=0.99), loss=head.loss())
    best = Best({"categorical": x[valid]}, y[valid])
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), best]
    began = time.perf_counter()
    model.fit(
        {"categorical": x[train]},
        y[train],
        BATCH,
        args.ranking_epochs,
        verbose=0,
        callbacks=callbacks,
    )
    minutes = (time.perf_counter() - began) / 60
    model.set_weights(best.weights)
    p = heads.deploy(model).predict({"categorical": x[test]}, batch_size=8192, verbose=0)[:, 0]
    return {
        "name": kind,
        "params": model.count_params(),
        "epoch": best.epoch,
        "minutes": minutes,
        "valid_auc": best.best,
        "auc": float(roc_auc_score(y[test], p)),
        "log_loss": float(log_loss(y[test], p.astype("float64"))),
    }
