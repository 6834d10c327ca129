"""image_space: what its configurations are, and that every tuner takes it unchanged."""

import itertools
import random

import keras
import keras_tuner
import numpy as np
import pytest

import blocks
import export
import tuning
from tests.slow import slow
from tuning.image_network import most_stages
from tuning.image_space import CHOICES, FAMILIES

SMALL = {"width": [4, 8], "depth": [1], "stages": [1], "attention": ["none"], "norm": ["batch"]}
FIXED = {"dropout": 0.0, "label_smoothing": 0.0, "weight_decay": 0.0, "learning_rate": 0.01}


class Drawn(keras_tuner.HyperParameters):
    """Hyperparameters drawn at random, or given."""

    def __init__(self, seed=0, **given):
        super().__init__()
        self.random, self.given = random.Random(seed), given

    def _register(self, hp, overwrite=False):
        if self.is_active(hp):
            value = hp.random_sample(self.random.randrange(10**6))
            self.values[hp.name] = self.given.get(hp.name, value)
        return super()._register(hp)


def layers_of(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, blocks.Block)]


def digits():
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype("float32")
    return x, np.arange(32, dtype="int32") % 3


@pytest.mark.parametrize("shape", [(2, 2, 1), (8, 8, 1), (28, 20, 3), (96, 96, 3), (224, 224, 3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_samples_build(shape, seed):
    hp = Drawn(seed)
    model = tuning.image_space(shape, 7)(hp)
    assert model.input_shape == (None, *shape) and model.output_shape == (None, 7)
    facts = export.measure(model)
    assert facts.params == model.count_params() and facts.macs > 0 and not facts.uncounted
    values = hp.values
    offered = {*CHOICES, *(f"{values['family']}_{name}" for name in FAMILIES[values["family"]])}
    assert set(values) - {"stages", "family", "activation"} == offered - {"activation"}
    assert model.optimizer.weight_decay == values["weight_decay"]
    assert float(model.optimizer.learning_rate) == pytest.approx(values["learning_rate"])


@pytest.mark.parametrize("family", FAMILIES)
def test_values_reach_the_network(family):
    table = {"width": [12], "depth": [2], "stages": [2], "norm": ["batch"]}
    options = {name: offered[-1] for name, offered in FAMILIES[family].items()}
    for attention in CHOICES["attention"]:
        space = tuning.image_space(
            (8, 8, 1),
            3,
            choices={**table, "attention": [attention], "dropout": 0.25},
            families={family: options},
        )
        model = space(Drawn())
        kinds = [type(layer).__name__ for layer in layers_of(model)]
        expected = {
            "plain": "ConvNormAct",
            "residual": "ResidualBlock",
            "bottleneck": "BottleneckBlock",
            "inverted": "InvertedResidual",
            "separable": "DepthwiseSeparableConv",
        }[family]
        named = [layer for layer in model.layers if layer.name.startswith("stage")]
        stages = [layer for layer in named if not layer.name.endswith("squeeze")]
        assert [type(layer).__name__ for layer in stages] == [expected] * 4
        assert [layer.output.shape[1:] for layer in stages] == [(8, 8, 12)] * 2 + [(4, 4, 24)] * 2
        assert kinds.count("SqueezeExcite") == (4 if attention == "squeeze_excite" else 0)
        assert kinds.count("SelfAttention") == (1 if attention == "self_attention" else 0)
        kernels = {w.shape[0] for w in model.weights if "stage2_block2" in w.path and w.ndim == 4}
        assert max(kernels) == options.get("kernel", 3)
        drops = {layer.rate for layer in model._flatten_layers() if type(layer) is blocks.DropPath}
        assert drops == ({0.1} if "drop_path" in options else set())
        assert model.get_layer("head").drop.rate == 0.25


def test_the_image_is_never_smaller_than_two():
    for side in [*range(2, 70), 96, 128, 224, 300]:
        stages = most_stages(side)
        halvings = stages if side >= 64 else stages - 1
        coarsest = (side + 1) // 2 if side >= 64 else side
        for _ in range(halvings):
            coarsest = -(-coarsest // 2)
        assert coarsest >= 2 and 1 <= stages <= 4


def test_the_first_layer_takes_mean_and_deviation_off():
    x = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype("float32")
    mean, std = [10, 20, 30], [2, 4, 8]
    space = tuning.image_space((8, 8, 3), 3, mean=mean, std=std)
    model = space(Drawn())
    first = keras.Model(model.input, model.get_layer("normalization").output)
    np.testing.assert_allclose(first.predict(x, verbose=0), (x - mean) / std, rtol=1e-4, atol=1e-4)
    assert "normalization" not in [
        la.name for la in tuning.image_space((8, 8, 3), 3)(Drawn()).layers
    ]


def test_the_head_and_the_schedule_are_those_asked_for():
    space = tuning.image_space((8, 8, 1), 3, steps=50, class_weights=[1, 2, 3])
    hp = Drawn(label_smoothing=0.1, learning_rate=3e-3)
    model = space(hp)
    assert model.loss.get_config()["class_weights"] == [1, 2, 3]
    assert model.loss.get_config()["label_smoothing"] == 0.1
    schedule = tuning.cosine_warmup(50, 3e-3)
    assert isinstance(model.optimizer._learning_rate, type(schedule))
    assert model.optimizer._learning_rate.get_config() == schedule.get_config()


def test_the_size_is_the_number_of_configurations():
    choices = {**SMALL, **FIXED, "stages": [1, 2]}
    families = {"plain": {"kernel": [3, 5]}, "bottleneck": {"drop_path": [0.0]}}
    space = tuning.image_space((4, 4, 1), 3, choices=choices, families=families)
    found = set()
    for family, stages, width, kernel in itertools.product(families, [1, 2], [4, 8], [3, 5]):
        hp = Drawn(family=family, stages=stages, width=width, plain_kernel=kernel)
        space(hp)
        found.add(tuple(sorted(hp.values.items())))
    assert len(found) == space.size == 2 * 2 * (2 + 1)
    table = {"learning_rate": (1e-4, 1e-2, "log")}
    assert tuning.image_space((8, 8, 1), 3, choices=table).size is None


@pytest.mark.parametrize(
    "kwargs",
    [
        {"input_shape": (None, 8, 1)},
        {"input_shape": (1, 8, 1)},
        {"input_shape": (8, 8)},
        {"choices": {"widths": [8]}},
        {"choices": {"width": []}},
        {"families": {}},
        {"families": ["plane"]},
        {"families": [3]},
        {"families": {"plain": [3]}},
        {"choices": ["width"]},
        {"families": {"dense": {}}},
        {"families": {"plain": {"expansion": [2]}}},
        {"choices": {"stages": [4]}},
        {"std": 0},
        {"mean": [1, 2]},
    ],
)
def test_wrong_arguments(kwargs):
    kwargs = {"input_shape": (8, 8, 1), "num_classes": 3, **kwargs}
    with pytest.raises(ValueError, match="Received"):
        tuning.image_space(**kwargs)(Drawn())


def tiny_space():
    families = {"plain": {"kernel": [1, 3]}, "inverted": {"kernel": [3, 5], "expansion": [2, 3]}}
    families["inverted"]["drop_path"] = 0.0
    choices = {**SMALL, **FIXED}
    return tuning.image_space((8, 8, 1), 3, choices=choices, families=families)


class Untrained(keras_tuner.HyperModel):
    """The space, with the parameters as score: the tuners are tested, not the training."""

    def __init__(self):
        super().__init__()
        self.space, self.seen, self.scores = tiny_space(), [], []

    def build(self, hp):
        return self.space(hp)

    def fit(self, hp, model, *args, **kwargs):
        self.seen.append(tuple(sorted((k, v) for k, v in hp.values.items() if "tuner/" not in k)))
        self.scores.append(model.count_params() / 1e4)
        return {"val_accuracy": self.scores[-1]}


@pytest.mark.parametrize(
    "tuner, kwargs",
    [
        (keras_tuner.RandomSearch, {"max_trials": 5, "seed": 1}),
        pytest.param(
            keras_tuner.BayesianOptimization,
            {"max_trials": 5, "num_initial_points": 3, "seed": 1},
            marks=slow,
        ),
        pytest.param(keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2, "seed": 1}, marks=slow),
        pytest.param(keras_tuner.GridSearch, {}, marks=slow),
    ],
)
def test_keras_tuners_own_tuners_take_the_space(tmp_path, tuner, kwargs, capsys):
    model = Untrained()
    own = tuner(model, objective="val_accuracy", directory=tmp_path, **kwargs)
    tuning.without_tensorboard(own).search(verbose=0)
    # A plain block has no expansion, an inverted one has: what belongs together stays together.
    for values in map(dict, model.seen):
        assert ("inverted_expansion" in values) == (values["family"] == "inverted")
        assert ("plain_kernel" in values) == (values["family"] == "plain")
    if tuner is keras_tuner.GridSearch:
        assert len(set(model.seen)) == model.space.size == 2 * (2 + 4)
    else:
        assert len(set(model.seen)) >= 3
    best = own.get_best_hyperparameters()[0]
    assert model.space(best).count_params() / 1e4 == max(model.scores)


@slow
def test_keras_tuner_trains_the_space(tmp_path):
    x, y = digits()
    own = keras_tuner.RandomSearch(
        tiny_space(), "val_accuracy", max_trials=1, directory=tmp_path, seed=0
    )
    tuning.without_tensorboard(own)
    own.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    assert own.oracle.get_best_trials()[0].status == "COMPLETED"


def test_pareto_search_trains_the_space(tmp_path):
    x, y = digits()
    space = tiny_space()
    tuner = tuning.ParetoSearch(
        space,
        ["val_accuracy", "macs"],
        budget=tuning.Budget(macs=12_000),
        max_trials=2,
        seed=0,
        directory=tmp_path,
    )
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    rows = [row for row in tuner.trials_table() if row["state"] != "refused"]
    assert [row["state"] for row in rows] == ["completed"] * 2
    assert all(row["macs"] <= 12_000 for row in rows)
    (model,) = tuner.get_best_models()
    scores = model.evaluate(x, y, return_dict=True, verbose=0)
    assert scores["accuracy"] == pytest.approx(tuner.best().score)
    assert {"loss", "accuracy", "macro_f1", "auc"} <= set(scores)
