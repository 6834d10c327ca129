"""A user's folder of images with boxes or masks."""

import json
from pathlib import Path

import numpy as np

import heads
from examples import scenes


def begun_with(out, overwrite, parts, **facts):
    """Note what a search in a folder is begun with; end where it was begun with something else.

    Args:
        out: The folder.
        overwrite: Whether it begins anew.
        parts: `(images, targets)` to train, validate and test on.
        **facts: What else it depends on.
    """
    (images, targets), *_ = parts
    facts |= {
        "images": [*(len(part[0]) for part in parts), *images.shape[1:]],
        "mean": float(images.mean()),
        "mean of targets": float(targets.mean()),
    }
    path = Path(out, "begun_with.json")
    before = json.loads(path.read_text()) if path.exists() and not overwrite else facts
    if differ := [name for name in {**before, **facts} if before.get(name) != facts.get(name)]:
        told = ", ".join(f"{name} {before.get(name)}, now {facts.get(name)}" for name in differ)
        raise SystemExit(
            f"{out} holds a search on something else: {told}. Give another --out, or --overwrite."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts))


def boxes_of(folder, side):
    """Return images `(count, side, side, 3)`, their packed targets, and names of the classes.

    The folder holds `images` and `boxes.json` (COCO), `xml` (VOC), or `labels` and `names.txt`
    (YOLO). What is wrong in it is left out, with a warning.
    """
    folder = Path(folder)
    images = folder / "images"
    if (folder / "boxes.json").exists():
        files = heads.DetectionFiles.coco(folder / "boxes.json", images, skip=True)
    elif (folder / "xml").is_dir():
        files = heads.DetectionFiles.voc(folder / "xml", images, skip=True)
    elif (folder / "names.txt").exists():
        names = (folder / "names.txt").read_text().split("\n")
        names = [name.strip() for name in names if name.strip()]
        files = heads.DetectionFiles.yolo(folder / "labels", images, names, skip=True)
    else:
        raise SystemExit(
            f"{folder} must hold images, and boxes.json (COCO), xml (VOC), or labels and names.txt "
            f"(YOLO). Received: {', '.join(sorted(x.name for x in folder.glob('*'))) or 'nothing'}."
        )
    images = np.stack([files.image(i, (side, side)) for i in range(len(files))])
    return images.astype("float32"), files.targets((side, side)), files.names


def masks_of(folder, side, num_classes, palette=None):
    """Return images `(count, side, side, 3)` and their class maps, of `images` and `masks`."""
    places = [Path(folder, name) for name in ("images", "masks")]
    size = (side, side)
    files = heads.SegmentationFiles(*places, num_classes, palette=palette, size=size, skip=True)
    images, masks = files.arrays()
    return images.astype("float32"), masks


def tissue(args):
    """Return images and binary masks to train, validate and test on: a user's, or scenes made.

    Args:
        args: What was asked for: `data`, the folder or `None`, `side`, `scenes` and `seed`.
    """
    if args.data:
        images, masks = masks_of(args.data, args.side, 1, palette=[0, 255])
        return [(images[x], masks[x]) for x in split(len(images), args.seed)]
    counts = (args.scenes, *[max(1, args.scenes // 5)] * 2)
    return [scenes.of_tissue(n, part, args.side) for part, n in zip(scenes.PARTS, counts)]


def split(count, seed):
    """Return places of training (70 %), validation and test images (15 % each)."""
    places = np.random.default_rng(seed).permutation(count)
    parts = np.split(places, [round(0.7 * count), round(0.85 * count)])
    if not all(map(len, parts)):
        raise SystemExit(f"There must be images to train, validate and test on. Received: {count}.")
    return parts
