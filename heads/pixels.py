"""Images in files."""

import contextlib
import os

import numpy as np

from blocks.base import check_positive

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # of 8 bits a channel


def check_size(size):
    """Raise where a size is not `(height, width)`."""
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise ValueError(f"`size` must be (height, width). Received: size={size!r}.")
    check_positive(height=size[0], width=size[1])


def is_path(image):
    """Return whether an image is given by the path of its file."""
    return isinstance(image, (str, os.PathLike))


@contextlib.contextmanager
def opened(path):
    """Open the image of a file; what is wrong with it is a `ValueError` that names the file."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            yield file
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError) as error:  # what Pillow raises of a broken file
        raise ValueError(f"{path}: The file must be an image. Received: {error}.") from error


def read(path, size=None):
    """Return the image of a file, upright, uint8 `(height, width, 3)`, resized if asked."""
    from PIL import Image

    with opened(path) as file:
        check_mode(file, path)
        image = upright(file).convert("RGB")
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR) if size else image)


def sides(path):
    """Return height and width of the image of a file, upright."""
    with opened(path) as file:
        check_mode(file, path)
        turned = file.getexif().get(ORIENTATION, 1) >= 5
        return file.size if turned else file.size[::-1]


ORIENTATION = 0x0112  # of EXIF; from 5 on height and width change places


def upright(image):
    """Return an image as cameras mean it to be seen."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def check_mode(image, path):
    """Raise where channels have more than 8 bits, which would be cut off at 255."""
    if image.mode not in MODES:
        raise ValueError(
            f"{path}: Images have 8 bits a channel. Received: mode {image.mode!r}. Scale its "
            "values to 0 to 255 first."
        )
