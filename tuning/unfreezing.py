"""Unfreezing stage by stage, as a callback."""

import keras

from tuning.freezing import frozen_layers, levels_of


class GradualUnfreezing(keras.callbacks.Callback):
    """Train the head first, and thaw the stages before it one after the other.

    Compile the model with all its layers trainable: the callback freezes them itself when
    training begins, batch normalizations in inference mode, and remakes the training step at
    each change. The optimizer knows every weight from the start, so nothing that it has
    gathered is lost. When training ends, every layer is as trainable as it was before. What shall
    never thaw stays in the last entry of the schedule.

    Args:
        schedule: Dict from an epoch, the first being 0, to what is frozen from it on, as
            `freeze` takes it, `None` for nothing:
            `{0: "P5", 2: "P4", 4: "P3", 6: None}`. Or a number of epochs: the model's levels
            thaw one by one, each so many epochs after the one behind it, and at last the stem.

    Raises:
        ValueError: If the schedule is none, or, when training begins, it names what the model
            has not, or what will thaw is frozen already, or unknown to the optimizer.

    Reference: [Howard and Ruder, 2018](https://arxiv.org/abs/1801.06146)

    >>> import backbones, heads
    >>> backbone = backbones.resnet((32, 32, 3), depth=18)
    >>> model = heads.attach(backbone, heads.ClassificationHead(10))
    >>> GradualUnfreezing(3).stages(model)
    {0: 'P5', 3: 'P4', 6: 'P3', 9: 'P2', 12: 'P1', 15: None}
    """

    def __init__(self, schedule: dict | int):
        super().__init__()
        epochs = list(schedule) if isinstance(schedule, dict) else [0, schedule]
        whole = all(isinstance(x, int) and not isinstance(x, bool) and x >= 0 for x in epochs)
        if not whole or 0 not in epochs or schedule == 0:
            raise ValueError(
                "`schedule` must be a number of epochs above zero, or a dict from epochs, one of "
                f"them 0, to what is frozen from then on. Received: schedule={schedule!r}."
            )
        self.schedule = schedule
        self.begun = None

    def stages(self, model: keras.Model) -> dict:
        """Return the schedule for a model, from epochs to what is frozen from then on."""
        if isinstance(self.schedule, dict):
            return dict(sorted(self.schedule.items()))
        levels = levels_of(model)
        if not levels:
            raise ValueError(
                "A number of epochs needs a model with levels. "
                f"Received: schedule={self.schedule!r} for {model.name!r}, which has none. "
                'Write a dict with the names of layers: {0: "layer", 3: None}.'
            )
        return {i * self.schedule: x for i, x in enumerate([*levels[::-1], None])}

    def on_train_begin(self, logs=None):
        self._end()  # of a training that was interrupted
        frozen = {
            epoch: [] if up_to is None else [layer for _, layer in frozen_layers(self.model, up_to)]
            for epoch, up_to in self.stages(self.model).items()
        }
        _check_thawed(self.model, frozen)
        self.begun = _Begun(self.model, frozen)

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.move_to(max(x for x in self.begun.frozen if x <= epoch))

    def on_train_end(self, logs=None):
        self._end()

    def _end(self):
        if self.begun is not None:
            self.begun.restore()
        self.begun = None


def _check_thawed(model, frozen):
    """Raise where a layer that the schedule thaws would stay frozen."""
    always = set.intersection(*({id(x) for x in layers} for layers in frozen.values()))
    for layer in (x for layers in frozen.values() for x in layers):
        if not layer.trainable and id(layer) not in always:
            raise ValueError(
                "What a schedule thaws must be trainable when training begins. Received: "
                f"{model.name!r} with {layer.name!r} frozen, by hand or by a training that was "
                "interrupted. Call tuning.unfreeze(model) and model.compile(…) first."
            )


class _Begun:
    """A training with its frozen layers by epoch, and what is to be restored at its end."""

    def __init__(self, model, frozen):
        self.model, self.frozen, self.now = model, frozen, None
        self.before = [(layer, layer.trainable) for layer in model._flatten_layers()]
        optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        inner = getattr(optimizer, "inner_optimizer", None)  # of loss scaling
        self.known = [_Known(x) for x in (optimizer, inner) if x is not None]
        seen = self.known[0].kept
        missing = [v.path for v in model.trainable_variables if id(v) not in seen]
        if missing:
            raise ValueError(
                "The optimizer must know every weight that will thaw. Received: a model whose "
                f"optimizer has never seen {len(missing)} of them, such as {missing[0]!r}. "
                "Compile it again with all layers trainable."
            )

    def move_to(self, epoch):
        if epoch == self.now:
            return
        self.now = epoch
        self._as_before()
        for layer in self.frozen[epoch]:
            layer.trainable = False
        if not self.model.trainable_variables:
            raise ValueError(
                "A schedule must leave something to train. "
                f"Received: one that freezes all of {self.model.name!r} in epoch {epoch}."
            )
        for known in self.known:
            known.keep(self.model.trainable_variables)
        self.model.make_train_function(force=True)

    def restore(self):
        self._as_before()
        for known in self.known:
            known.restore()
        self.model.train_function = None

    def _as_before(self):
        for layer, trainable in self.before:  # outer layers first: they set the inner ones, too
            layer.trainable = trainable


class _Known:
    """The weights that an optimizer knows, of which it may be given a part.

    An optimizer finds what it has gathered for a weight by the weight's place. The weights keep
    their places, and those left out are unknown to it for a while.
    """

    def __init__(self, optimizer):
        self.optimizer = optimizer
        names = ("_trainable_variables", "_trainable_variables_indices")
        names += ("_model_variables_moving_average",) if optimizer.use_ema else ()
        self.all = {name: getattr(optimizer, name) for name in names}
        self.variables = list(self.all["_trainable_variables"])
        self.kept = {id(v) for v in self.variables}
        self.averaged = set(self.kept) if int(optimizer.iterations) else set()

    def keep(self, variables):
        optimizer, ids = self.optimizer, {id(v) for v in variables}
        kept = [(i, v) for i, v in enumerate(self.variables) if id(v) in ids]
        new = {
            "_trainable_variables": [v for _, v in kept],
            "_trainable_variables_indices": {optimizer._var_key(v): i for i, v in kept},
        }
        if optimizer.use_ema:
            averages = self.all["_model_variables_moving_average"]
            new["_model_variables_moving_average"] = [averages[i] for i, _ in kept]
            self._average(ids)
        vars(optimizer).update(new)  # setting attributes would have them tracked anew
        self.kept = ids

    def restore(self):
        vars(self.optimizer).update(self.all)
        if self.optimizer.use_ema:
            self._average({id(v) for v in self.variables})

    def _average(self, ids):
        """Begin the averages of weights at their values: at 0, they would soon replace them."""
        averages = self.all["_model_variables_moving_average"]
        for average, v in zip(averages, self.variables):
            if id(v) in ids - self.averaged:
                average.assign(keras.ops.copy(v))  # JAX gives each buffer away once
        self.averaged |= ids
