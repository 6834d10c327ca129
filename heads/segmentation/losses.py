"""The losses of segmentation, each on zeros and ones of every class.

Each takes logits and targets, `(batch, *sides, classes)`, targets zero where the position does
not count, and `known`, `(batch, *sides, 1)`; it returns a number for each image. Of one class
probabilities are sigmoids, of several softmaxes.
"""

import keras
from keras import ops

from heads.cross_entropy import CrossEntropy
from heads.segmentation.boundary import agreement, edges


def cross_entropy(targets, logits, known, **options):
    """Return the mean over the positions that count, of the whole batch.

    The images' numbers have it as their mean, so an image with fewer positions counts less.

    Args:
        targets: Zeros and ones.
        logits: Their logits.
        known: Zeros where a position does not count.
        **options: `class_weights`, `label_smoothing` or `focal_gamma` of `heads.CrossEntropy`.
    """
    classes = logits.shape[-1]
    binary = classes == 1
    loss = CrossEntropy(classes, one_hot=not binary, multi_label=binary, **options)
    each = loss.multi_label if binary else loss.multi_class
    losses = each(targets, logits) * known[..., 0]
    axes = tuple(range(1, len(losses.shape)))
    counts = ops.sum(known[..., 0], axis=axes)
    return ops.sum(losses, axis=axes) / ops.maximum(ops.mean(counts), keras.config.epsilon())


def focal(targets, logits, known, gamma=2.0, **options):
    """Return the cross-entropy that plays down what is already right (Lin et al., 2017)."""
    return cross_entropy(targets, logits, known, focal_gamma=gamma, **options)


def tversky(targets, logits, known, alpha=0.3, beta=0.7):
    """Return one minus the Tversky index of the classes in an image (Salehi et al., 2017).

    `keras.losses.tversky` multiplies the misses by `alpha` and false alarms by `beta`.

    Args:
        targets: Zeros and ones.
        logits: Their logits.
        known: Zeros where a position does not count.
        alpha: Weight of false alarms.
        beta: Weight of misses.
    """
    p = probabilities(logits) * known
    hits = _sum(p * targets)
    index = hits / (hits + alpha * _sum(p * (1 - targets)) + beta * _sum((1 - p) * targets) + _TINY)
    return of_present(1 - index, targets)


def dice(targets, logits, known):
    """Return one minus the Dice score of the classes in an image (Milletari et al., 2016)."""
    return tversky(targets, logits, known, alpha=0.5, beta=0.5)


def lovasz(targets, logits, known):
    """Return the Lovász extension of one minus the IoU (Berman et al., 2018).

    Of several classes it is the Lovász-Softmax of the classes in an image; of a binary mask the
    Lovász hinge.
    """
    flat = (ops.shape(logits)[0], -1, logits.shape[-1])
    targets, logits, known = (
        ops.reshape(targets, flat),
        ops.reshape(logits, flat),
        ops.reshape(known, (flat[0], -1, 1)),
    )
    if logits.shape[-1] == 1:
        errors = ops.relu(1 - logits * (2 * targets - 1)) * known
        return ops.sum(_extension(errors, targets), axis=-1)
    errors = ops.abs(targets - probabilities(logits)) * known
    return of_present(_extension(errors, targets), targets)


def _extension(errors, targets):
    """Return the Lovász extension of the Jaccard loss, `(batch, classes)`.

    Errors of zero, such as those of positions that do not count, come last, where they change
    nothing.
    """
    order = ops.argsort(-errors, axis=1)
    errors = ops.take_along_axis(errors, order, axis=1)
    targets = ops.take_along_axis(targets, order, axis=1)
    total = ops.sum(targets, axis=1, keepdims=True)
    left = total - ops.cumsum(targets, axis=1)
    union = total + ops.cumsum(1 - targets, axis=1)
    jaccard = 1 - left / ops.maximum(union, 1)
    first = ops.zeros_like(jaccard[:, :1])
    steps = jaccard - ops.concatenate([first, jaccard[:, :-1]], axis=1)
    return ops.sum(errors * steps, axis=1)


def boundary(targets, logits, known, tolerance=2):
    """Return one minus the F1 of the edges of the classes in an image (Bokhovkin, 2019).

    Args:
        targets: Zeros and ones.
        logits: Their logits.
        known: Zeros where a position does not count.
        tolerance: Distance in positions at which edges still agree.
    """
    true = edges(targets, known)
    guess = edges(probabilities(logits) * known, known)
    f1, _ = agreement(true, guess, 2 * tolerance + 1)
    return of_present(1 - f1, true)


LOSSES = {
    "boundary": boundary,
    "cross_entropy": cross_entropy,
    "dice": dice,
    "focal": focal,
    "lovasz": lovasz,
    "tversky": tversky,
}
_TINY = 1e-7


def probabilities(logits):
    """Return the probability of every class, or of the mask."""
    return ops.sigmoid(logits) if logits.shape[-1] == 1 else ops.softmax(logits, axis=-1)


def of_present(losses, targets):
    """Return the mean of `(batch, classes)` over the classes in an image, 0 where there is none."""
    present = ops.cast(_sum(targets) > 0, losses.dtype)
    return ops.sum(losses * present, axis=-1) / ops.maximum(ops.sum(present, axis=-1), 1)


def _sum(x):
    return ops.sum(x, axis=tuple(range(1, len(x.shape) - 1)))
