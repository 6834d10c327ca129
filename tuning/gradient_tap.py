"""The gradients of a training step, read as they go into the optimizer."""

import contextlib
from collections import deque

import keras
import numpy as np
from keras import ops

KEPT = 100  # steps at most that wait to be read


class Tap:
    """Reads the gradients as they go into the optimizer, while a step of training runs.

    The norms leave the step beside its logs, and are taken out again before anyone sees them.
    Model and optimizer are changed during a step alone: an interrupted training leaves nothing.
    """

    KEY = "_gradient_norms"

    def __init__(self, model):
        self.model, self.names, self.function = model, [], None
        self.seen = deque(maxlen=KEPT)
        # JAX hands an optimizer its state; the others call it.
        self.stateless = keras.backend.backend() == "jax"

    def attach(self):
        """Make the model's training function one that tells the norms, if it is not."""
        if self.model.train_function is self.function and self.function is not None:
            return
        tapped = self._tapped()
        with _replaced(*tapped):
            self.model.make_train_function(force=True)
        function = self.model.train_function

        def told(*args):
            with _replaced(*tapped):
                result = function(*args)
            logs = result[0] if isinstance(result, tuple) else result
            self.seen.append(logs.pop(self.KEY))
            return result

        self.function = self.model.train_function = told

    def detach(self):
        self.model.train_function = None

    def _tapped(self):
        """Return what is replaced during a step, as `(object, name, value)` each."""
        model, optimizer, stateless = self.model, self.model.optimizer, self.stateless
        method = "stateless_apply" if stateless else "apply"
        apply, step, norms = getattr(optimizer, method), model.train_step, []

        def tapped_apply(*args, **kwargs):
            state, grads = args[:2] if stateless else ([], args[0])
            variables = optimizer.variables if stateless else []
            with keras.StatelessScope(list(zip(variables, state))):
                scale = optimizer.scale_loss(1.0)
            norms[:] = [self._norms(grads, model.trainable_variables) / scale]
            return apply(*args, **kwargs)

        def tapped_step(*args, **kwargs):
            result = step(*args, **kwargs)
            logs, *state = result if stateless else (result,)
            logs = {**logs, self.KEY: norms.pop()}
            return (logs, *state) if stateless else logs

        return (optimizer, method, tapped_apply), (model, "train_step", tapped_step)

    def take(self):
        taken = [np.asarray(ops.convert_to_numpy(x)) for x in self.seen]
        self.seen.clear()
        return taken

    def _norms(self, grads, variables):
        squares, blocks = {}, _blocks(self.model)
        for gradient, variable in zip(grads, variables):
            if gradient is not None:
                name = blocks.get(id(variable), self.model.name)
                square = ops.sum(ops.square(ops.cast(gradient, "float32")))
                squares[name] = squares.get(name, 0.0) + square
        self.names = list(squares)
        return ops.sqrt(ops.stack(list(squares.values())))


@contextlib.contextmanager
def _replaced(*changes):
    for owner, name, value in changes:
        vars(owner)[name] = value
    try:
        yield
    finally:
        for owner, name, _ in changes:
            vars(owner).pop(name, None)


def _blocks(model, prefix=""):
    """Return the name of the layer, in nested models too, to which each weight's id belongs."""
    found = {}
    for layer in model.layers:
        name = prefix + layer.name
        inner = _blocks(layer, f"{name}.") if isinstance(layer, keras.Model) else {}
        found.update({id(w): inner.get(id(w), name) for w in layer.weights})
    return found
