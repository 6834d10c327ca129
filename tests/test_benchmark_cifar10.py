"""The benchmark of CIFAR-10 on made-up images: resuming, the splits, and the file it reports."""

import json

import keras
import numpy as np
import pytest

import export
from benchmarks.cifar10 import __main__ as command
from benchmarks.cifar10 import data, training
from benchmarks.cifar10.networks import NETWORKS, classifier, residual

EPOCHS, BATCH = 2, 16


class Arrays(dict):
    """The arrays of a data set, which notes what was read."""

    def __init__(self, **arrays):
        super().__init__(arrays)
        self.asked = set()

    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)


def made_up():
    """Two classes of images, bright and dark, of ten that have names."""
    rng = np.random.default_rng(0)

    def images(count):
        labels = rng.integers(0, 2, count)
        pixels = rng.integers(0, 128, (count, 32, 32, 3)) + 100 * labels[:, None, None, None]
        return pixels.astype("uint8"), labels

    found = Arrays(class_names=np.array([str(i) for i in range(10)]))
    found["train"], found["train_labels"] = images(80)
    found["test"], found["test_labels"] = images(20)
    return found


@pytest.fixture(scope="module", autouse=True)
def small_validation():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data.split, "__defaults__", (16,))
        yield


make = residual((8,), (1,))


def run(arrays, folder, **kwargs):
    return training.train(
        make, *data.split(arrays), folder, epochs=EPOCHS, batch=BATCH, **{"seed": 1, **kwargs}
    )


class Trained:
    """A training that went through without a stop."""

    def __init__(self, folder):
        self.folder, self.arrays = folder, made_up()
        self.model, self.done, self.facts = run(self.arrays, folder)
        self.asked = set(self.arrays.asked)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Trained(tmp_path_factory.mktemp("whole"))


def apart(a, b):
    """Return the largest difference of the first weights of two models."""
    return np.abs(a.get_weights()[0] - b.get_weights()[0]).max()


def test_an_interrupted_training_ends_as_one_that_was_not(whole, tmp_path, monkeypatch):
    assert whole.done == EPOCHS and [x["epoch"] for x in whole.facts] == [0, 1]
    assert "val_accuracy" in whole.facts[-1] and "val_accuracy" not in whole.facts[0]
    saves = []

    def stop(model, path, original=keras.Model.save):
        saves.append(path)
        if len(saves) == 2:
            path.write_bytes(b"half a file")
            raise KeyboardInterrupt
        original(model, path)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            run(whole.arrays, tmp_path)
    saved = keras.saving.load_model(tmp_path / "state.keras")
    assert int(saved.optimizer.iterations) == 4  # of the first epoch
    model, done, facts = run(whole.arrays, tmp_path)
    assert done == EPOCHS and [x["epoch"] for x in facts] == [0, 1]
    for a, b in zip(whole.model.weights, model.weights):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=a.path)
    for a, b in zip(whole.model.optimizer.variables, model.optimizer.variables):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=a.path)


def test_hours_bound_a_call_and_a_state_goes_on_elsewhere(whole, tmp_path):
    _, done, facts = run(whole.arrays, tmp_path / "none", hours=-1)
    assert done == 0 and facts == []
    state = whole.folder / "state.keras"
    other, done, facts = run(whole.arrays, tmp_path / "other", start=state)
    assert done == EPOCHS and facts == []  # nothing was left to do
    assert apart(whole.model, other) == 0


def test_another_seed_gives_another_network(whole, tmp_path):
    other, _, _ = run(whole.arrays, tmp_path, seed=2, hours=-1)
    again, _, _ = run(whole.arrays, tmp_path, seed=2, hours=-1)
    assert apart(other, again) == 0
    one, _, _ = run(whole.arrays, tmp_path, seed=1, hours=-1)
    assert apart(one, other) > 1e-3


def test_biases_and_norms_are_not_decayed():
    model = training.compiled(make(), 10)
    spared = [x for x in model.trainable_variables if not model.optimizer._use_weight_decay(x)]
    assert {x.name for x in spared} == {"bias", "gamma", "beta"}
    assert len(spared) < len(model.trainable_variables)


