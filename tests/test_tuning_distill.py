"""Distillation against its formula, and magnitude pruning through `fit`."""

import gzip

import keras
import numpy as np
import pytest
from keras import layers

import export
import heads
import tuning
from blocks import ConvNormAct

SHAPE = (8, 8, 1)


def backbone(filters):
    image = keras.Input(SHAPE, name="image")
    x = ConvNormAct(filters, strides=2, name="stage1")(image)
    return keras.Model(image, {"P1": x, "P2": ConvNormAct(2 * filters, strides=2)(x)}, name="net")


def classifier(filters=4, seed=0, head=None):
    keras.utils.set_random_seed(seed)
    return heads.attach(backbone(filters), head or heads.ClassificationHead(3))


def images(count=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, *SHAPE)).astype("float32"), rng.integers(0, 3, count)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def loss_of(distiller, x, y):
    distiller.compile("sgd", loss=heads.losses(distiller.student))
    return float(distiller.compute_loss(x=x, y=y, y_pred=distiller.student(x), training=False))


def test_classes_are_taught_by_the_divergence_of_softened_probabilities():
    teacher, student = classifier(8), classifier(4, 1)
    x, y = images()
    distiller = tuning.distill(teacher, student, temperature=3.0, student_loss_weight=0.25)
    assert distiller.student is student and not teacher.trainable_weights
    a, b = np.array(teacher(x)), np.array(student(x))
    p, q = softmax(a / 3), softmax(b / 3)
    taught = 9 * np.mean((p * np.log(p / q)).sum(-1))
    own = np.mean(-np.log(softmax(b)[np.arange(4), y]))
    assert loss_of(distiller, x, y) == pytest.approx(0.25 * own + 0.75 * taught, rel=1e-3)


def test_other_outputs_are_taught_by_their_squared_difference():
    def several(filters, seed):
        parts = {
            "kind": heads.ClassificationHead(3),
            "tags": heads.ClassificationHead(3, multi_label=True),
            "age": heads.RegressionHead(),
        }
        return classifier(filters, seed, parts)

    teacher, student = several(8, 0), several(4, 1)
    x, y = images()
    targets = {"kind": y, "tags": np.eye(3)[y], "age": np.ones(4, "float32")}
    a, b = teacher(x), student(x)
    p, q = (softmax(np.array(out["kind"]) / 4) for out in (a, b))
    expected = 16 * np.mean((p * np.log(p / q)).sum(-1))
    for name in ("tags", "age"):
        expected += np.mean((np.array(a[name]) - np.array(b[name])) ** 2)
    distiller = tuning.distill(teacher, student, student_loss_weight=0.0)
    assert loss_of(distiller, x, targets) == pytest.approx(expected, rel=1e-3)
    distiller = tuning.distill(teacher, student)
    distiller.compile("sgd", loss=heads.losses(student))
    distiller.fit(x, targets, verbose=0)


def test_features_are_taught_through_a_map_that_is_left_behind():
    teacher, student = classifier(8), classifier(4, 1)
    x, y = images(16)
    distiller = tuning.distill(
        teacher, student, features=["P1"], feature_weight=2.0, student_loss_weight=0.0
    )
    plain = tuning.distill(teacher, student, student_loss_weight=0.0)
    (project,) = distiller.projections
    assert project.kernel.shape == (4, 8)
    ends = [keras.Model(m.input, m.get_layer("stage1").output)(x) for m in (teacher, student)]
    far = np.mean((np.array(ends[0]) - np.array(project(ends[1]))) ** 2)
    more = loss_of(distiller, x, y) - loss_of(plain, x, y)
    # The features are those of training, the outputs given here are not.
    trained = keras.Model(student.input, student.get_layer("stage1").output)(x, training=True)
    far = np.mean((np.array(ends[0]) - np.array(project(trained))) ** 2)
    assert more == pytest.approx(2 * far, rel=1e-2)
    before = np.array(project.kernel)
    count = student.count_params()
    distiller.compile(keras.optimizers.Adam(0.01), loss=heads.losses(student))
    history = distiller.fit(x, y, 4, epochs=8, verbose=0).history["distillation_loss"]
    assert history[-1] < history[0] and np.abs(project.kernel - before).max() > 1e-3
    assert student.count_params() == count


def test_a_pruned_student_learns_and_becomes_a_file(tmp_path):
    teacher = classifier(8)
    student = tuning.prune(teacher, 0.6, multiple=4)
    x, y = images(16)
    distiller = tuning.distill(teacher, student, features=["P1"])
    distiller.compile("adam", loss=heads.losses(student))
    distiller.fit(x, y, 8, verbose=0)
    bundle = export.to_tflite(heads.deploy(student), tmp_path / "a.tflite", measure=False)
    assert bundle.size
    assert tuning.prune(teacher, 0.6, multiple=4).trainable_weights  # the teacher is frozen


