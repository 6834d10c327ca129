"""Pictures that come with a row of a table: a user's, or scikit-learn's digits."""

import csv
from pathlib import Path

import numpy as np

from examples.tables import column, lines_of


def read(path, side):
    """Return images `(count, side, side, channels)`, columns by name, classes, and their names.

    The file holds comma-separated values: the column `image` names a picture beside it, `target` is
    the class, all others are the table. Without one, a picture shows the upper half of a digit, and
    the table tells how much ink is in each row and column of the lower half.
    """
    if path is None:
        return digits()
    from PIL import Image

    lines = lines_of(path, csv.DictReader)
    names = [x for x in (lines[0] if lines else {}) if x]
    if not {"image", "target"} <= set(names) or len(names) < 3 or len(lines) < 30:
        raise SystemExit(
            f"{path} must have 30 rows at least, the columns image and target, and others. "
            f"Received: {len(lines)} rows of {', '.join(names) or 'nothing'}."
        )
    images = []
    for number, line in enumerate(lines, start=2):
        picture = Path(path).parent / line["image"]
        try:
            with Image.open(picture) as opened:
                images.append(np.asarray(opened.convert("RGB").resize((side, side))))
        except OSError as error:
            raise SystemExit(
                f"`image` must name a picture beside {path}. Received: {line['image']!r} in line "
                f"{number}: {error}"
            ) from None
    rows = {x: column([line[x] or "" for line in lines]) for x in names}
    classes, y = np.unique([line["target"] for line in lines], return_inverse=True)
    table = {key: x for key, x in rows.items() if key not in ("image", "target")}
    return np.stack(images).astype("float32"), table, y.astype("int32"), list(map(str, classes))


def digits():
    """Return halves of digits, of real handwriting, and the ink of the other halves."""
    from sklearn.datasets import load_digits

    found = load_digits()
    upper, lower = found.images[:, :4], found.images[:, 4:]
    images = np.repeat(upper, 2, axis=1)[..., None] * (255 / 16)
    rows = {f"row {i}": lower[:, i].sum(-1) for i in range(4)}
    rows |= {f"column {i}": lower[:, :, i].sum(-1) for i in range(8)}
    return images.astype("float32"), rows, found.target.astype("int32"), list("0123456789")
