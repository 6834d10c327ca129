"""Which precision a file should have."""

import dataclasses
import errno
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as written

import export
from export import convert, schema
from export.parity import Parity
from export.process import WorkerError, worker
from export.scoring import gathered

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(80, 8, 8, 4)).astype("float32")
WIDE = 3000.0  # how much larger one channel is than the others between two convolutions


def network(classes=4):
    """Return a network of which two layers together lose all but one channel in 8 bits."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 4), name="image")
    for name in ("first", "large", "small"):
        x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name=name)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(classes, name="answer")(x), name="wide")
    for name, place, scale in (("large", np.s_[..., 0], WIDE), ("small", np.s_[:, :, 0], 1 / WIDE)):
        kernel, bias = model.get_layer(name).get_weights()
        kernel[place] *= scale
        model.get_layer(name).set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report by targets that are the network's own best classes; its folder and targets."""
    model, folder = network(), tmp_path_factory.mktemp("files")
    scores = model.predict(IMAGES, verbose=0)
    middle = scores - scores.mean(0)  # or one class is the best of all
    kernel, bias = model.get_layer("answer").get_weights()
    model.get_layer("answer").set_weights([kernel, bias - scores.mean(0)])
    targets = middle.argmax(-1)
    report = export.quantization_report(
        model,
        (IMAGES, targets),
        keras.metrics.SparseCategoricalAccuracy("accuracy"),
        max_drop=0.1,
        folder=folder,
        verbose=0,
    )
    return model, report, folder, targets


def test_scores_and_sizes_are_those_of_the_files(made):
    model, report, folder, targets = made
    assert report.reference == np.mean(model.predict(IMAGES, verbose=0).argmax(-1) == targets)
    for each in report.candidates:
        answers = export.predict(each.path, IMAGES)["answer"]
        assert each.score == pytest.approx(np.mean(answers.argmax(-1) == targets), abs=1e-6)
        assert each.drop == pytest.approx(report.reference - each.score, abs=1e-6)
        assert each.size == each.path.stat().st_size
        assert each.latency_ms > 0 and each.memory > 1e6
    sizes = {x.name: x.size for x in report.candidates}
    assert max(sizes["float16"], sizes["weight_only"], sizes["int8"]) < sizes["float32"]
    assert {x.path.name for x in report.candidates} == {x.name for x in folder.iterdir()}


def test_the_two_layers_that_8_bits_break_are_found_and_left_in_floats(made):
    _, report, _, _ = made
    assert set(report.sensitivity) == {"first", "large", "small", "answer"}
    assert sum(report.sensitivity.values()) == pytest.approx(1)
    assert report.sensitivity["large"] + report.sensitivity["small"] > 0.95
    by_name = {x.name: x for x in report.candidates}
    assert by_name["int8"].drop > 0.1 and not by_name["int8"].parity.passed
    last = by_name["int8, 2 in float"]
    assert set(last.float_layers) == {"large", "small"}
    assert last.parity.passed and last.drop <= 0.1
    assert by_name["int8"].size < last.size


def test_a_report_prints_and_is_a_page(made, tmp_path):
    _, report, _, _ = made
    text = str(report)
    assert "int8, 2 in float" in text and "drops more than 0.1" in text or "sqnr_db" in text
    assert "recommended" in text and "large" in text
    page = report.write(tmp_path / "report.html").read_text()
    assert "int8, 2 in float" in page and "small" in page
    facts = json.loads(json.dumps(report.to_dict()))
    assert facts["recommended"] == report.recommended.name


def test_a_report_chooses_the_file(made, tmp_path):
    model, report, _, _ = made
    good = next(x for x in report.candidates if x.name == "int8, 2 in float")
    floats = report.candidates[0]
    fast = [
        dataclasses.replace(x, latency_ms=0.5 if x is good else 1.0, spread=0.0, speed="faster")
        for x in (floats, good)
    ]
    chosen = dataclasses.replace(report, candidates=fast)
    bundle = export.to_tflite(model, tmp_path / "a.tflite", chosen, inputs=IMAGES, measure=False)
    assert bundle.precision == "int8" and bundle.path.read_bytes() == good.path.read_bytes()
    facts = json.loads((tmp_path / "a.json").read_text())
    assert facts["report"]["recommended"] == "int8, 2 in float"
    assert "int8, 2 in float" in str(bundle)


def candidate(name, ms, drop=0.0, size=100, passed=True, spread=0.0):
    failures = () if passed else ("too far",)
    parity = Parity(name, 9, {}, [export.parity.OutputParity("y", failures=failures)])
    return export.Candidate(
        name,
        name,
        size=size,
        latency_ms=ms,
        spread=spread,
        speed="slower" if ms > 1 + spread else "no difference",
        drop=drop,
        score=1 - drop,
        parity=parity,
    )


@pytest.mark.parametrize(
    ("others", "best"),
    [
        ([candidate("int8", 0.5)], "int8"),
        ([candidate("int8", 1.2, size=25)], "float32"),  # slower
        ([candidate("int8", 1.05, size=25, spread=0.1)], "int8"),  # as fast, and smaller
        ([candidate("int8", 0.5, drop=0.02)], "float32"),
        ([candidate("int8", 0.5, drop=-0.02)], "int8"),
        ([candidate("int8", 0.5, passed=False)], "float32"),
        ([export.Candidate("int8", "int8", error="no")], "float32"),
        ([candidate("float16", 1.0, size=50), candidate("int8", 0.4, drop=0.5)], "float16"),
        ([candidate("int8", 0.5), candidate("dynamic", 0.49, size=90, spread=0.1)], "dynamic"),
    ],
)
def test_the_fastest_that_answers_well_is_recommended(others, best):
    floats = candidate("float32", 1.0)
    report = export.QuantizationReport("m", "accuracy", "max", 9, 0.01, 1.0, [floats, *others])
    assert report.recommended.name == best
    assert (best == "float32") == (report.verdict(floats) == "recommended")


def test_the_front_holds_what_nothing_equals():
    report = export.QuantizationReport("m", "accuracy", "max", 9, 0.01, 1.0)
    report.candidates = [
        candidate("float32", 1.0, size=100),
        candidate("float16", 1.0, size=50),
        candidate("dynamic", 2.0, size=60),
        candidate("int8", 0.5, drop=0.3, size=25),
        export.Candidate("other", "int8", error="no"),
    ]
    assert [x.name for x in report.front] == ["float16", "int8"]


def test_auto_takes_what_it_recommends_and_errors_may_be_what_is_least(tmp_path):
    model = network(1)
    targets = model.predict(IMAGES, verbose=0) + 0.5

    def error(y, answers):
        return np.mean(np.abs(y - answers))

    bundle = export.to_tflite(
        model,
        tmp_path / "a.tflite",
        "auto",
        inputs=(IMAGES, targets),
        metric=error,
        mode="min",
        measure=False,
    )
    assert bundle.report.metric == "error" and bundle.report.reference == pytest.approx(
        0.5, abs=0.01
    )
    assert bundle.precision == bundle.report.recommended.precision
    assert bundle.parity.passed and all(x.path is None for x in bundle.report.candidates)
    assert all(x.drop == pytest.approx(x.score - 0.5, abs=1e-5) for x in bundle.report.candidates)


def test_what_does_not_become_int8_is_said_and_the_rest_is_there():
    steps = keras.Input((300, 3), name="steps")  # too long to be unrolled
    model = keras.Model(steps, keras.layers.GRU(2, name="gru")(steps))
    samples = RNG.normal(size=(32, 300, 3)).astype("float32")
    report = export.quantization_report(model, samples, verbose=0)
    assert report.metric == "agreement with Keras" and report.reference == 1.0
    states = {x.name: x.error for x in report.candidates}
    assert list(states) == ["float32", "float16", "weight_only", "dynamic", "int8"]
    assert "unroll=True" in states.pop("int8") and set(states.values()) == {None}
    assert "unroll=True" in str(report) and report.sensitivity == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": None}, "A metric needs targets.*Received: targets and metric=None"),
        ({"data": IMAGES}, "Received: no targets"),
        ({"data": (IMAGES, np.zeros(9))}, "a target for each sample.*9 targets, 80 samples"),
        ({"data": 3}, "Received: int"),
        ({"data": (IMAGES[:, :4], np.zeros(80))}, "samples of shape"),
        ({"mode": "best"}, "mode='best'"),
        ({"data": IMAGES, "metric": None, "mode": "min"}, "better the more"),
        ({"metric": "accuracy"}, "metric='accuracy'"),
        ({"metric": keras.metrics.SparseCategoricalAccuracy}, "must be a keras.Metric"),
        ({"max_drop": -1}, "Received: -1"),
        ({"max_drop": True}, "Received: True"),
        ({"metric": lambda y, answers: answers}, "must give one number"),
        ({"metric": lambda y, answers: float("nan")}, "must be finite.*nan"),
    ],
)
def test_wrong_arguments_are_named(given, message):
    given = {"data": (IMAGES, np.zeros(80)), "metric": lambda y, answers: 1.0, **given}
    with pytest.raises(ValueError, match=message):
        export.quantization_report(network(), verbose=0, **given)


def test_targets_come_in_batches_and_by_name():
    wanted = [export.signature.Tensor("image", (1, 8, 8, 4), "float32")]
    batches = [(IMAGES[:30], {"a": np.arange(30)}), (IMAGES[30:], {"a": np.arange(30, 80)})]
    samples, targets = gathered(iter(batches), wanted)
    assert np.array_equal(samples["image"], IMAGES)
    assert np.array_equal(targets["a"], np.arange(80))
    assert gathered(IMAGES, wanted)[1] is None
    assert gathered([IMAGES[:8], IMAGES[8:]], wanted)[1] is None
    two = [export.signature.Tensor(name, (1, 4), "float32") for name in ("a", "b")]
    rows = IMAGES[:, 0, 0]
    samples, targets = gathered(((rows, rows + 1), np.arange(80)), two)
    assert np.array_equal(samples["b"], rows + 1) and len(targets) == 80


def test_a_data_set_need_not_be_in_batches(monkeypatch):
    """Neither are its targets cut, nor is a picture of 8 rows counted as 8 samples."""
    import tensorflow as tf

    monkeypatch.setattr("export.scoring.MOST", 20)
    wanted = [export.signature.Tensor("image", (1, 8, 8, 4), "float32")]
    best = np.arange(80) % 3
    for y in (best, np.eye(3)[best]):
        for images in (IMAGES, {"image": IMAGES}):
            data = tf.data.Dataset.from_tensor_slices((images, y))
            samples, targets = gathered(data, wanted)
            np.testing.assert_array_equal(samples["image"], IMAGES[:20])
            np.testing.assert_array_equal(targets, y[:20])
    assert gathered(iter([(IMAGES[0], 1), (IMAGES[1], 2)]), wanted)[1].tolist() == [1, 2]


def test_a_full_disk_leaves_no_half_of_a_candidate(tmp_path, monkeypatch):
    write = Path.write_bytes

    def half(self, content):
        write(self, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        export.quantization_report(network(), IMAGES, folder=tmp_path, verbose=0)
    assert list(tmp_path.iterdir()) == []


def test_an_iterable_of_samples_is_read_once(tmp_path, monkeypatch):
    asked = {}

    def report(model, data, *_, **__):
        [x] = data
        made = [candidate("float32", 1.0)]
        known = {"image": x[:5]}
        return export.QuantizationReport("m", "a", "max", 9, 0.01, 1.0, made, known=known)

    def checked(model, path, samples, *_):
        asked.update(samples)
        raise KeyboardInterrupt

    monkeypatch.setattr("export.tflite.quantization_report", report)
    monkeypatch.setattr("export.tflite.checked", checked)
    with pytest.raises(KeyboardInterrupt):
        export.to_tflite(
            network(), tmp_path / "m.tflite", "auto", inputs=iter([IMAGES]), calibration=IMAGES
        )
    np.testing.assert_array_equal(asked["image"], IMAGES[:5])


def test_named_layers_stay_in_floats_and_unknown_ones_are_refused(tmp_path):
    model, given = network(), {"calibration": IMAGES, "measure": False}
    path = tmp_path / "a.tflite"
    with pytest.raises(
        ValueError, match="Received: 'middle'. There are first, large, small, answer"
    ):
        export.to_tflite(model, path, "int8", float_layers=["middle"], **given)
    assert not path.exists()
    with pytest.raises(ValueError, match='"auto" needs samples'):
        export.to_tflite(model, path, "auto")
    bundle = export.to_tflite(model, path, "int8", float_layers=["large", "small"], **given)
    assert bundle.parity.outputs[0].sqnr_db > 25
    # 8 bits, floats from `large` to the mean, 8 bits, floats
    assert bundle.ops["QUANTIZE"] == 2 and bundle.ops["DEQUANTIZE"] == 2


def test_the_scope_of_a_layer_is_no_other_s():
    """With Keras's own names: conv2d, conv2d_1, conv2d_2; the last makes the output."""
    keras.utils.set_random_seed(0)
    keras.backend.clear_session()
    x = image = keras.Input((8, 8, 4), name="image")
    for _ in range(3):
        x = keras.layers.Conv2D(4, 3)(x)
    model = keras.Model(image, x)
    with convert.calibrated(model, {"image": IMAGES[:4]}) as quantized:
        sizes = {}
        for path in convert.paths_of(model):
            (content,) = [quantized((path,))]
            graph = written.Model.GetRootAs(content, 0).Subgraphs(0)
            kernels = [
                graph.Operators(i).Inputs(1)
                for i in range(graph.OperatorsLength())
                if graph.Operators(i).InputsLength() == 3
            ]
            floats = [graph.Tensors(k).Type() == written.TensorType.FLOAT32 for k in kernels]
            sizes[path] = floats
    assert sizes == {
        "conv2d": [True, False, False],
        "conv2d_1": [False, True, False],
        "conv2d_2": [False, False, True],
    }


def test_an_aware_model_has_nothing_to_choose(tmp_path):
    aware = export.quantize_aware(network(), IMAGES)
    with pytest.raises(ValueError, match="nothing to choose"):
        export.quantization_report(aware, IMAGES)
    with pytest.raises(ValueError, match="float_layers"):
        export.to_tflite(aware, tmp_path / "a.tflite", "int8", float_layers=["first"])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_int8_is_what_the_converter_makes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    model = network()
    content = convert.convert(model, "int8", {"image": IMAGES})
    convert.savedmodel.write(model, str(tmp_path), None, "int8")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: ({"image": x[None]} for x in IMAGES)
    (tmp_path / "theirs.tflite").write_bytes(converter.convert())
    (tmp_path / "ours.tflite").write_bytes(content)
    ours, theirs = (tmp_path / f"{name}.tflite" for name in ("ours", "theirs"))
    assert schema.read(ours) == schema.read(theirs)
    answers = [export.predict(path, IMAGES)["answer"] for path in (ours, theirs)]
    assert np.array_equal(*answers)


def test_weights_alone_have_8_bits_and_lie_inside_the_file(tmp_path):
    path = tmp_path / "a.tflite"
    model = network()
    export.to_tflite(
        model, path, "weight_only", inputs=IMAGES, tolerance=5, files={"a.txt": "b"}, measure=False
    )
    kinds = {x.dtype for x in schema.read(path).inputs}
    assert kinds == {"float32"} and schema.read(path).ops["DEQUANTIZE"] >= 3
    assert export.associated_files(path) == {"a.txt": b"b"}
    found = written.Model.GetRootAs(path.read_bytes(), 0)
    offsets = [found.Buffers(i).Offset() for i in range(found.BuffersLength())]
    assert set(offsets) <= {0, 1}


def test_a_missing_quantizer_is_named(monkeypatch, tmp_path):
    ask = worker.ask

    def without(command, **request):
        if request.get("precision") == "weight_only":
            raise WorkerError("ModuleNotFoundError", "No module named 'ai_edge_quantizer'")
        return ask(command, **request)

    monkeypatch.setattr(worker, "ask", without)
    with pytest.raises(export.ExportError, match=r"pip install 'keras-blocks\[quantize\]'"):
        export.to_tflite(network(), tmp_path / "a.tflite", "weight_only", inputs=IMAGES)
