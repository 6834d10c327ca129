"""Numbers of channels that hardware likes."""


def round_channels(channels, divisor=8):
    """Round to a multiple of `divisor`, but never by more than a tenth downwards.

    Reference: [Sandler et al., 2018](https://arxiv.org/abs/1801.04381), the authors' code

    >>> round_channels(33), round_channels(11)
    (32, 16)
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor
