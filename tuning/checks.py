"""What many arguments must be."""

import math
import numbers


def is_number(value):
    """Return whether a value is a finite real number; a boolean is none.

    >>> [is_number(x) for x in (1, 0.5, True, "1", float("nan"))]
    [True, True, False, False, False]
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
