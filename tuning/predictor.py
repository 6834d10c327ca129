"""Costs of a model that was not run, from those that were."""

import math

import numpy as np

LEAST = 12  # measured architectures before anything is predicted
WIDTH = 2.0  # standard errors that a prediction may be wrong by
RIDGE = 1e-2


def features(rows):
    """Return what tells the costs of a model: logarithms of counts, by kind of layer.

    Args:
        rows: `export.measure(model).layers`.
    """
    macs = dict.fromkeys(("depthwise", "convolution", "rest"), 0)
    for row in rows:
        kind = row.kind.lower()
        name = "depthwise" if "depthwise" in kind else "convolution" if "conv" in kind else "rest"
        macs[name] += row.macs or 0
    sizes = [math.prod(row.output_shape) for row in rows]
    counts = [*macs.values(), sum(row.params for row in rows), sum(sizes), len(rows)]
    return [round(math.log1p(count), 6) for count in counts]


class Predictor:
    """Ridge regression of the logarithm of a cost.

    Args:
        known: Features of the models that were measured.
        costs: The cost of each, above zero.

    Attributes:
        error: Standard deviation of the logarithm that is left where each model is predicted
            from the others.
    """

    def __init__(self, known, costs):
        x, y = np.array(known, "float64"), np.log(np.array(costs, "float64"))
        self.mean, self.std = x.mean(0), x.std(0) + 1e-9
        x, self.middle = (x - self.mean) / self.std, y.mean()
        gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
        self.weights = np.linalg.solve(gram, x.T @ (y - self.middle))
        leverage = 1 / len(x) + np.einsum("ij,jk,ik->i", x, np.linalg.inv(gram), x)
        left = (y - self.middle - x @ self.weights) / np.maximum(1 - leverage, 1e-3)
        self.error = float(np.sqrt(np.mean(left**2)))

    def predict(self, model):
        """Return the cost of a model with these features."""
        x = (np.array(model) - self.mean) / self.std
        return float(np.exp(self.middle + x @ self.weights))

    def least(self, model):
        """Return the least that the cost may be."""
        return self.predict(model) * math.exp(-WIDTH * self.error)
