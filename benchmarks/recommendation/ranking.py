"""Clicks on Frappe's apps, by every ranking network."""

import time

import keras
import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

import backbones
import heads
import tuning
from benchmarks.best import Best
from benchmarks.recommendation.data import apps, counted

KINDS = ("deep", "cross", "fm", "dot", "ncf")
UNITS, EMBEDDING, DROPOUT, BATCH, PEAK = (256, 128), 32, 0.4, 512, 1e-3
UNKNOWN, FEATURES = 0.1, 0.2  # shares of ids made unknown, and of their vectors' numbers made 0


def trained(kind, args):
    """Return a trained network, its rows and clicks, which are judged, and what training took."""
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

    def score(model):
        found = model.predict(part(valid), batch_size=8192, verbose=0)
        return float(roc_auc_score(y[valid], found[:, 0]))

    best = Best(score)
    callbacks = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), best]
    began = time.perf_counter()
    model.fit(part(train), y[train], BATCH, args.ranking_epochs, verbose=0, callbacks=callbacks)
    minutes = (time.perf_counter() - began) / 60
    best.restore()
    judged = np.flatnonzero(test) if args.split == "test" else valid
    facts = {"epoch": best.epoch, "minutes": minutes, "valid_auc": best.best}
    return model, x, y, train, judged, facts


def run(kind, args):
    """Return the test scores of a network, and what its training took."""
    model, x, y, _, judged, facts = trained(kind, args)
    x = {key: values[judged] for key, values in x.items()}
    p = heads.deploy(model).predict(x, batch_size=8192, verbose=0)[:, 0]
    scores = scores_of(y[judged], p)
    return {"name": kind, "params": model.count_params(), **facts, **scores}


def scores_of(y, p):
    """Return how well probabilities tell clicks."""
    loss = log_loss(y, np.asarray(p, "float64"))
    return {"auc": float(roc_auc_score(y, p)), "log_loss": float(loss)}


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
