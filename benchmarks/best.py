"""The epoch whose weights are best on validation data."""

import keras


class Best(keras.callbacks.Callback):
    """Keep the weights of the epoch after which a score is highest.

    Args:
        score: Function of the model. It is called when the weights are averages, if
            `keras.callbacks.SwapEMAWeights(swap_on_epoch=True)` stands before this.
        every: Number of epochs between calls.
    """

    def __init__(self, score, every=1):
        super().__init__()
        self.score, self.every = score, every
        self.best, self.weights, self.epoch = None, None, 0

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        found = self.score(self.model)
        if self.best is None or found > self.best:
            self.best, self.weights, self.epoch = found, self.model.get_weights(), epoch + 1

    def restore(self):
        """Give the model its best weights."""
        self.model.set_weights(self.weights)
