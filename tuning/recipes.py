"""Recipes of training: a schedule and an optimizer that need one number, the steps."""

import keras

from tuning.checks import is_number

# Biases, what norms learn, and PReLU's slopes, `alpha`; TensorFlow matches against the whole path,
# others the name alone.
NOT_DECAYED = r"(^|/)(bias|beta|gamma|scale|alpha)(:\d+)?$"


def cosine_warmup(steps, peak=1e-3, warmup=0.05, final=0.0):
    """Return a learning rate that rises in a line, then falls along half a cosine.

    Args:
        steps: Number of training steps, warm-up included: epochs times batches an epoch.
        peak: Highest learning rate, reached at the end of the warm-up.
        warmup: Steps of the warm-up, or their share of `steps` if below 1.
        final: Learning rate from step `steps` on.

    Raises:
        ValueError: If a number is out of range.

    Reference: [Loshchilov and Hutter, 2016](https://arxiv.org/abs/1608.03983);
    [Goyal et al., 2017](https://arxiv.org/abs/1706.02677) for the warm-up

    >>> rate = cosine_warmup(steps=100, peak=0.5, warmup=10)
    >>> [round(float(rate(step)), 2) for step in (0, 10, 55, 100)]
    [0.05, 0.5, 0.25, 0.0]
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"`steps` must be a whole number above zero. Received: steps={steps!r}.")
    if not (is_number(peak) and is_number(final)) or not 0 <= final <= peak or not peak:
        raise ValueError(
            "`peak` must be a number above 0 and `final` one between 0 and it. "
            f"Received: peak={peak!r}, final={final!r}."
        )
    if not is_number(warmup) or not 0 <= warmup < steps:
        raise ValueError(
            "`warmup` must be a share from 0 to below 1, or a number of steps below `steps`. "
            f"Received: warmup={warmup!r}, steps={steps!r}."
        )
    rising = round(warmup * steps) if warmup < 1 else int(warmup)
    rising = min(rising, steps - 1)
    rise = {}
    if rising:
        # The first step already moves: with a rate of 0 its gradient would be lost.
        rise = {"warmup_target": peak, "warmup_steps": rising}
    return keras.optimizers.schedules.CosineDecay(
        peak / rising if rising else peak, steps - rising, alpha=final / peak, **rise
    )


def adamw(steps, peak=1e-3, *, weight_decay=0.01, warmup=0.05, final=0.0, clip=1.0, ema=None):
    """Return AdamW with a cosine schedule, which decays no bias, norm or slope of PReLU.

    Keras does not store which weights are left out: a model that was saved and loaded trains on
    with all of them decayed, unless it is compiled again.

    Args:
        steps: Number of training steps: epochs times batches an epoch. `None` for a constant
            rate, or where `peak` is a schedule.
        peak: Highest learning rate, or a schedule, such as `cyclical`.
        weight_decay: Share of each weight taken off a step, times the learning rate.
        warmup: Steps of the warm-up, or their share of `steps` if below 1.
        final: Learning rate of the last step.
        clip: Largest norm of all gradients together, `None` for any.
        ema: Momentum of a moving average of the weights, such as 0.99, `None` for no average.
            At the end of `fit` the weights are the averages; the callback
            `keras.callbacks.SwapEMAWeights` validates with them, too.

    Raises:
        ValueError: If a number is out of range, or there are both steps and a schedule.

    Reference: [Loshchilov and Hutter, 2017](https://arxiv.org/abs/1711.05101);
    [Polyak and Juditsky, 1992](https://doi.org/10.1137/0330046) (averages)

    >>> adamw(steps=100, peak=3e-3).weight_decay
    0.01
    """
    scheduled = isinstance(peak, keras.optimizers.schedules.LearningRateSchedule)
    if scheduled and steps is not None:
        raise ValueError(
            "A schedule has its own steps. "
            f"Received: steps={steps!r} and peak={peak!r}. Give steps=None."
        )
    if not scheduled and not (is_number(peak) and peak > 0):
        raise ValueError(f"`peak` must be a number above 0. Received: peak={peak!r}.")
    if not is_number(weight_decay) or weight_decay < 0:
        raise ValueError(
            f"`weight_decay` must be a number from 0. Received: weight_decay={weight_decay!r}."
        )
    if clip is not None and not (is_number(clip) and clip > 0):
        raise ValueError(f"`clip` must be None or a number above 0. Received: clip={clip!r}.")
    if ema is not None and not (is_number(ema) and 0 < ema < 1):
        raise ValueError(f"`ema` must be None or between 0 and 1. Received: ema={ema!r}.")
    rate = peak if steps is None else cosine_warmup(steps, peak, warmup, final)
    average = {} if ema is None else {"use_ema": True, "ema_momentum": ema}
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=weight_decay, global_clipnorm=clip, **average
    )
    optimizer.exclude_from_weight_decay(var_names=[NOT_DECAYED])
    return optimizer
