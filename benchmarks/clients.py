"""What an app sees: `python -m benchmarks.clients` gives the same pictures to each client.

The clients are Keras, LiteRT in Python, MediaPipe Tasks in Python (`KERAS_BLOCKS_MEDIAPIPE`, a
Python that has it), and the page of `export.web_demo` in a headless Chromium. The classifier is
trained on CIFAR-10; the segmenter and the detector, three convolutions and a head, are untrained,
seed 0. The pictures are cut from scikit-learn's two photographs at a file's own size; whole ones,
against LiteRT on pictures resized by Keras, show what resizing adds. MediaPipe's boxes are whole
pixels.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import keras
import numpy as np

import export
import heads
from tests.chromium import BROWSER, READY, opened

MODEL = Path(__file__).with_name("models") / "cifar10_resnet9.keras"
ASK = Path(__file__).parent.parent / "tests" / "mediapipe_tasks.py"
MEDIAPIPE = os.environ.get("KERAS_BLOCKS_MEDIAPIPE")
CIFAR10 = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
NAMES = ["one", "two", "three"]
KERAS, LITERT, TASKS, PAGE = "Keras", "LiteRT, Python", "MediaPipe Tasks, Python", "web page"


def photographs():
    from sklearn.datasets import load_sample_images

    return np.stack(load_sample_images().images)


def cut(photos, side, count=8):
    """Return squares of the photographs, resized to a side, whole numbers 0 to 255."""
    rng, found = np.random.default_rng(0), []
    for i in range(count):
        photo = photos[i % len(photos)]
        size = int(rng.integers(side, min(photo.shape[:2]) + 1))
        top, left = (int(rng.integers(0, x - size + 1)) for x in photo.shape[:2])
        part = photo[top : top + size, left : left + size].astype("float32")
        found.append(keras.ops.image.resize(part, (side, side), antialias=True))
    return np.round(np.clip(np.stack(found), 0, 255)).astype("uint8")


def classifier():
    return heads.for_task(keras.models.load_model(MODEL, compile=False))


def untrained(head, **options):
    """Return three convolutions and a head, untrained."""
    keras.utils.set_random_seed(0)
    image, levels = keras.Input((96, 96, 3), name="image"), {}
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    for i, filters in enumerate((8, 16, 16), start=1):
        x = keras.layers.Conv2D(filters, 3, 2, padding="same", activation="relu")(x)
        levels[f"P{i}"] = x
    return heads.for_task(heads.attach(keras.Model(image, levels), head), **options)


def write(folder, photos):
    """Yield a name, a file, its Keras model and its pictures."""
    small, large = cut(photos, 32, 64), cut(photos, 96)
    calibration, model = small[8:].astype("float32"), classifier()
    for precision in ("float32", "float16", "int8"):
        path = folder / f"classification_{precision}.tflite"
        given = {"calibration": calibration} if precision == "int8" else {}
        make(model, path, small, precision=precision, labels=CIFAR10, **given)
        yield path.stem, path, model, small[:8]
    model = untrained(heads.UNetHead(3, levels=["P1", "P2", "P3"]))
    yield "segmentation_float32", make(model, folder / "segmentation.tflite", large), model, large
    head = heads.DetectionHead(3, levels=["P2", "P3"], filters=8, depth=1, bins=4)
    model = untrained(head, score=0.005, max_detections=6)
    yield "detection_float32", make(model, folder / "detection.tflite", large), model, large


def make(model, path, pictures, labels=NAMES, **arguments):
    task, inputs = path.stem.split("_")[0], pictures[:8].astype("float32")
    export.to_tflite(
        model, path, labels=labels, metadata=task, inputs=inputs, measure=False, **arguments
    )
    return path


def by_keras(model, pictures):
    answers = [model(x[None].astype("float32")) for x in pictures]
    answers = [x if isinstance(x, dict) else {"probabilities": x} for x in answers]
    return {name: np.concatenate([x[name] for x in answers]) for name in answers[0]}


def by_litert(path, pictures):
    return export.predict(path, pictures.astype("float32"))


def by_page(path, pictures, folder):
    """Return the answers of a page by name, pictures given as PNG files."""
    page_path, answers = export.web_demo(path, folder / "page"), []
    with opened(page_path) as page:
        page.wait(READY)
        for i, picture in enumerate(pictures):
            file = folder / f"{i}.png"
            keras.utils.save_img(file, picture, scale=False)
            told = page.answer(lambda file=file: page.choose("#file", file))
            answers.append(told["answers"])
        foreign = [x for x in page.requests if not x.startswith(("data:", "blob:", "file:"))]
    assert not foreign, foreign
    return {name: np.array([x[name] for x in answers]) for name in answers[0]}


def compared(told, expected, task):
    """Return the figures of answers against others'."""
    told = {name: np.reshape(x, expected[name].shape) for name, x in told.items()}
    if task == "detection":
        counts = expected["number_of_detections"].astype(int).ravel()
        rows = np.arange(expected["score"].shape[1]) < counts[:, None]
        return {
            "error": float(np.abs(told["score"] - expected["score"])[rows].max()),
            "pixels": float(96 * np.abs(told["location"] - expected["location"])[rows].max()),
            "found": int(told["number_of_detections"].sum()),
            "expected": int(counts.sum()),
        }
    told, expected = told["probabilities"], expected["probabilities"]
    same = float((told.argmax(-1) == expected.argmax(-1)).mean())
    return {"error": float(np.abs(told - expected).max()), "same": same}


