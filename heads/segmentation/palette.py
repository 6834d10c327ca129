"""What the colours of a mask mean."""

import numpy as np


def as_palette(palette):
    """Return a palette as a dict from a tuple or a number to an id."""
    if palette is None:
        return None
    colors = [np.asarray(color).tolist() for color in palette]
    ids = list(palette.values()) if isinstance(palette, dict) else range(len(colors))
    found = {tuple(k) if isinstance(k, list) else k: v for k, v in zip(colors, ids)}
    kinds = {len(k) if isinstance(k, tuple) else 0 for k in found}
    values = [x for k in found for x in (k if isinstance(k, tuple) else [k])]
    whole = all(isinstance(x, int) for x in [*values, *ids]) and all(0 <= x < 2**16 for x in values)
    if kinds not in ({0}, {3}) or len(found) != len(palette) or not whole:
        raise ValueError(
            "`palette` must hold colours (red, green, blue), or grey values, whole numbers, each "
            "once, and as a dict their ids. "
            f"Received: {palette!r}."
        )
    return found


def ids_of_colors(pixels, palette, path):
    """Return the id that a palette gives each pixel; raise where one has none, saying `path`."""
    codes = _codes(pixels)
    known = {_codes(np.array(color)).item(): v for color, v in palette.items()}
    values, inverse = np.unique(codes, return_inverse=True)
    missing = [value for value in values.tolist() if value not in known]
    if missing:
        row, column = np.argwhere(codes == missing[0])[0].tolist()
        raise ValueError(
            f"{path}: Every colour must be in `palette`. Received: "
            f"{pixels[row, column].tolist()} at row {row}, column {column}"
            f"{f', and {len(missing) - 1} other colours' if len(missing) > 1 else ''}."
        )
    ids = np.array([known[value] for value in values.tolist()])
    return ids[inverse].reshape(codes.shape)


def _codes(pixels):
    """Return a number for each colour; grey values are their own."""
    if pixels.ndim % 2:  # an image of three channels, or one colour
        return pixels.astype("int64") @ np.array([1 << 16, 1 << 8, 1])
    return pixels.astype("int64")
