"""Learning rates that fall with the distance from the head."""

import keras

from blocks.base import check_positive, register
from tuning.checks import is_number
from tuning.depth import depths


def layerwise_decay(
    optimizer: keras.optimizers.Optimizer | str,
    model: keras.Model,
    decay: float = 0.75,
    *,
    groups: int | None = None,
) -> "LayerwiseDecay":
    """Return an optimizer that moves each block by `decay` less than the block behind it.

    What lies near the inputs is general and was learned before; what lies near the head is new. A
    weight with `d` blocks between it and the outputs moves by `decay**d` of what the optimizer
    would move it, decay of the weight included. Schedules, clipping and averages of weights work
    as before.

    Args:
        optimizer: A Keras optimizer or its name. It becomes part of the new one.
        model: The functional or built `Sequential` `keras.Model` that will be trained.
        decay: Factor from one block to the one before it, above 0 up to 1. ELECTRA has 0.8 and
            0.9, BEiT 0.65 to 0.85, for networks of 12 and 24 blocks.
        groups: Number of groups into which the blocks of a deep network are gathered (12 for
            ConvNeXt); by default each block counts, so a network of 50 layers in a row starts
            with `0.75**49` of the rate.

    Raises:
        ValueError: If a number is out of range, the model is subclassed, or, when training
            begins, it is another model.

    Reference: [Clark et al., 2020](https://arxiv.org/abs/2003.10555) (ELECTRA);
    [Bao et al., 2021](https://arxiv.org/abs/2106.08254) (BEiT)

    >>> x = keras.Input((4,))
    >>> hidden = keras.layers.Dense(3, name="hidden")(x)
    >>> model = keras.Model(x, keras.layers.Dense(2, name="out")(hidden))
    >>> layerwise_decay("adam", model, 0.5).factors["hidden/kernel"]
    0.5
    """
    if not is_number(decay) or not 0 < decay <= 1:
        raise ValueError(f"`decay` must be above 0 and at most 1. Received: decay={decay!r}.")
    if groups is not None:
        check_positive(groups=groups)
    factors = {path: float(decay**depth) for path, depth in depths(model, groups).items()}
    return LayerwiseDecay(keras.optimizers.get(optimizer), factors)


@register
class LayerwiseDecay(keras.optimizers.Optimizer):
    """An optimizer that scales what another one does, by a factor for each weight.

    Args:
        optimizer: The other optimizer. Its moving average of the weights, if it has one, is kept
            here, of the weights as they are.
        factors: Dict from a weight's path to its factor.
        name: Name of the optimizer.
    """

    def __init__(self, optimizer, factors, name="layerwise_decay"):
        super().__init__(
            learning_rate=0.0,  # idle: the other's is used
            use_ema=optimizer.use_ema,
            ema_momentum=optimizer.ema_momentum,
            ema_overwrite_frequency=optimizer.ema_overwrite_frequency,
            name=name,
        )
        optimizer.use_ema = False
        self.scaled = optimizer
        self.factors = dict(factors)

    def build(self, variables):
        unknown = [v.path for v in variables if v.path not in self.factors]
        if unknown:
            raise ValueError(
                "The model must be the one that layerwise_decay was given. Received: one with "
                f"{len(unknown)} other weights, such as {unknown[0]!r}."
            )
        self.scaled.build(variables)
        super().build(variables)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        before = [keras.ops.copy(v) for v in trainable_variables]
        self.scaled.apply(grads, trainable_variables)
        for old, v in zip(before, trainable_variables):
            factor = self.factors[v.path]
            if factor != 1.0:
                v.assign(old + factor * (v - old))

    @property
    def variables(self):
        return super().variables + self.scaled.variables

    @property
    def learning_rate(self):
        return self.scaled.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.scaled.learning_rate = value

    def scale_loss(self, loss):
        return self.scaled.scale_loss(loss)

    def get_config(self):
        scaled = keras.optimizers.serialize(self.scaled)
        scaled["config"]["use_ema"] = self.use_ema
        return {"optimizer": scaled, "factors": dict(self.factors), "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        optimizer = keras.optimizers.deserialize(config["optimizer"], custom_objects)
        return cls(**{**config, "optimizer": optimizer})
