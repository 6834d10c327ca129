"""Training that goes on where it was interrupted, and says how long it took."""

import json
import math
import sys
import time
from pathlib import Path

import keras
import numpy as np

import heads
from benchmarks.cifar10.data import Batches
from benchmarks.clock import facts_of, note
from tuning import cosine_warmup, distill
from tuning.recipes import NOT_DECAYED

PEAK, WARMUP, MOMENTUM, DECAY = 0.2, 0.2, 0.9, 5e-4
TEMPERATURE, LABELS_SHARE = 4.0, 0.1  # of distillation, where there is a teacher
VALIDATE_EVERY = 5


def compiled(model, steps, peak=PEAK):
    """Return `model` ready for `steps` steps of stochastic gradient descent, one rise and fall."""
    optimizer = keras.optimizers.SGD(
        cosine_warmup(steps, peak, WARMUP), momentum=MOMENTUM, nesterov=True, weight_decay=DECAY
    )
    optimizer.exclude_from_weight_decay(var_names=[NOT_DECAYED])
    optimizer.build(model.trainable_variables)
    # XLA's convolutions are slower than oneDNN's on a processor.
    model.compile(optimizer, loss=heads.losses(model), metrics=["accuracy"], jit_compile=jit())
    return model


def jit():
    return False if keras.backend.backend() == "tensorflow" else "auto"


def taught(model, teacher):
    """Return what `fit` is called on: `model`, or it under a teacher, with one optimizer."""
    if teacher is None:
        return model
    distiller = distill(teacher, model, temperature=TEMPERATURE, student_loss_weight=LABELS_SHARE)
    distiller.compile(model.optimizer, loss=heads.losses(model), jit_compile=jit())
    return distiller


def train(
    make,
    train_split,
    val_split,
    folder,
    *,
    epochs,
    hours=math.inf,
    seed=0,
    batch=128,
    start=None,
    teacher=None,
    cut=0,
    peak=PEAK,
):
    """Train for `epochs` in all, or until `hours` of this call have passed.

    Args:
        make: A function that returns the network.
        train_split, val_split: `(images, labels)` each.
        folder: Where the state is kept after each epoch: model and optimizer, written aside.
        epochs: Length of the schedule.
        hours: Hours after which no further epoch begins.
        seed: Of the weights and of the batches.
        batch: Images a step.
        start: A state to begin with where the folder has none.
        teacher: A trained model whose logits are learned beside the labels.
        cut: Side of the grey squares in the images; 0 for none.
        peak: Highest learning rate.

    Returns:
        The model, the epochs that it has seen, and a list of facts of each epoch.
    """
    folder, begun = Path(folder), time.monotonic()
    state, log = folder / "state.keras", folder / "log.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    steps = len(train_split[0]) // batch
    model = compiled(make(), steps * epochs, peak)
    if state.exists() or start:
        restore(model, state if state.exists() else start)
    done = int(model.optimizer.iterations) // steps
    learner = taught(model, teacher)
    for epoch in range(done, epochs):
        if time.monotonic() - begun > hours * 3600:
            break
        clock, busy = time.perf_counter(), time.process_time()
        batches = Batches(*train_split, seed=seed, epoch=epoch, batch=batch, cut=cut)
        history = learner.fit(batches, shuffle=False, verbose=0).history
        seconds = time.perf_counter() - clock
        facts = {"epoch": epoch, **{name: values[0] for name, values in history.items()}}
        facts |= {"seconds": seconds, "images_per_second": steps * batch / seconds}
        facts["processor_seconds"] = time.process_time() - busy
        if (epoch + 1) % VALIDATE_EVERY == 0 or epoch + 1 == epochs:
            facts["val_accuracy"] = model.evaluate(*val_split, batch, verbose=0)[1]
        note(log, facts)
        save(model, state)
        print(json.dumps(facts), file=sys.stderr, flush=True)
        done = epoch + 1
    return model, done, facts_of(log)


def averaged(models):
    """Return the first of several models with the averages of their weights.

    It is as good as an ensemble of them, or nearly so, where they come of one training
    (Wortsman et al., 2022, "Model soups").
    """
    first, weights = models[0], [model.get_weights() for model in models]
    shapes = [[x.shape for x in each] for each in weights]
    if any(each != shapes[0] for each in shapes):
        raise SystemExit("Models that are averaged are of one network. Received: several.")
    first.set_weights([np.mean(x, 0) for x in zip(*weights)])
    return first


def save(model, state):
    """Replace the file `state` by a whole one."""
    part = state.with_name("part.keras")
    model.save(part)
    part.replace(state)


def restore(model, path):
    """Copy weights and the optimizer's state of a saved model.

    A loaded optimizer has forgotten which weights it does not decay, so it is not used itself.
    """
    saved = keras.saving.load_model(path)
    model.set_weights(saved.get_weights())
    for variable, value in zip(model.optimizer.variables, saved.optimizer.variables, strict=True):
        variable.assign(value)
