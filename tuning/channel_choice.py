"""Which channels are cut: the last ones of a ranking, until a network costs little enough."""

import math

import numpy as np
from keras import ops

from blocks.graph import path_of

LEAST = 0.1  # share of the channels of a layer that always stays


def by_norm(channels):
    """Yield arrays of labels and their scores: the L1 norms of filters, as Li et al., 2017.

    They are divided by their mean, without which layers of small kernels would go first.
    """
    for _, kernel, axis in channels.makers:
        norms = np.abs(np.moveaxis(np.array(kernel, "float64"), axis, -1))
        norms = norms.reshape(-1, norms.shape[-1]).sum(0)
        yield channels.slices[id(kernel)][axis], norms / max(norms.mean(), 1e-12)


def by_batch_norm(channels):
    """Yield arrays of labels and their scores: the scales themselves, as Liu et al., 2017."""
    for norm, labels in channels.norms:
        yield labels, np.abs(ops.convert_to_numpy(norm.gamma))


BY = {"norm": by_norm, "batch_norm": by_batch_norm}


class Choice:
    """Finds the channels that stay.

    Args:
        channels: The `Channels` of a flat graph.
        flat, originals: That graph, and the layers of the model by the id of their copies.
        rows: Facts of each layer of the graph, by its name.
        by: Key of `BY`.
        multiple: Of it is the number of channels that stay in a layer.
    """

    def __init__(self, channels, flat, originals, rows, by, multiple):
        self.channels, self.flat, self.originals = channels, flat, originals
        self.roots, self.reasons = channels.roots()
        count = len(self.roots)
        total, times = np.zeros(count), np.zeros(count)
        for labels, scores in BY[by](channels):
            np.add.at(total, self.roots[labels], scores)
            np.add.at(times, self.roots[labels], 1)
        scored = times > 0
        self.scores = np.divide(total, times, out=total, where=scored)
        for root in np.unique(self.roots)[~scored[np.unique(self.roots)]].tolist():
            self.reasons.setdefault(root, f"no {by}")
        self.free = np.ones(count, bool)
        self.free[list(self.reasons)] = False
        self.families = self._families(multiple)
        self.order = sorted(
            (root for roots, _, _ in self.families for root in roots), key=self.scores.__getitem__
        )
        self.costs = self._costs(rows)

    def _families(self, multiple):
        """Return the roots that layers share, least first, how few may stay, in what steps."""
        family, size = {}, {}
        for _, kernel, axis in self.channels.makers:
            labels = self.roots[self.channels.slices[id(kernel)][axis]]
            roots, counts = np.unique(labels, return_counts=True)
            free = self.free[roots]
            roots, counts = roots[free].tolist(), counts[free]
            merged = {id(family[r]): family[r] for r in roots if r in family}
            members = sorted({*roots, *(r for each in merged.values() for r in each)})
            for root in members:
                family[root] = members
            for root, number in zip(roots, counts.tolist()):
                size[root] = max(size.get(root, 1), number)
        found = []
        for members in {id(x): x for x in family.values()}.values():
            each = max(size[root] for root in members)
            step = multiple // math.gcd(multiple, each)
            members = sorted(members, key=self.scores.__getitem__)
            found.append((members, _up(LEAST * len(members), step), step))
        return found

    def _costs(self, rows):
        """Return multiply-adds and weights of layers, the weights as the labels of their axes."""
        costs = []
        for layer in self.flat.layers:
            macs = rows[path_of(layer)].macs if path_of(layer) in rows else 0
            original = self.originals.get(id(layer), layer)
            weights = [
                (math.prod(w.shape), list(self.channels.slices.get(id(w), {}).values()))
                for w in original.weights
                if len(w.shape) > 1
            ]
            if macs and any(axes for _, axes in weights):
                costs.append((macs, weights))
        self.fixed = sum(row.macs for row in rows.values()) - sum(macs for macs, _ in costs)
        self.whole = self.fixed + sum(macs for macs, _ in costs)
        return costs

    def alive(self, share):
        """Return whether each label stays, so that this share of the multiply-adds is left.

        Raises:
            ValueError: If more are left of as few channels as there may be.
        """
        fewest, most = 0, len(self.order)
        least = self._macs(self._alive(self._left(most)))
        if least > share * self.whole:
            raise ValueError(
                f"`macs` must be at least {math.ceil(1000 * least / self.whole) / 1000}: what can "
                f"be cut of this model leaves as many. Received: macs={share}. tuning.pruning_plan "
                "says what keeps the others; heads keep their own widths, and a smaller `multiple` "
                "allows fewer channels."
            )
        while fewest < most:
            middle = (fewest + most) // 2
            if self._macs(self._alive(self._left(middle))) <= share * self.whole:
                most = middle
            else:
                fewest = middle + 1
        return self._alive(self._refilled(self._left(most), share * self.whole))

    def _left(self, cut):
        """Return how many roots of each family stay where the last `cut` of all would go."""
        gone = set(self.order[:cut])
        found = []
        for members, least, step in self.families:
            stay = sum(root not in gone for root in members)
            found.append(min(len(members), max(least, _up(stay, step))))
        return found

    def _refilled(self, left, most):
        """Return how many stay where families get channels back that still fit, the best first."""

        def next_best(i):
            return self.scores[self.families[i][0][-left[i] - 1]]

        changed = True
        while changed:
            changed = False
            open_ones = [i for i, (roots, _, _) in enumerate(self.families) if left[i] < len(roots)]
            for i in sorted(open_ones, key=next_best, reverse=True):
                members, _, step = self.families[i]
                more = [*left[:i], min(len(members), left[i] + step), *left[i + 1 :]]
                if self._macs(self._alive(more)) <= most:
                    left, changed = more, True
        return left

    def _alive(self, left):
        """Return whether each label stays where so many of the best roots of each family do."""
        stays = np.ones(len(self.roots), bool)
        for (members, _, _), count in zip(self.families, left):
            stays[members[: len(members) - count]] = False
        return stays[self.roots]

    def _macs(self, alive):
        total = self.fixed
        for macs, weights in self.costs:
            left = sum(
                size * math.prod(alive[labels].mean() for labels in axes) for size, axes in weights
            )
            total += macs * left / sum(size for size, _ in weights)
        return round(total)

    def makers(self):
        """Yield the name and the labels of each layer that makes channels."""
        names = {
            id(self.originals[id(x)]): path_of(x)
            for x in self.flat.layers
            if id(x) in self.originals
        }
        for layer, kernel, axis in self.channels.makers:
            yield names[id(layer)], self.channels.slices[id(kernel)][axis]

    def reason(self, labels):
        """Return why some of these labels stay, or an empty string."""
        return next((self.reasons[x] for x in self.roots[labels].tolist() if x in self.reasons), "")


def _up(count, step):
    return math.ceil(count / step) * step
