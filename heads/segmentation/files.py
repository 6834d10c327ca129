"""Data sets of image files with mask files."""

import warnings
from pathlib import Path

import numpy as np

from blocks.base import check_positive
from heads import pixels
from heads.segmentation.masks import MaskTargets
from heads.segmentation.palette import as_palette, ids_of_colors
from heads.segmentation.segment import nearest

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


class SegmentationFiles:
    """Images and their masks, read from files with the same names.

    What is wrong is said with the file's name: a missing mask, one of another size than its
    image, a value that is no class, a colour that is not in the palette. Names and sizes are read
    at once, values when they are needed; with `skip` all masks are read at once, and what is wrong
    is left out, with a warning, and listed in `skipped`.

    Args:
        images: Folder of the images.
        masks: Folder of the masks, each with the name of its image but for the suffix. Without a
            palette their pixels are class ids, those of an indexed PNG its indices; masks of 0 and
            255 need one, because 255 is the label that does not count. Or a list of
            folders, one for each class from 1 on, whose masks are not zero where the class is; the
            later folder wins, the rest is class 0.
        num_classes: Number of classes; 1 is a binary mask.
        palette: What pixels mean: a list of colours or grey values in the order of the classes,
            or a dict from them to ids: `[(0, 0, 0), (128, 0, 0)]`, `{0: 0, 255: 1}`.
        size: `(height, width)` to which images are resized, linearly, and masks by nearest
            neighbours; by default they stay.
        ignore_label: The id of pixels that do not count, or `None`.
        skip: Whether to leave out what is wrong.

    Attributes:
        pairs: Tuples of an image's path and the path of its mask, or a list of paths.
        skipped: What was left out, and why, a line each.

    Raises:
        ValueError: If anything is wrong and is not skipped.

    >>> import tempfile
    >>> from PIL import Image
    >>> folders = [Path(tempfile.mkdtemp()) for _ in ("images", "masks")]
    >>> for folder, shape in zip(folders, [(6, 8, 3), (6, 8)]):
    ...     Image.fromarray(np.zeros(shape, "uint8")).save(folder / "first.png")
    >>> x, y = SegmentationFiles(*folders, num_classes=3, size=(4, 4)).arrays()
    >>> x.shape, y.shape
    ((1, 4, 4, 3), (1, 4, 4))
    """

    def __init__(
        self, images, masks, num_classes, *, palette=None, size=None, ignore_label=255, skip=False
    ):
        check_positive(num_classes=num_classes)
        if size is not None:
            pixels.check_size(size)
        self.targets = MaskTargets(num_classes, ignore_label)
        self.palette, self.size = as_palette(palette), size and tuple(size)
        self.colored = bool(self.palette) and isinstance(next(iter(self.palette)), tuple)
        several = isinstance(masks, (list, tuple))
        folders = [_folder(x) for x in (masks if several else [masks])]
        if several and len(folders) != max(1, num_classes - 1):
            raise ValueError(
                "One folder a class is needed, but for class 0. "
                f"Received: {len(folders)} folders for {num_classes} classes."
            )
        self.several = several
        paths, problems = _folder(images), []
        self.pairs = []
        for stem, path in paths.items():
            pair = path, [folder.get(stem) for folder in folders]
            problem = self._wrong(*pair, read=skip)
            problems += [problem] if problem else []
            self.pairs += [] if problem else [pair]
        if problems and not skip:
            more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
            raise ValueError(f"{problems[0]} skip=True leaves such files out.{more}")
        if not self.pairs:
            raise ValueError(
                f"There must be images with masks. Received: {len(paths)} images in {images}, "
                f"{sum(map(len, folders))} masks in {masks}."
                + "".join(f" Skipped, {len(problems)} in all: {text}" for text in problems[:1])
            )
        lonely = [x for folder in folders for stem, x in folder.items() if stem not in paths]
        self.skipped = problems + [f"{x}: a mask without an image." for x in lonely]
        if self.skipped:
            text = f"{len(self.skipped)} files were skipped, see `skipped`: {self.skipped[0]}"
            warnings.warn(text, stacklevel=2)

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        """Return an image, uint8 `(height, width, 3)`, and its mask, int32 `(height, width)`."""
        image, masks = self.pairs[index]
        return self._image(image), self._mask(masks)

    def arrays(self):
        """Return all images as one array and all masks as another; sides must be equal."""
        found = [self[i] for i in range(len(self))]
        sides = {x.shape[:2] for x, _ in found}
        if len(sides) > 1:
            raise ValueError(
                "Images of one array have equal sides. "
                f"Received: {' and '.join(map(str, sorted(sides)[:3]))}. Give `size`."
            )
        return tuple(np.stack(part) for part in zip(*found))

    def dataset(self, batch_size=8, *, shuffle=False, seed=None):
        """Return a `tf.data.Dataset` of batches that reads the files each time.

        Args:
            batch_size: Number of images in a batch; without `size` it must be 1, unless all
                images have equal sides.
            shuffle: Whether the order is another in every epoch.
            seed: Seed of the order.
        """
        import tensorflow as tf

        def read(index):
            x, y = tf.numpy_function(self._read, [index], ("uint8", "int32"))
            height, width = self.size or (None, None)
            return tf.ensure_shape(x, (height, width, 3)), tf.ensure_shape(y, (height, width))

        order = tf.data.Dataset.range(len(self))
        order = order.shuffle(len(self), seed=seed) if shuffle else order
        return order.map(read, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def _read(self, index):
        return self[int(index)]

    def _image(self, path):
        return pixels.read(path, self.size)

    def _mask(self, paths):
        ids = np.zeros((), "int32")
        for number, path in enumerate(paths, start=1):
            with pixels.opened(path) as file:
                found = np.asarray(file.convert("RGB") if self.colored else file)
                if "A" in file.getbands() and not self.colored:  # what covers is no value
                    found = found[..., 0] if found.shape[-1] == 2 else found[..., :-1]
            if self.several:
                found = found.reshape(*found.shape[:2], -1).any(-1)
                ids = np.where(found, np.int32(number), ids)
            else:
                ids = self._ids(found, path)
        return nearest(ids, self.size) if self.size else ids

    def _ids(self, pixels, path):
        """Return the class ids of pixels; raise where one has none."""
        if self.palette and pixels.ndim == 3 and not self.colored and _is_grey(pixels):
            pixels = pixels[..., 0]
        if pixels.ndim != 2 and not self.colored:
            raise ValueError(
                f"{path}: Masks of class ids have one channel. Received: {pixels.shape[-1]}. "
                "Give `palette`, what the colours mean."
            )
        if self.palette:
            pixels = ids_of_colors(pixels, self.palette, path)
        numbers = pixels if pixels.dtype.kind == "f" else pixels.astype("int64")
        _, wrong = self.targets.known(numbers)
        two = not self.palette and set(np.unique(pixels).tolist()) == {0, 255}
        if wrong.any() or (two and self.targets.num_classes <= 2):
            row, column = np.argwhere(wrong | (pixels == 255))[0].tolist()
            repair = " A mask of 0 and 255 has palette=[0, 255]" if two else ""
            repair += ", or {0: 0, 1: 1, 255: 255} where 255 is to be ignored." if two else ""
            raise ValueError(
                f"{path}: {self.targets.rule} Received: {pixels[row, column]} at row {row}, "
                f"column {column}.{repair}"
            )
        return pixels.astype("int32")

    def _wrong(self, image, masks, read):
        """Return what is wrong with a pair of files, or `None`."""
        if None in masks:
            place = f" of class {masks.index(None) + 1}" if self.several else ""
            return f"{image}: Each image must have a mask. Received: none{place}."
        try:
            sides = pixels.sides(image)[::-1]
            for mask in masks:
                with pixels.opened(mask) as file:
                    if file.size != sides:
                        return (
                            f"{mask}: A mask must be as large as its image. Received: "
                            f"{file.size[0]}x{file.size[1]} for {sides[0]}x{sides[1]}."
                        )
            if read:
                self._image(image), self._mask(masks)
        except ValueError as error:
            return str(error)
        return None


def _is_grey(pixels):
    """Return whether the channels of a coloured image are equal."""
    return (pixels[..., :3] == pixels[..., :1]).all()


def _folder(path):
    """Return the image files of a folder by their names without suffixes."""
    if not Path(path).is_dir():
        raise ValueError(f"A folder of image files is needed. Received: {str(path)!r}.")
    found = {}
    for file in sorted(Path(path).iterdir()):
        if file.suffix.lower() not in SUFFIXES:
            continue
        if file.stem in found:
            raise ValueError(
                f"Files must differ in more than the suffix. Received: {found[file.stem]}, {file}."
            )
        found[file.stem] = file
    return found
