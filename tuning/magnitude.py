"""Magnitude pruning: the smallest weights become zero while a model trains."""

import keras
import numpy as np
from keras import layers, ops

from tuning.checks import is_number

KERNELS = (
    layers.Dense,
    layers.EinsumDense,
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
)


class MagnitudePruning(keras.callbacks.Callback):
    """Make a growing share of every kernel zero, the smallest weights first, and hold them there.

    For archives: a `.tflite` file keeps its size and its speed, but packs better, as an app's
    download or a `.zip` does: of 70 % zeros about half is left. For a smaller and quicker file cut
    whole channels: `tuning.prune`.

    Kernels of dense layers and convolutions are pruned, each to the same share; depthwise ones,
    biases and normalization are not. Zeros are exact after every batch and at the end of `fit`;
    averages of weights (`SwapEMAWeights`) have them at the end. Begin with a trained model, and
    train some epochs on after `end_step`.

    Args:
        sparsity: Share of zeros in the end.
        begin_step: Step of the optimizer after which zeros begin.
        end_step: Step at which `sparsity` is reached; by default two thirds of the way from
            `begin_step` to the end of `fit`, which must then know its steps.
        frequency: Steps from one growth to the next; the paper's 100 at least.

    Raises:
        ValueError: If an argument is out of its range, or a model has no such kernel.

    Reference: [Zhu and Gupta, 2017](https://arxiv.org/abs/1710.01878)

    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(10)])
    >>> model.compile("sgd", loss="mse")
    >>> zeros = MagnitudePruning(0.5, frequency=1)
    >>> _ = model.fit(np.ones((32, 8)), np.ones((32, 10)), 8, verbose=0, callbacks=[zeros])
    >>> int((model.get_weights()[0] == 0).sum())
    40
    """

    def __init__(self, sparsity=0.7, *, begin_step=0, end_step=None, frequency=100):
        super().__init__()
        if not is_number(sparsity) or not 0 < sparsity < 1:
            raise ValueError(
                f"`sparsity` must be a share between 0 and 1. Received: sparsity={sparsity!r}."
            )
        given = {"begin_step": begin_step, "frequency": frequency}
        for name, value in {
            **given,
            **({} if end_step is None else {"end_step": end_step}),
        }.items():
            least = 0 if name == "begin_step" else 1
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"`{name}` must be a whole number of at least {least}. "
                    f"Received: {name}={value!r}."
                )
        if end_step is not None and end_step <= begin_step:
            raise ValueError(
                "`end_step` must come after `begin_step`. "
                f"Received: begin_step={begin_step}, end_step={end_step}."
            )
        self.sparsity, self.frequency = sparsity, frequency
        self.begin_step, self.end_step = begin_step, end_step

    def on_train_begin(self, logs=None):
        self.kernels = [
            layer.kernel
            for layer in self.model._flatten_layers()
            if isinstance(layer, KERNELS) and layer.built and layer.kernel.trainable
        ]
        if not self.kernels:
            raise ValueError(
                "A model is needed with dense layers or convolutions that train. "
                f"Received: {self.model.name!r}, which has none."
            )
        self.step = int(self.model.optimizer.iterations)
        self.last = self.end_step or self._end()
        self.masks = [None] * len(self.kernels)
        if self.step:  # a training that goes on has zeros already
            self._grow()

    def on_train_batch_end(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):  # there, `fit` keeps the weights to itself
            self.model.jax_state_sync()
        before, self.step = self.step, int(self.model.optimizer.iterations)
        if (
            before // self.frequency < self.step // self.frequency
            or before < self.last <= self.step
        ):
            self._grow()
        self._hold()

    def on_train_end(self, logs=None):
        self._hold()

    def share(self, step):
        """Return the share of zeros at a step: much at first, then less and less more."""
        done = (step - self.begin_step) / max(1, self.last - self.begin_step)
        return self.sparsity * (1 - (1 - min(max(done, 0.0), 1.0)) ** 3)

    def _end(self):
        steps = self.params.get("steps")
        if not steps:
            raise ValueError(
                "`end_step` must be given where fit does not know how many batches there are. "
                "Received: end_step=None."
            )
        all_steps = self.step + steps * self.params["epochs"]
        return self.begin_step + max(1, 2 * (all_steps - self.begin_step) // 3)

    def _grow(self):
        share = self.share(self.step)
        for i, kernel in enumerate(self.kernels):
            sizes = np.abs(ops.convert_to_numpy(kernel)).reshape(-1)
            mask = np.ones(sizes.shape, "float32")
            mask[np.argsort(sizes, kind="stable")[: round(share * len(sizes))]] = 0
            self.masks[i] = ops.convert_to_tensor(mask.reshape(kernel.shape), kernel.dtype)

    def _hold(self):
        for kernel, mask in zip(self.kernels, self.masks):
            if mask is not None:
                kernel.assign(ops.convert_to_tensor(kernel) * mask)
