"""What many arguments must be."""

import math
import numbers


def check_seed(seed):
    """Raise where a seed is none that NumPy and scikit-learn take."""
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must be a whole number below 2 ** 32. Received: seed={seed!r}.")


def is_number(value):
    """Return whether a value is a finite real number; a boolean is none.

    >>> [is_number(x) for x in (1, 0.5, True, "1", float("nan"))]
    [True, True, False, False, False]
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
