"""On PyTorch: what trains there becomes the same files, and its models are read elsewhere."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import blocks
import export
import tuning

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None,
    reason="needs torch: pip install keras-blocks[torch]",
)

STORY = """
import os, sys
import keras, numpy as np
import backbones, blocks, export, heads, tuning
os.chdir(sys.argv[1])
keras.utils.set_random_seed(0)

image = keras.Input((16, 16, 3), name="image")
x = blocks.ConvNormAct(8, strides=2, name="stem")(image)
x = blocks.ResidualBlock(16, strides=2, name="block1")(x)
x = blocks.ResidualBlock(16, name="block2")(x)
head = heads.ClassificationHead(3, name="head")
model = heads.attach(keras.Model(image, {"P2": x}, name="net"), head)
rng = np.random.default_rng(0)
images = rng.normal(size=(64, 16, 16, 3)).astype("float32")
ids = rng.integers(0, 3, 64)

def fit(model, head=head):
    model.compile(keras.optimizers.Adam(1e-3), loss=head.loss(), metrics=head.metrics())
    return model.fit(images, ids, validation_data=(images, ids), epochs=2, verbose=0).history

print("fit", np.isfinite(fit(model)["val_loss"]).all())
print("frozen", *tuning.freeze(model, "block1.conv1"))
tuning.unfreeze(model)
answer = heads.deploy(model)
print("layers", *[x.name for x in export.measure(answer).layers][:3])
sizes = {}
for precision, floats in [
    ("float32", []), ("weight_only", []), ("dynamic", []), ("int8", []), ("int8", ["block1"]),
]:
    bundle = export.to_tflite(
        answer, "a.tflite", precision, calibration=images, inputs=images, float_layers=floats,
        measure=precision == "float32",
    )
    sizes[precision, *floats] = bundle.size
    print(precision, bundle.parity.passed, *[x.name for x in bundle.outputs])
print("in floats", sizes["int8", "block1"] > sizes["int8",])
print("verify", export.verify(answer, "a.tflite", images, precision="int8").passed)
print("onnx", export.to_onnx(answer, "a.onnx", inputs=images).parity.passed)

aware = export.quantize_aware(model, images)
fit(aware)
bundle = export.to_tflite(aware, "q.tflite", "int8", inputs=images, measure=False)
print("aware", bundle.parity.passed, *[x.name for x in bundle.outputs])

plan = tuning.pruning_plan(model, 0.6)
print("pruned", plan.layers[1].name, plan.macs[1] < plan.macs[0])
student = tuning.distill(model, plan.model)
student.compile(keras.optimizers.Adam(1e-3), loss=head.loss())
student.fit(images, ids, epochs=1, verbose=0)
narrow = heads.deploy(plan.model)
print("narrow", export.to_tflite(narrow, "n.tflite", inputs=images, measure=False).parity.passed)
flat = blocks.flatten(model)
flat.save("flat.keras")
again = keras.saving.load_model("flat.keras")
print("again", np.array_equal(again.predict(images, verbose=0), flat.predict(images, verbose=0)))
np.savez("flat.npz", images=images, answers=flat.predict(images, verbose=0))

def trained(head, targets):
    levels, y = {}, image
    for level in range(1, 6):
        y = levels[f"P{level}"] = blocks.ConvNormAct(8, strides=2, name=f"stage{level}")(y)
    model = heads.attach(keras.Model(image, levels), head)
    model.compile("adam", loss=head.loss(), metrics=head.metrics())
    model.fit(images[:8], targets[:8], batch_size=4, verbose=0)
    return model

masks = rng.integers(0, 2, (8, 16, 16))
mask = heads.deploy(trained(heads.LRASPPHead(2), masks))
print("mask", export.to_tflite(mask, "m.tflite", measure=False).parity.passed)
boxes = np.full((8, 2, 5), -1.0, "float32")
boxes[:, 0] = 2, 3, 12, 14, 1
model = trained(heads.DetectionHead(2), boxes)
found = heads.deploy(model, score=0.0)
print("boxes", export.to_tflite(found, "b.tflite", inputs=images[:8], measure=False).parity.passed)
trained(heads.RCNNHead(1), boxes.clip(max=[15, 15, 15, 15, 0]))
boxes[3, 0, 2] = 1
try:
    model.fit(images[:8], boxes, verbose=0)
except ValueError as error:
    print("refused", "A box must be a row of left < right" in str(error))

def space(hp):
    head = heads.ClassificationHead(3)
    x = blocks.ConvNormAct(hp.Choice("width", [8, 16]), strides=2)(image)
    model = heads.attach(keras.Model(image, {"P1": x}), head)
    model.compile("adam", loss=head.loss(), metrics=head.metrics())
    return model

search = tuning.ParetoSearch(
    space, objectives=["val_loss", "latency_ms"], budget=tuning.Budget(latency_ms=50),
    max_trials=2, directory="runs", project_name="torch",
)
search.search(images, ids, validation_data=(images, ids), verbose=0)
print("search", [x.status for x in search.oracle.trials.values()])
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Run the story on torch; return what it printed by first word, and its folder."""
    folder = tmp_path_factory.mktemp("torch")
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )
    assert done.returncode == 0, done.stderr
    said = [line.partition(" ") for line in done.stdout.splitlines()]
    return [(word, rest) for word, _, rest in said], folder


def test_a_story_on_torch(story):
    assert story[0] == [
        ("fit", "True"),
        ("frozen", "stem.conv stem.norm block1.conv1.conv block1.conv1.norm"),
        ("layers", "stem.conv stem.norm stem.act"),
        ("float32", "True probabilities"),
        ("weight_only", "True probabilities"),
        ("dynamic", "True probabilities"),
        ("int8", "True probabilities"),
        ("int8", "True probabilities"),
        ("in", "floats True"),
        ("verify", "True"),
        ("onnx", "True"),
        ("aware", "True head.logits"),
        ("pruned", "block1.conv1.conv True"),
        ("narrow", "True"),
        ("again", "True"),
        ("mask", "True"),
        ("boxes", "True"),
        ("refused", "True"),
        ("search", "['COMPLETED', 'COMPLETED']"),
    ]


def test_a_flat_model_of_torch_is_read_with_dots(story, tmp_path):
    """Torch takes no dot in the name of what holds weights; paths are the same."""
    flat = keras.saving.load_model(story[1] / "flat.keras")
    known = np.load(story[1] / "flat.npz")
    found = flat.predict(known["images"], verbose=0)
    np.testing.assert_allclose(found, known["answers"], rtol=1e-4, atol=1e-5)
    assert [x.name for x in export.measure(flat).layers][:2] == ["stem.conv", "stem.norm"]
    assert tuning.freeze(flat, "block1.conv1")[-1] == "block1.conv1.norm"
    sizes = [
        export.to_tflite(
            flat,
            tmp_path / "m.tflite",
            "int8",
            calibration=known["images"],
            float_layers=paths,
            measure=False,
        ).size
        for paths in ([], ["block1.conv1"])
    ]
    assert sizes[1] > sizes[0]
    assert blocks.graph.path_of(flat.layers[1]) == "stem.conv"
