"""How good a way of making models is, and how much that depends on the rows it saw."""

import dataclasses
import inspect
import time

import keras
import numpy as np

from tuning.columns import column
from tuning.folds import places_of
from tuning.samplers import derived_seed

OWN = ("x", "y", "validation_data")  # arguments of `fit` that the folds themselves are


@dataclasses.dataclass
class CrossValidation:
    """What `cross_validate` found.

    Attributes:
        folds: A dict for each fold, the test rows' metrics by name, `"loss"` among them.
        places: For each fold the places of its training and of its test rows.
        seconds: What each fold took.

    >>> found = CrossValidation([{"loss": 1.0}, {"loss": 3.0}], [], [0.1, 0.1])
    >>> found.mean["loss"], round(found.std["loss"], 3)
    (2.0, 1.414)
    """

    folds: list
    places: list
    seconds: list

    @property
    def mean(self) -> dict:
        """The mean of each metric over the folds."""
        return {name: float(np.mean([x[name] for x in self.folds])) for name in self.folds[0]}

    @property
    def std(self) -> dict:
        """The standard deviation of each metric from fold to fold, divided by folds - 1."""
        return {
            name: float(np.std([x[name] for x in self.folds], ddof=1)) for name in self.folds[0]
        }

    def __str__(self):
        mean, std = self.mean, self.std
        lines = [f"{name} {mean[name]:.4f} ± {std[name]:.4f}" for name in mean]
        return "\n".join([f"{len(self.folds)} folds, mean ± deviation from fold to fold", *lines])


def cross_validate(
    make,
    x,
    y,
    folds=5,
    kind="stratified",
    *,
    groups=None,
    times=None,
    seed=0,
    verbose=1,
    **fit,
):
    """Train a fresh model on the rows outside each fold, test it on those of the fold.

    Each fold seeds Python, NumPy and the backend with a seed of its own, derived from `seed`, so
    a second call finds the same, as far as the backend computes alike.

    Args:
        make: Function that returns a fresh compiled `keras.Model`, of no arguments or of the
            training rows, `make((x, y))`: what is learned of rows, such as a mean or a
            `heads.Table`, is then learned of these alone. It may return a pair: the model and a
            function from any rows' `x` to the model's inputs.
        x: Inputs: an array, a dict of arrays, or a pandas frame.
        y: Targets: an array, or a dict of them.
        folds: Number of folds.
        kind: `"stratified"`, with each class's share in each fold; `"grouped"`, where no group is
            in training and test rows both; `"time"`, trained on what was before, with a fold more
            of rows that are never tested; or `"plain"`, by chance.
        groups: The group of each row, such as its person.
        times: The times of rows, which must be in their order; without, they are taken to be.
        seed: Whole number; `None` for other weights at each call.
        verbose: 0 is silent, 1 prints a line a fold, 2 lets `fit` print its epochs too.
        **fit: Further arguments of `fit`. `callbacks` is a function that returns a list, since
            callbacks remember; `sample_weight` has a number for each row, in the test too;
            `validation_split` takes the last training rows, which no fold is tested on.

    Returns:
        A `CrossValidation`: metrics by fold, `mean` and `std`.

    Raises:
        ValueError: If an argument is wrong, the rows cannot be divided so, or a model is not
            fresh: was trained, or shares weights that are trained with that of another fold.
        ImportError: If there is no scikit-learn.

    >>> def make():
    ...     model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    ...     model.compile("sgd", loss="mse")
    ...     return model
    >>> x = np.random.default_rng(0).normal(size=(40, 3))
    >>> found = cross_validate(make, x, x[:, 0], 4, "plain", verbose=0, epochs=2)
    >>> len(found.folds), list(found.mean)
    (4, ['loss'])
    """
    x, y = columns_of(x), columns_of(y)
    rows = _check(x, y, seed, verbose, fit)
    weights = fit.pop("sample_weight", None)
    callbacks = fit.pop("callbacks", None)
    divided = places_of(y, rows, folds, kind, groups, times, seed)
    found, seconds, before = [], [], []
    for i, (train, test) in enumerate(divided):
        start = time.perf_counter()
        if seed is not None:
            keras.utils.set_random_seed(derived_seed(seed, i) >> 1)  # 31 bits
        model, inputs = _made(make, (take(x, train), take(y, train)))
        before = _fresh(model, before)
        of_train, of_test = (
            {} if weights is None else {"sample_weight": np.asarray(weights)[part]}
            for part in (train, test)
        )
        options = {"callbacks": callbacks()} if callbacks else {}
        loud = 2 if verbose > 1 else 0
        model.fit(
            inputs(take(x, train)), take(y, train), verbose=loud, **of_train, **options, **fit
        )
        batch = {"batch_size": fit["batch_size"]} if "batch_size" in fit else {}
        scores = model.evaluate(
            inputs(take(x, test)), take(y, test), verbose=0, return_dict=True, **of_test, **batch
        )
        found.append({name: float(score) for name, score in scores.items()})
        seconds.append(time.perf_counter() - start)
        if verbose:
            said = ", ".join(f"{name} {score:.4f}" for name, score in found[-1].items())
            print(f"fold {i + 1}/{folds}: {said} ({seconds[-1]:.1f} s)", flush=True)
    return CrossValidation(found, divided, seconds)


