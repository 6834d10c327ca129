"""Learning rates that rise and fall."""

import keras
from keras import ops

from blocks.base import check_positive, register
from tuning.checks import is_number


def cyclical(
    steps: int,
    peak: float = 1e-2,
    *,
    low: float | None = None,
    cycles: int = 1,
    shrink: float = 1.0,
    cooldown: float = 0.1,
    final: float | None = None,
) -> "Cyclical":
    """Return a learning rate that rises to a peak and falls again, in lines, once or often.

    By default one cycle, then a cool-down far below it (Smith, 2018). With
    `cycles=8, cooldown=0` it is the triangular rate (Smith, 2015), with `shrink=0.5` its
    "triangular2". `tuning.adamw(None, tuning.cyclical(steps))` trains with it.

    Args:
        steps: Number of training steps: epochs times batches an epoch.
        peak: Highest learning rate, in the middle of a cycle.
        low: Learning rate at both ends of a cycle; by default a tenth of `peak`, as in the paper.
        cycles: Number of cycles.
        shrink: Factor from the height of a cycle above `low` to that of the next.
        cooldown: Share of the steps, at the end, in which it falls from `low` to `final`.
        final: Last learning rate, kept after `steps`; by default a hundredth of `low`, or `low`
            where there is no cool-down.

    Raises:
        ValueError: If a number is out of range.

    Reference: [Smith, 2015](https://arxiv.org/abs/1506.01186);
    [Smith, 2018](https://arxiv.org/abs/1803.09820)

    >>> rate = cyclical(steps=100, peak=1.0, cooldown=0.2)
    >>> [round(float(rate(step)), 3) for step in (0, 20, 40, 80, 90, 100)]
    [0.1, 0.55, 1.0, 0.1, 0.051, 0.001]
    """
    check_positive(steps=steps, cycles=cycles)
    if not is_number(peak) or not peak > 0:
        raise ValueError(f"`peak` must be a number above 0. Received: peak={peak!r}.")
    low = peak / 10 if low is None else low
    if not is_number(low) or not 0 <= low <= peak:
        raise ValueError(f"`low` must lie between 0 and `peak`. Received: low={low!r}.")
    for name, value, most in (("shrink", shrink, "1"), ("cooldown", cooldown, "below 1")):
        if not is_number(value) or not 0 <= value <= 1 or (name == "cooldown" and value == 1):
            raise ValueError(
                f"`{name}` must be a number from 0 to {most}. Received: {name}={value!r}."
            )
    final = (low / 100 if cooldown else low) if final is None else final
    if not is_number(final) or not 0 <= final <= low or (not cooldown and final != low):
        raise ValueError(
            "`final` must lie between 0 and `low`, and needs a cool-down. "
            f"Received: final={final!r}, low={low!r}, cooldown={cooldown!r}."
        )
    return Cyclical(steps, peak, low, cycles, shrink, cooldown, final)


@register
class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    """The schedule that `cyclical` makes, with the same arguments."""

    def __init__(self, steps, peak, low, cycles, shrink, cooldown, final):
        self.config = {"steps": steps, "peak": peak, "low": low, "cycles": cycles}
        self.config |= {"shrink": shrink, "cooldown": cooldown, "final": final}
        vars(self).update(self.config)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = self.steps * (1.0 - self.cooldown)  # and falling
        place = step * self.cycles / rising
        cycle = ops.floor(place)
        height = 1.0 - ops.abs(2.0 * (place - cycle) - 1.0)
        swung = self.low + (self.peak - self.low) * height * ops.power(self.shrink, cycle)
        rest = self.steps - rising
        cooled = ops.clip((step - rising) / rest, 0.0, 1.0) if rest else 0.0
        falling = self.low + (self.final - self.low) * cooled
        return ops.where(step < rising, swung, falling)

    def get_config(self):
        return dict(self.config)
