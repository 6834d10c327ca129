"""Data sets of image files with mask files: right ones of every kind, and what is wrong."""

import keras
import numpy as np
import pytest
from PIL import Image

import heads

IDS = np.array([[0, 1, 2], [2, 255, 0]], "uint8")
COLORS = {0: (0, 0, 0), 1: (200, 0, 0), 2: (0, 0, 200), 255: (255, 255, 255)}


@pytest.fixture
def folders(tmp_path):
    """Two images, 2 high and 3 wide, and a folder for masks."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i, stem in enumerate("ab"):
        save(np.full((2, 3, 3), 10 * i, "uint8"), tmp_path / "images" / f"{stem}.bmp")
    return tmp_path / "images", tmp_path / "masks"


def save(array, path, mode=None, palette=None):
    image = Image.fromarray(np.ascontiguousarray(array))
    if mode == "P":
        image = Image.fromarray(array, "L")
        image.putpalette([value for i in range(256) for value in COLORS.get(i, (i, i, i))])
    image.save(path)


def painted(ids):
    return np.array([[COLORS[int(c)] for c in row] for row in ids], "uint8")


def both(folder, array, **options):
    for stem in "ab":
        save(array, folder / f"{stem}.png", **options)


def check(files, expected=IDS):
    assert len(files) == 2 and files.skipped == []
    image, mask = files[1]
    assert image.dtype == "uint8" and image.shape == (2, 3, 3) and (image == 10).all()
    assert mask.dtype == "int32"
    np.testing.assert_array_equal(mask, expected)


def test_masks_of_ids(folders):
    both(folders[1], IDS)
    check(heads.SegmentationFiles(*folders, 3))


def test_indexed_masks_are_their_indices(folders):
    both(folders[1], IDS, mode="P")
    check(heads.SegmentationFiles(*folders, 3))


@pytest.mark.parametrize("mode", [None, "P"])
def test_masks_of_colours(folders, mode):
    both(folders[1], IDS if mode else painted(IDS), mode=mode)
    check(heads.SegmentationFiles(*folders, 3, palette={v: k for k, v in COLORS.items()}))
    without = np.where(IDS == 255, 0, IDS)
    both(folders[1], painted(without))
    files = heads.SegmentationFiles(*folders, 3, palette=[COLORS[i] for i in range(3)])
    check(files, without)


def test_masks_of_two_grey_values(folders):
    ids = np.array([[0, 1, 1], [1, 0, 0]], "uint8")
    both(folders[1], ids * 255)
    check(heads.SegmentationFiles(*folders, 1, palette=[0, 255], ignore_label=None), ids)
    both(folders[1], ids.astype(bool))  # one bit a pixel
    check(heads.SegmentationFiles(*folders, 1), ids)


def test_one_file_a_class(folders, tmp_path):
    classes = [tmp_path / "cat", tmp_path / "dog"]
    for i, folder in enumerate(classes, start=1):
        folder.mkdir()
        both(folder, (IDS == i).astype("uint8") * 255)
    check(heads.SegmentationFiles(folders[0], classes, 3), np.where(IDS == 255, 0, IDS))
    (classes[1] / "b.png").unlink()
    with pytest.raises(ValueError, match="b.bmp: .* must have a mask. Received: none of class 2"):
        heads.SegmentationFiles(folders[0], classes, 3)
    with pytest.raises(ValueError, match="Received: 2 folders for 4 classes"):
        heads.SegmentationFiles(folders[0], classes, 4)


def test_arrays_and_sizes(folders):
    both(folders[1], IDS)
    x, y = heads.SegmentationFiles(*folders, 3, size=(4, 6)).arrays()
    assert x.shape == (2, 4, 6, 3) and x.dtype == "uint8"
    np.testing.assert_array_equal(y, [np.kron(IDS, np.ones((2, 2), int))] * 2)
    heads.check_targets((x, y), heads.UNetHead(3))
    save(np.zeros((5, 5, 3), "uint8"), folders[0] / "c.png")
    save(np.zeros((5, 5), "uint8"), folders[1] / "c.png")
    files = heads.SegmentationFiles(*folders, 3)
    with pytest.raises(ValueError, match="equal sides. Received: \\(2, 3\\) and \\(5, 5\\)"):
        files.arrays()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.data needs KERAS_BACKEND=tensorflow"
)
def test_dataset(folders):
    both(folders[1], IDS)
    data = heads.SegmentationFiles(*folders, 3, size=(4, 6)).dataset(2, shuffle=True, seed=0)
    assert [tuple(x.shape) for x in data.element_spec] == [(None, 4, 6, 3), (None, 4, 6)]
    ((x, y),) = list(data)
    assert sorted(x.numpy()[:, 0, 0, 0]) == [0, 10]
    np.testing.assert_array_equal(y, [np.kron(IDS, np.ones((2, 2), int))] * 2)
    heads.check_targets(data, heads.UNetHead(3))
    open_ = heads.SegmentationFiles(*folders, 3).dataset(1)
    assert [tuple(x.shape) for x in open_.element_spec] == [(None, None, None, 3), (None,) * 3]


def wrong_files(folders):
    """Give b a mask that is wrong in one of many ways; return {the way: (make, said)}."""
    path = folders[1] / "b.png"
    return {
        "missing": (lambda: path.unlink(), "b.bmp: Each image must have a mask. Received: none"),
        "size": (lambda: save(IDS[:, :2], path), "b.png: .* Received: 2x2 for 3x2"),
        "value": (
            lambda: save(IDS + np.uint8(1), path),
            "b.png: Masks must hold class ids.* Received: 3 at row 0, column 2",
        ),
        "colour": (lambda: save(painted(IDS), path), "b.png: .* one channel. Received: 3"),
        "broken": (
            lambda: path.write_bytes(b"no image"),
            "b.png: The file must be an image.",
        ),
    }


@pytest.mark.parametrize("way", ["missing", "size", "value", "colour", "broken"])
def test_what_is_wrong_names_the_file_and_is_skipped(folders, way):
    both(folders[1], IDS)
    make, said = wrong_files(folders)[way]
    make()
    with pytest.raises(ValueError, match=said):
        heads.SegmentationFiles(*folders, 3).arrays()
    with pytest.warns(UserWarning, match=f"1 files were skipped.*{said}"):
        files = heads.SegmentationFiles(*folders, 3, skip=True)
    assert len(files) == 1 and len(files.skipped) == 1
    assert files.arrays()[0].shape == (1, 2, 3, 3)


def test_unknown_colours_and_values_say_where(folders):
    both(folders[1], painted(IDS))
    files = heads.SegmentationFiles(*folders, 3, palette=[COLORS[0], COLORS[1]])
    with pytest.raises(
        ValueError, match="a.png: .*Received: .0, 0, 200. at row 0, column 2, and 1"
    ):
        files[0]
    both(folders[1], (IDS == 1).astype("uint8") * 255)
    with pytest.raises(ValueError, match="Received: 255 at .* palette=.0, 255."):
        heads.SegmentationFiles(*folders, 1, ignore_label=None)[0]


def test_masks_without_images_and_folders_without_files(folders, tmp_path):
    both(folders[1], IDS)
    save(IDS, folders[1] / "lonely.png")
    with pytest.warns(UserWarning, match="lonely.png: a mask without an image"):
        assert len(heads.SegmentationFiles(*folders, 3)) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="There must be images with masks. Received: 0 images"):
        heads.SegmentationFiles(tmp_path / "empty", tmp_path / "empty", 3)
    with pytest.raises(ValueError, match="A folder .* Received: .*nowhere"):
        heads.SegmentationFiles(tmp_path / "nowhere", folders[1], 3)
    save(IDS, folders[0] / "a.png")
    with pytest.raises(ValueError, match="more than the suffix. Received: .*a.bmp, .*a.png"):
        heads.SegmentationFiles(*folders, 3)
    for size in (4, (4,), (0, 4)):
        with pytest.raises(ValueError, match="Received: "):
            heads.SegmentationFiles(*folders, 3, size=size)
    for palette in ([(0, 0)], [(0, 0, 0), 1], [0, 0]):
        with pytest.raises(ValueError, match="`palette` must hold"):
            heads.SegmentationFiles(*folders, 3, palette=palette)


@pytest.mark.parametrize("num_classes", [1, 2])
def test_black_and_white_masks_need_to_say_what_white_is(folders, num_classes):
    two = np.where(IDS == 1, 255, 0).astype("uint8")
    both(folders[1], two)
    with pytest.raises(ValueError, match=r"palette=\[0, 255\], or \{0: 0, 1: 1, 255: 255\}"):
        heads.SegmentationFiles(*folders, num_classes).arrays()
    with pytest.raises(ValueError, match=r"Received: 2 images .* Skipped, 2 in all: .*palette"):
        heads.SegmentationFiles(*folders, num_classes, skip=True)
    check(heads.SegmentationFiles(*folders, num_classes, palette=[0, 255]), IDS == 1)
    ignored = {0: 0, 1: 1, 255: 255}
    check(heads.SegmentationFiles(*folders, num_classes, palette=ignored), two)


def test_grey_values_in_three_equal_channels_have_a_grey_palette(folders):
    white = np.where(IDS == 1, 255, 0).astype("uint8")
    both(folders[1], np.stack([white] * 3, -1))
    check(heads.SegmentationFiles(*folders, 1, palette=np.array([0, 255])), IDS == 1)


@pytest.mark.parametrize("channels", [2, 4])
def test_what_covers_is_no_class(folders, channels):
    shape = np.where(IDS == 1, 255, 0).astype("uint8")
    pixels = np.stack([shape] * (channels - 1) + [np.full_like(shape, 255)], -1)
    both(folders[1], pixels)
    check(heads.SegmentationFiles(folders[0], [folders[1]], 2), IDS == 1)


def test_shares_of_classes_are_no_ids(folders):
    for stem in "ab":
        save(np.array([[0, 0.7, 1], [1, 0, 0]], "float32"), folders[1] / f"{stem}.tif")
    with pytest.raises(ValueError, match=r"whole numbers .* Received: 0.69.* at row 0, column 1"):
        heads.SegmentationFiles(*folders, 3).arrays()


@pytest.mark.parametrize("broken", [0, 1])
def test_a_file_that_ends_too_early_is_named(folders, broken):
    both(folders[1], IDS)
    for stem in "ab":
        noise = np.random.default_rng(0).integers(0, 2, (80, 90, 3), "uint8")
        save(noise, folders[0] / f"{stem}.bmp")
        save(noise[..., 0], folders[1] / f"{stem}.png")
    path = folders[broken] / ("b.bmp", "b.png")[broken]
    path.write_bytes(path.read_bytes()[:600])
    match = f"{path.name}: The file must be an image"
    with pytest.raises(ValueError, match=match):
        heads.SegmentationFiles(*folders, 3).arrays()
    with pytest.warns(UserWarning, match=match):
        assert len(heads.SegmentationFiles(*folders, 3, skip=True)) == 1


@pytest.mark.parametrize("palette", [[0.5, 1], {0: "ground", 255: 1}, [(0, 0, 0), (999999, 0, 0)]])
def test_palettes_are_whole_numbers(folders, palette):
    both(folders[1], IDS)
    with pytest.raises(ValueError, match="whole numbers"):
        heads.SegmentationFiles(*folders, 2, palette=palette)