def columns_of(x):
    """Return an array, or a dict of arrays where `x` has columns."""
    if hasattr(x, "keys"):
        return {str(name): column(x[name]) for name in x}
    return np.asarray(x)


def take(x, places):
    """Return some rows of an array, or of each array of a dict."""
    return {name: a[places] for name, a in x.items()} if isinstance(x, dict) else x[places]


def _check(x, y, seed, verbose, fit):
    """Return the number of rows; raise where an argument is wrong."""
    for name, value, right in (("seed", seed, (None,)), ("verbose", verbose, ())):
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if not whole and value not in right:
            raise ValueError(f"`{name}` must be a whole number from 0. Received: {name}={value!r}.")
    lengths = {len(a) if np.ndim(a) else None for a in keras.tree.flatten([x, y])}
    lengths |= {len(fit["sample_weight"])} if fit.get("sample_weight") is not None else set()
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            "Inputs, targets and weights have the same number of rows. "
            f"Received: {', '.join(sorted(map(str, lengths)))}."
        )
    kinds = {str(a.dtype) for a in keras.tree.flatten(y) if a.dtype.kind not in "biuf"}
    if kinds:
        raise ValueError(
            f"Targets are numbers, as `fit` takes them. Received: {', '.join(sorted(kinds))}. Of "
            "names, give class ids: numpy.unique(y, return_inverse=True)[1]."
        )
    if given := [name for name in OWN if name in fit]:
        raise ValueError(
            f"The folds are what `fit` trains on and tests. Received: {', '.join(given)}. To stop "
            "early, give validation_split, a share of the training rows."
        )
    if fit.get("callbacks") is not None and not callable(fit["callbacks"]):
        raise ValueError(
            "Callbacks remember, so each fold needs its own. "
            f"Received: callbacks={fit['callbacks']!r}. Give a function: callbacks=lambda: […]."
        )
    return lengths.pop()


def _made(make, train):
    """Return the model of a fold, and the function from rows to its inputs."""
    if not callable(make) or isinstance(make, keras.Model):
        raise ValueError(
            "`make` must be a function that returns a fresh model. "
            f"Received: {type(make).__name__}. Give lambda: …, which makes it."
        )
    made = make(train) if _takes_rows(make) else make()
    model, inputs = made if isinstance(made, tuple) and len(made) == 2 else (made, lambda x: x)
    if not isinstance(model, keras.Model) or not model.compiled or not callable(inputs):
        told = " that is not compiled" if isinstance(model, keras.Model) else ""
        raise ValueError(
            "`make` must return a compiled keras.Model, or that and a function of inputs. "
            f"Received: {type(model).__name__}{told}."
        )
    return model, inputs


def _takes_rows(make):
    kinds = [p.kind for p in inspect.signature(make).parameters.values() if p.default is p.empty]
    return any(kind in (0, 1) for kind in kinds)  # positional


def _fresh(model, before):
    """Return the weights that are trained; raise where a fold before has trained some of them."""
    weights = list(model.trainable_variables)
    if int(model.optimizer.iterations) or {id(w) for w in weights} & {id(w) for w in before}:
        raise ValueError(
            "Each fold needs a fresh model, or it is tested on rows that it was trained on. "
            "Received: a model that was trained before, or shares weights with that of another "
            "fold. Make every layer and head inside `make`."
        )
    return weights
