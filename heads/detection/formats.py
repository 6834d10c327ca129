"""Annotations of boxes as COCO, Pascal VOC and YOLO write them, one form for all."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@dataclass
class Note:
    """One box: where it is written, its corners, its class's name or number.

    `relative` corners are shares of the image's sides. `problem` says what is wrong with the
    words themselves.
    """

    place: str
    corners: tuple = ()
    kind: object = None
    relative: bool = False
    crowd: bool = False
    area: float | None = None
    problem: str | None = None


def coco(path, images):
    """Return the classes of a COCO file, and for each image its path and notes."""
    content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    missing = [key for key in ("images", "annotations", "categories") if key not in content]
    if missing:
        raise ValueError(
            "A COCO file holds images, annotations and categories. "
            f"Received: {path} without {', '.join(missing)}."
        )
    kinds = {x["id"]: x["name"] for x in sorted(content["categories"], key=lambda x: x["id"])}
    if len(set(kinds.values())) < len(kinds):
        raise ValueError(
            "Categories have names of their own. "
            f"Received: {path} with {', '.join(map(str, kinds.values()))}."
        )
    found = {x["id"]: (Path(images, x["file_name"]), []) for x in content["images"]}
    if len(found) < len(content["images"]):
        twice = Counter(x["id"] for x in content["images"]).most_common(1)[0][0]
        raise ValueError(f"Images have ids of their own. Received: {path} with {twice!r} twice.")
    for entry in content["annotations"]:
        place = f"{path}: annotation {entry.get('id')}"
        try:
            left, top, width, height = map(float, entry["bbox"])
            note = Note(place, (left, top, left + width, top + height))
            note.kind = kinds.get(entry["category_id"], entry["category_id"])
            area = entry.get("area")
            note.crowd = bool(entry.get("iscrowd"))
            note.area = None if area is None else float(area)
            found[entry["image_id"]][1].append(note)
        except (KeyError, TypeError, ValueError) as error:
            problem = "bbox of four numbers, category_id and image_id of the file, and an area, if "
            problem += f"any, that is a number. {error!r}"
            found.setdefault(None, (None, []))[1].append(Note(place, problem=problem))
    return list(kinds.values()), list(found.values())


def voc(annotations, images):
    """Return the classes of a folder of VOC's files, and for each image its path and notes."""
    found, kinds = [], set()
    for path in sorted(Path(annotations).glob("*.xml")):
        notes = []
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            found.append((None, [Note(str(path), problem=f"XML. {error}")]))
            continue
        for number, entry in enumerate(root.iter("object"), start=1):
            note = Note(f"{path}: object {number}")
            try:
                note.kind = entry.find("name").text.strip()
                sides = ("xmin", "ymin", "xmax", "ymax")
                corners = [float(entry.find(f"bndbox/{side}").text) for side in sides]
                # VOC counts pixels from 1, and the last one belongs to the box.
                note.corners = (corners[0] - 1, corners[1] - 1, *corners[2:])
                kinds.add(note.kind)
            except (AttributeError, TypeError, ValueError):
                note.problem = "a name, and a bndbox of xmin, ymin, xmax and ymax."
            notes.append(note)
        name = root.findtext("filename") or path.stem
        found.append((image_of(images, name, path.stem), notes))
    return sorted(kinds), found


def yolo(labels, images):
    """Return, for each image of a folder, its path and the notes of the text file beside it."""
    found = []
    for image in sorted(x for x in Path(images).iterdir() if x.suffix.lower() in SUFFIXES):
        path, notes = Path(labels, f"{image.stem}.txt"), []
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines() if path.exists() else []
        except UnicodeDecodeError as error:
            lines, notes = [], [Note(str(path), problem=f"a file of text. {error}")]
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            note = Note(f"{path}: line {number}", relative=True)
            try:
                kind, x, y, width, height = map(float, line.split())
                note.kind = int(kind) if kind == int(kind) else kind
                half = width / 2, height / 2
                note.corners = (x - half[0], y - half[1], x + half[0], y + half[1])
            except (OverflowError, ValueError):
                note.problem = f"five numbers, class, x, y, width and height. Received: {line!r}."
            notes.append(note)
        found.append((image, notes))
    stems = {image.stem for image, _ in found}
    for path in sorted(Path(labels).glob("*.txt")):
        if path.stem not in stems and path.name != "classes.txt":
            found.append((Path(images, f"{path.stem}.jpg"), []))
    return found


def image_of(folder, *names):
    """Return the file of an image: by its name, or with another suffix."""
    for name in names:
        path = Path(folder, name)
        stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
        for each in (path, *(path.with_name(stem + suffix) for suffix in SUFFIXES)):
            if each.is_file():
                return each
    return Path(folder, names[0])
