"""Scores over a whole catalogue while a recommender trains."""

import keras
import numpy as np

from blocks.base import check_positive
from heads.deployment import deploy
from heads.recommendation.scores import recommendation_scores


class CatalogueScores(keras.callbacks.Callback):
    """Put what a recommender finds among all items into the logs.

    The logs get `"val_catalogue_recall_10"`, `"…_ndcg_10"`, `"…_mrr_10"` and `"…_hit_rate_10"`.
    Callbacks after it see them, if they are told the direction:
    `EarlyStopping("val_catalogue_ndcg_10", mode="max")`. In epochs between two looks they hold what
    the last one found.

    Args:
        users: Inputs of the users, an array or a dict by the names of the deployed model's inputs.
        relevant: For every user the items that are right: places in `items`, or of a
            `SequentialHead` ids.
        items: Inputs of the catalogue's items, of a `RetrievalHead`.
        k: Number of items that are looked at.
        every: Epochs from one look to the next; the first is after so many.
        batch_size: Number of users at a time.
        **options: Further options of the head's answer, such as `seen=20`.

    >>> callback = CatalogueScores(np.ones((2, 3)), [4, 0], np.ones((5, 2)), every=5)
    """

    def __init__(self, users, relevant, items=None, *, k=10, every=1, batch_size=256, **options):
        super().__init__()
        check_positive(k=k, every=every, batch_size=batch_size)
        self.users, self.relevant, self.k, self.every = users, relevant, k, every
        self.batch_size, self.options, self.found = batch_size, {"k": k, **options}, {}
        if items is not None:
            self.options["items"] = items

    def on_train_begin(self, logs=None):
        self.found = {}
        self.answers()  # what does not fit is told now

    def answers(self):
        """Return the items that the model answers the users with."""
        answer = deploy(self.model, **self.options)
        found = answer.predict(self.users, batch_size=self.batch_size, verbose=0)
        return np.asarray(found["items"])

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every == 0:
            scores = recommendation_scores(self.answers(), self.relevant, k=self.k)
            self.found = {f"val_{name}": x for name, x in scores.items()}
        if logs is not None:
            logs |= self.found