def test_a_teacher_is_learned_from_and_left_alone(whole, tmp_path):
    teacher = make()
    before = teacher.get_weights()
    taught, done, facts = run(whole.arrays, tmp_path, teacher=teacher)
    assert done == EPOCHS and "distillation_loss" in facts[0]
    for a, b in zip(before, teacher.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert apart(taught, whole.model) > 1e-5
    saved = keras.saving.load_model(tmp_path / "state.keras")
    assert apart(saved, taught) == 0
    assert int(saved.optimizer.iterations) == EPOCHS * 4


@pytest.mark.parametrize("side", [1, 7, 8])
def test_grey_squares_have_their_side_where_they_lie_inside(side):
    images = np.zeros((200, 32, 32, 3), "uint8")
    cut = data.without(images, side, np.random.default_rng(0))
    assert cut.dtype == "uint8" and set(np.unique(cut)) == {0, data.GREY}
    sides = [(x[..., 0].any(axis).sum()) for x in cut for axis in (0, 1)]
    assert max(sides) == side and min(sides) >= side // 2
    assert np.mean(np.equal(sides, side)) > 0.7
    kept = data.Batches(images, np.arange(200), seed=0, epoch=0, batch=16)[0]
    assert not kept[0].any()  # without `cut` there is none


def test_logits_are_compared_as_probabilities():
    (loss,) = training.taught(training.compiled(make(), 4), make()).distillation_losses
    teacher, student = np.random.default_rng(0).normal(size=(2, 6, 10)).astype("float32") * 4
    p, q = (np.exp(x / 4) / np.exp(x / 4).sum(-1, keepdims=True) for x in (teacher, student))
    expected = 4**2 * (p * np.log(p / q)).sum(-1).mean()
    assert float(loss.compute_loss(teacher, student)) == pytest.approx(expected, rel=1e-4)


def test_an_average_is_of_every_weight(whole):
    models = [whole.model, make(), make()]
    given = [model.get_weights() for model in models]
    copy = keras.models.clone_model(whole.model)
    copy.set_weights(given[0])
    found = training.averaged([copy, *models[1:]]).get_weights()
    for kept, *parts in zip(found, *given):
        np.testing.assert_allclose(kept, sum(parts) / 3, rtol=1e-5, atol=1e-7)


def test_choices_never_see_the_test_split(whole):
    assert whole.asked == {"train", "train_labels"}
    arrays = whole.arrays
    (images, labels), (val_images, val_labels) = data.split(arrays)
    assert len(images) == len(labels) == 64 and len(val_images) == len(val_labels) == 16
    rows = np.concatenate([images, val_images]).reshape(80, -1)
    known = dict(zip(map(bytes, arrays["train"]), arrays["train_labels"]))
    assert sorted(map(bytes, rows)) == sorted(known)
    assert [known[bytes(x)] for x in images] == labels.tolist()
    assert [known[bytes(x)] for x in val_images] == val_labels.tolist()


def test_crops_are_windows_of_the_bordered_image():
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (40, 32, 32, 3)).astype("uint8")
    labels = np.arange(40)
    batches = data.Batches(images, labels, seed=0, epoch=0, batch=16)
    assert len(batches) == 2
    seen, mirrored, places = [], 0, set()
    for index in range(2):
        crops, chosen = batches[index]
        assert crops.shape == (16, 32, 32, 3) and crops.dtype == "uint8"
        seen += chosen.tolist()
        for crop, label in zip(crops, chosen):
            border = np.pad(images[label], ((4, 4), (4, 4), (0, 0)), mode="reflect")
            found = [
                (top, left, flip)
                for top in range(9)
                for left in range(9)
                for flip in (1, -1)
                if (border[top : top + 32, left : left + 32][:, ::flip] == crop).all()
            ]
            assert len(found) == 1
            mirrored += found[0][2] == -1
            places.add(found[0][:2])
    assert len(set(seen)) == 32  # no image twice
    assert 8 < mirrored < 24 and len(places) > 15
    again = data.Batches(images, labels, seed=0, epoch=0, batch=16)
    np.testing.assert_array_equal(again[1][0], batches[1][0])
    assert (data.Batches(images, labels, seed=0, epoch=1, batch=16).order != batches.order).any()


def test_the_file_that_is_reported_is_the_one_that_was_scored(whole, tmp_path):
    model, arrays = whole.model, whole.arrays
    path = tmp_path / "small.tflite"
    found = command.score(model, arrays, path, calibration=32)
    assert found["size"] == path.stat().st_size and found["fits"]
    (answers,) = export.predict(path, arrays["test"].astype("float32")).values()
    right = np.argmax(answers, -1) == arrays["test_labels"]
    assert found["test_int8"] == pytest.approx(right.mean())
    assert found["test_float32"] == pytest.approx(
        np.mean(model.predict(arrays["test"], verbose=0).argmax(-1) == arrays["test_labels"])
    )


def test_the_decoded_images_are_kept(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    (folder / "cifar10").mkdir(parents=True)
    (folder / "load.py").write_text(
        "import numpy as np\ndef load(name):\n    return {'train': np.arange(3), 'name': name}\n"
    )
    monkeypatch.setenv("KERAS_BLOCKS_DATA", str(folder))
    cache = tmp_path / "runs" / "cifar10.npz"
    assert data.read(cache)["train"].tolist() == [0, 1, 2]
    monkeypatch.delenv("KERAS_BLOCKS_DATA")
    assert data.read(cache)["name"] == "cifar10"
    with pytest.raises(SystemExit, match="KERAS_BLOCKS_DATA must name"):
        data.read(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    "name, params", [("resnet8", 78_666), ("small", 85_122), ("resnet9", 414_074)]
)
def test_networks_have_their_parameters(name, params):
    model = NETWORKS[name]()
    assert model.count_params() == params
    assert model.output_shape == (None, 10)


def test_a_command_that_ran_out_of_time_says_so(tmp_path, monkeypatch, capsys):
    arrays = made_up()
    monkeypatch.setattr(data, "read", lambda: arrays)
    monkeypatch.setitem(NETWORKS, "tiny", make)
    args = command.parse(
        f"--network tiny --epochs 2 --hours -1 --batch 16 --folder {tmp_path}".split()
    )
    command.main(args)
    found = json.loads(capsys.readouterr().out)
    assert found["done"] == 0 and "go_on" in found
    assert arrays.asked == {"train", "train_labels"}


def test_pixels_are_scaled_in_the_model():
    image = keras.Input((32, 32, 3))
    model = classifier(keras.Model(image, keras.layers.Identity()(image)))
    scale = model.get_layer("scale")
    np.testing.assert_allclose(scale(np.array([0.0, 126.0, 252.0])), [-2.0, 0.0, 2.0], atol=1e-6)