def test_mistakes_are_told_before_training():
    teacher, student = classifier(8), classifier(4)
    x = keras.Input(SHAPE)
    for args, given, said in (
        ((teacher, teacher), {}, "two models"),
        ((heads.deploy(teacher), student), {}, "raw outputs"),
        ((classifier(8, head=heads.ClassificationHead(4)), student), {}, "same names and shapes"),
        ((teacher, keras.Model(x, layers.Dense(3)(layers.Flatten()(x)))), {}, "heads.attach"),
        ((teacher, student), {"features": ["P7"]}, "`features` must be levels"),
        ((teacher, student), {"features": "P1"}, "must list levels"),
        ((teacher, student), {"temperature": 0}, "`temperature` must be above 0"),
        ((teacher, student), {"student_loss_weight": 1.0}, "at least 0 and below 1"),
    ):
        with pytest.raises(ValueError, match=said) as error:
            tuning.distill(*args, **given)
        assert "Received" in str(error.value)


def fit(model, callback, epochs=3, **given):
    x, y = images(32)
    model.fit(x, y, 4, epochs=epochs, verbose=0, callbacks=[callback], **given)
    return model


def zeros(model):
    return {x.path: float(np.mean(np.array(x) == 0)) for x in model.trainable_weights if x.ndim > 1}


def test_zeros_grow_along_the_cubic_and_stay():
    model = classifier(4)
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), loss=heads.losses(model))
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(max(zeros(model).values()))
    )
    pruning = tuning.MagnitudePruning(0.75, begin_step=2, end_step=14, frequency=2)
    x, y = images(32)
    model.fit(x, y, 4, epochs=3, verbose=0, callbacks=[pruning, watch])
    steps = np.arange(1, 25)
    steps = np.where(steps < 14, steps // 2 * 2, 14)
    shares = 0.75 * (1 - (1 - np.clip((steps - 2) / 12, 0, 1)) ** 3)
    np.testing.assert_allclose(seen, shares, atol=0.03)  # whole weights
    assert all(abs(share - 0.75) < 0.02 for share in zeros(model).values())
    again = classifier(4)
    again.compile(keras.optimizers.Adam(0.01), loss=heads.losses(again))
    fit(again, tuning.MagnitudePruning(0.5, frequency=1), epochs=2)
    assert all(abs(share - 0.5) < 0.02 for share in zeros(again).values())


def test_the_smallest_weights_go_and_depthwise_ones_stay():
    inputs = keras.Input(SHAPE)
    x = layers.DepthwiseConv2D(3, name="deep")(inputs)
    model = keras.Model(inputs, heads.ClassificationHead(3)(layers.Dense(8, name="dense")(x)))
    model.compile(keras.optimizers.SGD(0.0), loss=heads.losses(model))
    before = np.array(model.get_layer("dense").kernel)
    fit(model, tuning.MagnitudePruning(0.5, frequency=1), epochs=1)
    after = np.array(model.get_layer("dense").kernel)
    np.testing.assert_array_equal(after == 0, np.abs(before) < np.median(np.abs(before)))
    assert np.all(np.array(model.get_layer("deep").kernel) != 0)


def test_a_file_keeps_its_size_and_packs_better(tmp_path):
    model, sizes = classifier(24), []
    model.compile("adam", loss=heads.losses(model))
    for name in ("dense", "sparse"):
        path = tmp_path / f"{name}.tflite"
        export.to_tflite(heads.deploy(model), path, measure=False)
        sizes.append((path.stat().st_size, len(gzip.compress(path.read_bytes()))))
        fit(model, tuning.MagnitudePruning(0.7, frequency=1))
    assert sizes[1][0] == pytest.approx(sizes[0][0], rel=0.02)
    assert sizes[1][1] < 0.7 * sizes[0][1]


def test_mistakes_of_magnitude_pruning():
    for given, said in (
        ({"sparsity": 1.0}, "`sparsity` must be a share"),
        ({"frequency": 0}, "`frequency` must be a whole number"),
        ({"begin_step": 5, "end_step": 5}, "`end_step` must come after"),
    ):
        with pytest.raises(ValueError, match=said):
            tuning.MagnitudePruning(**given)
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization()])
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="dense layers or convolutions"):
        x = np.ones((4, 3))
        model.fit(x, x, verbose=0, callbacks=[tuning.MagnitudePruning()])
