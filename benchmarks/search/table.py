"""The table of a data set: every network of the space trained once, with its whole curve.

`python -m benchmarks.search table cifar10` trains, and goes on where it was stopped; then
`python -m benchmarks.search costs` measures the files on an idle machine. What is found is stored
in `benchmarks/models/search_<set>.json`.
"""

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.kept import Kept
from benchmarks.search import space
from benchmarks.small_data import read

RATE, EPOCHS, BATCH = "learning_rate", 9, 64
MODELS = Path(__file__).parent.parent / "models"
SETS = {  # images of training, validation and test
    "sign_digits": (1216, 435, 411),
    "cifar10": (2496, 1000, 2500),
}


def images_of(name):
    """Return three pairs of images and labels: training, validation and test, always the same."""
    images, labels, *test = read(name)
    train, valid, tested = SETS[name]
    order = np.random.default_rng(0).permutation(len(images))
    parts = order[:train], order[train : train + valid]
    pairs = [(images[part], labels[part]) for part in parts]
    pairs.append([part[:tested] for part in test])
    return [(x.astype("uint8"), y.astype("int32")) for x, y in pairs]


def train(name, backwards=False):
    """Train what is not trained yet, in order or the last first, so that two can share it."""
    kept, sets = Kept(f"search_{name}"), images_of(name)
    began = time.time()
    for values in reversed(architectures()) if backwards else architectures():
        done = kept.all()  # by another process, too
        rates = [r for r in space.CHOICES[RATE] if key_of({**values, RATE: r}) not in done]
        for found in curves(values, rates, *sets) if rates else ():
            kept.add(found)
        took = (time.time() - began) / 60
        done = f"{len(kept.all())} of {len(space.configurations())} networks"
        print(f"{name}: {done}, {took:.0f} minutes", file=sys.stderr, flush=True)


def architectures():
    """Return every configuration without its rate."""
    names = [name for name in space.CHOICES if name != RATE]
    return [dict(zip(names, x)) for x in itertools.product(*(space.CHOICES[n] for n in names))]


def key_of(values):
    """Return the name of a configuration in a table."""
    return " ".join(str(values[name]) for name in space.CHOICES)


def architecture(key):
    """Return what the name of a configuration says of all but its rate."""
    return key.rsplit(" ", 1)[0]


def curves(values, rates, trained, valid, tested):
    """Train an architecture at each rate; yield the accuracies after every epoch."""
    import keras

    keras.backend.clear_session()
    model = space.compiled({**values, RATE: rates[0]})
    images = np.concatenate([valid[0], tested[0]])
    batch = -(-len(images) // 4)
    images = np.resize(images, (4 * batch, *images.shape[1:]))  # no batch of another size
    for rate in rates:
        configuration = {**values, RATE: rate}
        seed = space.configurations().index(configuration)
        keras.utils.set_random_seed(seed)
        model.set_weights(space.network(values)[0].get_weights())
        for variable in model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        model.optimizer.learning_rate = rate
        found = {"name": key_of(configuration), "valid": [], "test": [], "seconds": []}
        for epoch in range(EPOCHS):
            order = np.random.default_rng((seed, epoch)).permutation(len(trained[0]))
            began = time.process_time()
            model.fit(trained[0][order], trained[1][order], BATCH, verbose=0, shuffle=False)
            found["seconds"].append(round(time.process_time() - began, 3))
            answers = model.predict(images, batch, verbose=0).argmax(-1)
            for name, labels, start in (
                ("valid", valid[1], 0),
                ("test", tested[1], len(valid[1])),
            ):
                right = answers[start : start + len(labels)] == labels
                found[name].append(round(float(right.mean()), 4))
        yield found


def costs():
    """Measure the file of every architecture; return its facts by its name."""
    from tuning.budget import static_facts
    from tuning.device import Device

    found = {}
    for values in architectures():
        name = architecture(key_of({**values, RATE: ""}))
        model = space.compiled({**values, RATE: 1e-3})
        began = time.perf_counter()
        facts = {**static_facts(model)[0], **Device().measure(model)}
        found[name] = {**facts, "gate_seconds": round(time.perf_counter() - began, 2)}
        print(name, found[name], file=sys.stderr, flush=True)
    return found


def store(name, measured):
    """Write the table of a data set, if all of it is there."""
    kept = Kept(f"search_{name}").all()
    rows = {key_of(v): kept.get(key_of(v)) for v in space.configurations()}
    if missing := [key for key, row in rows.items() if row is None]:
        raise SystemExit(f"{name}: {len(missing)} of {len(rows)} are not trained yet.")
    for row in rows.values():
        row.pop("name")
    path = MODELS / f"search_{name}.json"
    lines = [f"{json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items()]
    text = '{"costs": ' + json.dumps(measured) + ',\n"rows": {\n' + ",\n".join(lines) + "}}\n"
    path.write_text(text)
    return path
