"""How a network is trained, as a table of plain values, which every space has."""

import keras

import heads
from tuning.cyclical import cyclical
from tuning.recipes import NOT_DECAYED, adamw, cosine_warmup
from tuning.tables import choose, replaced, size

TRAINING = {  # what matters most comes first
    "learning_rate": [3e-4, 1e-3, 3e-3, 1e-2],  # the highest of AdamW
    # Rates of others are `times` as high, and their weight decay as many times lower.
    "optimizer": {
        "adamw": {"times": 1.0, "clip": 1.0, "ema": None},
        "sgd": {"times": 30.0, "clip": 1.0, "momentum": 0.9},
    },
    "schedule": ["cosine", "cyclical", "constant"],
    "weight_decay": [0.0, 0.01, 0.05],
}
# What a space of networks offers if not asked for more: its trials are for the networks.
USUAL = {"optimizer": "adamw", "schedule": "cosine"}
SCHEDULES = {
    "cosine": cosine_warmup,
    "cyclical": cyclical,
    "constant": lambda steps, peak: peak,
}


def training_space(choices=None, *, steps=None):
    """Return a function from hyperparameters to an optimizer, for a space of one's own.

    A configuration is the highest learning rate, an optimizer, a schedule and weight decay;
    `tuning.FitSpace` adds the batch size and augmentation, which are the business of `fit`. The
    spaces of networks have the same rows among theirs, the optimizer being AdamW and the schedule
    a cosine there, as long as `choices` offer no others.

    Args:
        choices: Table, as `choose` takes it, that replaces rows of
            `tuning.training.TRAINING`; of `"optimizer"` a list of names will do.
        steps: Number of training steps, epochs times batches an epoch, for the schedules; `None`
            for a constant rate. Under a `FitSpace` it may be a function from the batch size.

    Returns:
        A function of `hp` and, optionally, a prefix for the names of hyperparameters. Its
        attribute `size` is the number of configurations, `None` if a range is continuous.

    Raises:
        ValueError: If a name is unknown, or a schedule has no steps.

    >>> import keras_tuner
    >>> training = training_space({"optimizer": ["sgd"], "weight_decay": 0.01}, steps=100)
    >>> type(training(keras_tuner.HyperParameters())).__name__, training.size
    ('SGD', 12)
    """
    table = with_training({}, choices, steps, usual={})

    def build(hp, prefix=""):
        return optimizer_of(hp, choose(hp, table, prefix), steps)

    build.size = size(table)
    return build


def compiled_space(own, choices, steps, network, takes=None, usual=None):
    """Return a space of compiled models: a function from hyperparameters, with a `size`.

    Args:
        own: Table of what the networks have.
        choices: Table that replaces rows of `own` and of `TRAINING`, or `None`.
        steps: See `training_space`.
        network: Function from what was chosen to a backbone and a head.
        takes: See `replaced`.
        usual: Table of what of `own` is offered if not asked for more.
    """
    table = with_training(own, choices, steps, takes, {**USUAL, **(usual or {})})

    def build(hp):
        chosen = choose(hp, table)
        return compiled(hp, *network(chosen), chosen, steps)

    build.size = size(table)
    return build


def compiled(hp, backbone, head, chosen, steps):
    """Return a backbone and a head as a model that is trained as was chosen."""
    model = heads.attach(backbone, head)
    optimizer = optimizer_of(hp, chosen, steps)
    model.compile(optimizer, loss=head.loss(), metrics=head.metrics())
    return model


def with_training(own, choices, steps, takes=None, usual=USUAL):
    """Return the table of a space, what trains first; raise where it does not fit together."""
    whole = isinstance(steps, int) and not isinstance(steps, bool) and steps > 0
    if steps is not None and not whole and not callable(steps):
        raise ValueError(
            "`steps` must be None, a whole number above zero, or a function from the batch size "
            f"to one. Received: steps={steps!r}."
        )
    constant = {"schedule": "constant"} if steps is None else {}
    given = {**usual, **constant, **choices} if isinstance(choices, dict) else choices
    table = replaced({**TRAINING, **own}, {**usual, **constant} if given is None else given, takes)
    schedules = table["schedule"] if isinstance(table["schedule"], list) else [table["schedule"]]
    if any(not isinstance(x, str) or x not in SCHEDULES for x in schedules):
        raise ValueError(
            f"A schedule is one of {', '.join(SCHEDULES)}. Received: schedule={schedules}."
        )
    if steps is None and schedules != ["constant"]:
        raise ValueError(
            f"A schedule needs `steps`. Received: steps=None and schedule={schedules}."
        )
    return table


def optimizer_of(hp, chosen, steps):
    """Return the optimizer that was chosen.

    Args:
        hp: The hyperparameters of the trial, which know the batch size if there is a choice.
        chosen: Dict of plain values with the names of `TRAINING`.
        steps: See `training_space`.
    """
    name, options = chosen["optimizer"]
    times = options["times"]
    options = {key: value for key, value in options.items() if key != "times"}
    if callable(steps):
        if "batch_size" not in hp:
            raise ValueError(
                "`steps` is a function from the batch size, which a tuning.FitSpace chooses. "
                "Received: no batch size. Search in tuning.FitSpace(space)."
            )
        steps = steps(hp.get("batch_size"))
    rate = SCHEDULES[chosen["schedule"]](steps, chosen["learning_rate"] * times)
    options["weight_decay"] = chosen["weight_decay"] / times
    return adamw(None, rate, **options) if name == "adamw" else sgd(rate, **options)


def sgd(rate, *, momentum, weight_decay, clip):
    """Return SGD with momentum, whose weight decay spares what `adamw`'s spares."""
    optimizer = keras.optimizers.SGD(
        rate, momentum, weight_decay=weight_decay or None, global_clipnorm=clip
    )
    optimizer.exclude_from_weight_decay(var_names=[NOT_DECAYED])
    return optimizer