def by_tasks(path, pictures, expected, folder):
    """Return MediaPipe's figures against answers: it compares them itself."""
    np.save(folder / "pictures.npy", pictures)
    np.savez(path.with_suffix(".npz"), **expected)
    done = subprocess.run(
        [MEDIAPIPE, str(ASK), str(folder / "pictures.npy"), str(path)],
        capture_output=True,
        text=True,
        env={key: x for key, x in os.environ.items() if key != "PYTHONPATH"},
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not told:
        raise RuntimeError(f"MediaPipe Tasks said {done.stderr[-500:]!r}")
    return told[0]


def rows_of(name, path, pictures, expected, folder):
    """Yield a name, a client and its figures against each of `expected`, or why there are none."""
    task = name.split("_")[0]
    for client, missing in (
        (TASKS, "" if MEDIAPIPE else "KERAS_BLOCKS_MEDIAPIPE names no Python"),
        (PAGE, "" if BROWSER else "there is no chromium"),
    ):
        if missing:
            yield name, client, missing
            continue
        try:
            if client == TASKS:
                made = {k: by_tasks(path, pictures, x, folder) for k, x in expected.items()}
            else:
                answers = by_page(path, pictures, folder)
                made = {k: compared(answers, x, task) for k, x in expected.items()}
            yield name, client, made
        except (OSError, RuntimeError) as error:
            yield name, client, f"failed: {error}"


def line(figures):
    if isinstance(figures, str):
        return figures
    parts = []
    for client, x in figures.items():
        text = f"{x['error']:.1e}"
        if "same" in x:
            text += f", same class {x['same']:.1%}"
        if "pixels" in x:
            text += f", boxes {x['pixels']:.1e} pixels, {x['found']} of {x['expected']}"
        parts.append(f"to {client} {text}")
    return "; ".join(parts)


def main():
    photos = photographs()
    print("| file | client | largest difference of probabilities or scores |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, path, model, pictures in write(folder, photos):
            expected = {KERAS: by_keras(model, pictures), LITERT: by_litert(path, pictures)}
            own = compared(expected[LITERT], expected[KERAS], name.split("_")[0])
            show(name, LITERT, {KERAS: own})
            for row in rows_of(name, path, pictures, expected, folder):
                show(*row)
            if name == "classification_float32":
                resized = keras.ops.image.resize(photos.astype("float32"), (32, 32))
                whole = {LITERT: by_litert(path, np.array(resized))}
                for row in rows_of(name, path, photos, whole, folder):
                    show(f"{name}, pictures of 427 × 640", *row[1:])


def show(name, client, figures):
    print(f"| {name} | {client} | {line(figures)} |", flush=True)


if __name__ == "__main__":
    main()
