"""Verification of identities while a model trains."""

import keras

from heads.deployment import deploy, predicted
from heads.graph import heads_of
from heads.pairs import verification


class VerifyPairs(keras.callbacks.Callback):
    """Put what the embeddings are worth for other identities into the logs of every epoch.

    The logs get `"val_verification"`, the accuracy, and the same name with `_auc`, `_eer` and
    `_tar`. Callbacks after it see them, if they are told the direction:
    `EarlyStopping("val_verification", mode="max")`.

    Args:
        data: `(inputs, ids)`, the ids whole numbers, or a dataset of such batches. The identities
            are best such as are not trained on; see `heads.verification`.
        far: Share of the pairs of two identities that may be accepted, for `_tar`.
        folds: Number of folds of the accuracy.
        name: Name in the logs.

    Raises:
        ValueError: If the model has not one head that answers with embeddings.

    >>> callback = VerifyPairs((np.zeros((4, 8, 8, 3)), np.array([0, 0, 1, 1])), folds=2)
    """

    def __init__(self, data, *, far=0.01, folds=10, name="val_verification"):
        super().__init__()
        self.data, self.far, self.folds, self.name = data, far, folds, name

    def on_train_begin(self, logs=None):
        heads = heads_of(self.model)
        names = [name for name, head in heads.items() if head.answer_name == "embedding"]
        if len(names) != 1:
            raise ValueError(
                "A model with one head that answers with embeddings is needed, a MarginHead. "
                f"Received: a model with {', '.join(heads)}."
            )
        self.embedder = deploy(self.model)
        if isinstance(self.embedder.output, dict):
            (output,) = (self.embedder.output[name] for name in names)
            self.embedder = keras.Model(self.embedder.input, output)

    def on_epoch_end(self, epoch, logs=None):
        found = verification(*predicted(self.embedder, self.data), far=[self.far], folds=self.folds)
        logs[self.name] = found["accuracy"]
        logs |= {f"{self.name}_{key}": found[key] for key in ("auc", "eer")}
        logs[f"{self.name}_tar"] = found["tar"][self.far]
