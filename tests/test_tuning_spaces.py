"""The spaces of networks: their configurations are right and train, and every tuner takes them."""

import itertools

import keras
import keras_tuner
import numpy as np
import pytest

import blocks
import heads
import tuning
from heads.recommendation.interaction import KINDS
from tests.slow import FULL, slow, some_slow
from tests.test_tuning_space import Drawn
from tuning.detection_space import CHOICES as DETECTION
from tuning.encoders import ENCODERS
from tuning.recommendation_space import RANKING, SEQUENTIAL
from tuning.tables import replaced, size
from tuning.tabular_space import NETWORKS
from tuning.training import TRAINING

random = np.random.default_rng(0)
TABLE = heads.Table.of(
    {"age": [20.0, 30.0, None, 50.0] * 4, "job": ["cook", "smith", "cook", "miner"] * 4}
)
ROWS = TABLE({"age": [20.0, 60.0] * 4, "job": ["cook", "singer"] * 4})
PAIR = heads.Table.of({"user": list("abcd"), "item": list("efgh")})
FIXED = {"learning_rate": 1e-3, "weight_decay": 0.0}
BLOCKS = {"blocks": {"width": [4, 8], "depth": 1, "block": ["plain", "inverted"]}}
IMAGES = random.normal(size=(2, 32, 32, 3)).astype("float32")
MASKS = random.integers(0, 3, (2, 32, 32)).astype("int32")
BOXES = heads.pack_boxes(np.full((2, 1, 4), [4, 4, 20, 20]), [[0], [1]], max_boxes=1)
HISTORIES = random.integers(1, 12, (4, 6)).astype("int32")
TOWERS = {f"{side}_{key}": x for side in ("user", "item") for key, x in ROWS.items()}
SPACES = {
    "unet": (
        lambda **kw: tuning.unet_space(IMAGES.shape[1:], 3, **kw),
        {"encoder": {"blocks": {**BLOCKS["blocks"], "stages": [2, 3]}}, "filters": [2, 4]},
        (IMAGES, MASKS),
    ),
    "detection": (
        lambda **kw: tuning.detection_space(IMAGES.shape[1:], 2, levels=["P3", "P4"], **kw),
        {"backbone": BLOCKS, "filters": [4, 8], "depth": [0, 1]},
        (IMAGES, BOXES),
    ),
    "tabular": (
        lambda **kw: tuning.tabular_space(TABLE.columns, **{"num_classes": 3, **kw}),
        {"network": {"mlp": {"units": [8, 16]}, "tabnet": {"units": 4}, "ft_transformer": {}}},
        (ROWS, np.arange(8) % 3),
    ),
    "recommendation": (
        lambda **kw: tuning.recommendation_space(TABLE.columns, **kw),
        {"units": [[4], [8, 4]], "embedding": [2, 4]},
        (ROWS, np.arange(8) % 2),
    ),
    "sequential": (
        lambda **kw: tuning.sequential_space(12, **{"length": 6, **kw}),
        {"units": [4, 8], "depth": [1, 2]},
        (HISTORIES, HISTORIES),
    ),
    "retrieval": (
        lambda **kw: tuning.retrieval_space(TABLE.columns, TABLE.columns, **kw),
        {"user": {"mlp": {"units": 8}, "tabnet": {}}, "units": [2, 4]},
        (TOWERS, heads.item_targets(np.arange(8))),
    ),
}
FEW = {  # two by two networks of each, quick to build
    "unet": {"encoder": {"blocks": {**BLOCKS["blocks"], "block": "plain", "stages": 2}}},
    "detection": {"backbone": {"blocks": {**BLOCKS["blocks"], "block": "plain"}}},
}


def test_every_space_is_here():
    others = {"image", "training"}
    named = {x.removesuffix("_space") for x in tuning.__all__ if x.endswith("_space")}
    assert named == set(SPACES) | others


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("seed", [0, *(pytest.param(i, marks=slow) for i in range(1, 6))])
def test_samples_train(name, seed):
    make, few, (x, y) = SPACES[name]
    space = make(choices={**few, "schedule": ["cosine", "cyclical"]}, steps=2)
    hp = Drawn(seed)
    model = space(hp)
    assert next(iter(hp.values)) == "learning_rate"
    heads.check_targets((x, y), model)
    before = [np.array(w) for w in model.trainable_weights]
    model.run_eagerly = not FULL  # one step is sooner done than traced
    history = model.fit(x, y, epochs=1, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert any((np.array(w) != b).any() for w, b in zip(model.trainable_weights, before))
    assert isinstance(space.size, int) and space.size > 1


@slow
@pytest.mark.parametrize("kind", sorted(set(ENCODERS) - {"blocks"}))
def test_published_encoders_build(kind):
    for make in (tuning.unet_space, tuning.detection_space):
        row = "encoder" if make is tuning.unet_space else "backbone"
        space = make((64, 64, 3), 2, choices={row: kind}, mean=100, std=50)
        assert space(Drawn(1)).count_params() > 1e5


# -- what is chosen reaches the network


def test_unets_are_what_was_chosen():
    few = {**FEW["unet"], "loss": "focal", "filters": 4}
    for block, attention, nested in [("conv", True, False), ("separable", False, True)]:
        choices = {**few, "block": block, "attention": attention, "nested": nested}
        model = tuning.unet_space((64, 64, 1), 1, choices=choices, ignore_label=7)(Drawn(stem=2))
        head = model.get_layer("head")
        stages = [stage for row in head.stages for stage in row]
        assert len(stages) == 1 and head.logits.kernel.shape[2] == 4
        assert (stages[0].gate is not None) == attention
        kind = {"conv": blocks.ConvNormAct, "separable": blocks.DepthwiseSeparableConv}[block]
        assert all(type(conv) is kind for conv in stages[0].convs)
        assert model.loss.get_config()["ignore_label"] == 7
        assert model.output_shape == (None, 64, 64, 1)


def test_the_encoder_has_its_stem_and_stages():
    for stem, stages in itertools.product([1, 2], [2, 3]):
        table = {"width": 4, "depth": 2, "block": "residual", "stem": stem, "stages": stages}
        model = tuning.unet_space((64, 48, 1), 3, choices={"encoder": {"blocks": table}})(Drawn())
        found = [x for x in model.layers if x.name.startswith("stage")]
        sides = [64 // stem // 2**i for i in range(stages) for _ in range(2)]
        assert [x.output.shape[1] for x in found] == sides
        assert [x.output.shape[-1] for x in found] == [
            4 * 2**i for i in range(stages) for _ in (0, 1)
        ]
        assert all(isinstance(x, blocks.ResidualBlock) for x in found)


@pytest.mark.parametrize("kind", DETECTION["head"])
def test_detectors_are_what_was_chosen(kind):
    few = {**FEW["detection"], "filters": 8, "depth": 1, "separable": True, "neck": "bifpn"}
    own = {"DetectionHead": {"nms_free": True}, "SSDHead": {"ratios": [[1.0]], "octaves": 3}}
    space = tuning.detection_space((32, 32, 1), 2, choices={**few, "head": {kind: own[kind]}})
    head = space(Drawn()).get_layer("head")
    assert type(head) is getattr(heads, kind) and isinstance(head.neck, blocks.BiFPN)
    assert head.levels == ["P3", "P4", "P5"]
    if kind == "SSDHead":
        assert len(head.shapes) == 3
    else:
        assert [branch.name for branch in head.branches] == ["many", "one"]


@pytest.mark.parametrize("kind", NETWORKS)
def test_tables_have_the_network_that_was_chosen(kind):
    own = {"mlp": {"kind": "gated", "activation": "silu"}, "tabnet": {"steps": 2}}
    few = {"network": {kind: {"units": 8, **own.get(kind, {})}}}
    model = tuning.tabular_space(TABLE.columns, "regression", choices=few, mean=3.0, std=2.0)(
        Drawn()
    )
    names = {type(layer).__name__ for layer in model.layers}
    needed = {"mlp": "GatedLinearUnit", "tabnet": "TabNet", "ft_transformer": "TransformerEncoder"}
    assert needed[kind] in names and model.name == kind
    assert model.get_layer("head").mean == 3.0


def test_what_is_idle_is_no_choice():
    spaces = [tuning.tabular_space(x, num_classes=2) for x in (3, TABLE.columns, PAIR.columns)]
    numbers, both, words = (Drawn() for _ in spaces)
    for space, hp in zip(spaces, (numbers, both, words)):
        hp.given = {"network": "mlp"}
        space(hp)
    assert "unknown" in both.values and "unknown" not in numbers.values
    assert "network_mlp_periodic" in both.values and "network_mlp_periodic" not in words.values
    assert "label_smoothing" not in tuned(tuning.tabular_space(3, "regression"))


def tuned(space):
    hp = Drawn()
    space(hp)
    return hp.values


@pytest.mark.parametrize("kind", RANKING["kind"])
def test_ranking_networks_act_as_was_chosen(kind):
    choices = {"kind": kind, "units": [[8, 4]], "embedding": 4}
    model = tuning.recommendation_space(PAIR.columns, choices=choices, loss="squared")(Drawn())
    head = model.get_layer("head")
    assert head.goal == "squared" and type(head.interact) is KINDS[kind]


def test_two_features_are_asked_for_by_ncf():
    pair, three = (tuning.recommendation_space(x.columns) for x in (PAIR, TABLE))
    others = 3 + 3 * 2  # "deep", "fm", "dot", and "cross" with its depth and rank
    assert pair.size * others == three.size * (others + 1)


@pytest.mark.parametrize("kind", SEQUENTIAL["kind"])
def test_sequences_are_read_as_was_chosen(kind):
    choices = {"kind": kind, "units": 8, "depth": 2}
    head = tuning.sequential_space(300, choices=choices, length=7)(Drawn()).get_layer("head")
    assert head.negatives == 256 and head.length == 7
    (found,) = [x for x in ("gru", "attention") if any(x in w.path for w in head.weights)]
    assert found == kind


def test_towers_answer_with_items():
    make, few, (x, y) = SPACES["retrieval"]
    model = make(choices=few)(Drawn(1))
    items = {key: value for key, value in x.items() if key.startswith("item")}
    answer = heads.deploy(model, items=items, k=3)
    users = {key: value for key, value in x.items() if key.startswith("user")}
    assert answer.predict(users, verbose=0)["items"].shape == (8, 3)


# -- training


@pytest.mark.parametrize("optimizer", TRAINING["optimizer"])
@pytest.mark.parametrize("schedule", TRAINING["schedule"])
def test_the_optimizer_is_the_chosen_one(optimizer, schedule):
    choices = {"optimizer": optimizer, "schedule": schedule, "learning_rate": 0.01}
    made = tuning.training_space({**choices, "weight_decay": 0.06}, steps=100)(Drawn())
    times = {"adamw": 1, "sgd": 30}[optimizer]
    assert type(made).__name__.lower() == optimizer
    assert made.weight_decay == pytest.approx(0.06 / times) and made.global_clipnorm == 1
    rate = made._learning_rate
    rates = [float(rate(i)) if callable(rate) else float(rate) for i in range(0, 101)]
    assert max(rates) == pytest.approx(0.01 * times)
    if schedule == "constant":
        assert min(rates) == max(rates)
    else:
        assert rates[-1] < 0.01 * rates[30]
    assert (rates[0] == pytest.approx(0.1 * max(rates))) == (schedule == "cyclical")
    made.build([w := keras.Variable([1.0], name="kernel"), b := keras.Variable([1.0], name="bias")])
    assert made._use_weight_decay(w) and not made._use_weight_decay(b)


def test_training_alone_is_a_space():
    assert tuning.training_space().size == 4 * 2 * 3
    assert tuning.training_space(steps=9).size == 4 * 2 * 3 * 3
    assert tuning.training_space({"learning_rate": (1e-4, 1e-2, "log")}).size is None
    hp = Drawn()
    tuning.training_space(steps=9)(hp, "late_")
    assert set(hp.values) == {f"late_{x}" for x in TRAINING}


# -- the parts


def test_a_block_of_a_space_has_the_chosen_arguments():
    make = tuning.space_of(blocks.ResidualBlock, filters=[16, 32], activation=["relu", "silu"])
    hp = Drawn(stem_filters=32, stem_activation="silu")
    made = make(hp, "stem_", strides=2, name="stem").get_config()
    assert (made["filters"], made["activation"], made["strides"]) == (32, "silu", 2)
    assert made["name"] == "stem" and set(hp.values) == {"stem_filters", "stem_activation"}
    assert make.size == 4
    assert tuning.space_of(heads.UNetHead, filters=(8, 16))(Drawn(filters=9), num_classes=2)
    assert tuning.space_of(keras.layers.Dense, units=(1, 3)).size == 3


WRONG = [
    lambda: tuning.space_of(blocks.ResidualBlock, filter=[16]),
    lambda: tuning.space_of(blocks.ResidualBlock, filters=[]),
    lambda: tuning.space_of(blocks.ResidualBlock, filters=[8])(Drawn(), stride=2),
    lambda: tuning.training_space({"rate": 0.1}),
    lambda: tuning.training_space({"optimizer": "adam"}),
    lambda: tuning.training_space({"optimizer": {}}),
    lambda: tuning.training_space({"optimizer": {"sgd": {"ema": 0.9}}}),
    lambda: tuning.training_space({"schedule": ["cosine"]}),
    lambda: tuning.training_space({"schedule": ["linear"]}, steps=9),
    lambda: tuning.training_space(steps=0),
    lambda: tuning.training_space(steps=lambda batch: batch)(Drawn()),
    lambda: tuning.unet_space((None, 32, 1), 2),
    lambda: tuning.unet_space((3, 32, 1), 2),
    lambda: tuning.unet_space((32, 32, 1), 2, levels=["P1"]),
    lambda: tuning.unet_space((32, 32, 1), 2, choices={"encoder": {"blocks": {"widths": 3}}}),
    lambda: tuning.unet_space((32, 32, 1), 2, choices={"encoder": {"blocks": {"block": "x"}}}),
    lambda: tuning.unet_space((32, 32, 1), 2, choices={"encoder": {"resnet": {"input_shape": 3}}}),
    lambda: tuning.unet_space((32, 32, 1), 2, choices={"loss": "dice"}, loss="focal"),
    lambda: tuning.detection_space((31, 32, 1), 2),
    lambda: tuning.detection_space((32, 32, 1), 2, nms_free=True),  # of one head alone
    lambda: tuning.detection_space((32, 32, 1), 2, choices={"head": {"RCNNHead": {}}}),
    lambda: tuning.detection_space((32, 32, 1), 2, choices={"head": {"SSDHead": {"depth": 1}}}),
    lambda: tuning.tabular_space(3, "ranking"),
    lambda: tuning.tabular_space(3, "regression", num_classes=3),
    lambda: tuning.tabular_space(3, num_classes=1),
    lambda: tuning.tabular_space([3], num_classes=2),
    lambda: tuning.tabular_space(3, num_classes=2, choices={"network": {"mlp": {"unit": 3}}}),
    lambda: tuning.tabular_space(3, num_classes=2, choices={"network": {"mlp": {"units": ()}}}),
    lambda: tuning.tabular_space(3, num_classes=2, choices=["mlp"]),
    lambda: tuning.recommendation_space(3, choices={"kind": "deeper"}),
    lambda: tuning.recommendation_space(3, loss="pairwise"),
    lambda: tuning.recommendation_space(3, kind="deep"),
    lambda: tuning.sequential_space(0),
    lambda: tuning.sequential_space(5, heads=3),
    lambda: tuning.retrieval_space(3, None),
    lambda: tuning.retrieval_space(3, 3, choices={"user": "ft_transformer"}),
    lambda: tuning.FitSpace(3),
    lambda: tuning.FitSpace(len, {"epochs": 3}),
    lambda: tuning.FitSpace(len, {"batch_size": [0, 1]}),
    lambda: tuning.FitSpace(len, {"augmentation": ["weak"]}),
    lambda: tuning.FitSpace(len, {"augmentation": "light"}, flips=None),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_arguments_are_told_at_once(wrong):
    with pytest.raises(ValueError, match="Received"):
        wrong()


def test_rows_are_replaced_name_by_name():
    known = {"a": [1, 2], "b": {"x": {"c": [1, 2], "d": 3}, "y": {}}}
    assert replaced(known, None) == known
    assert replaced(known, {"b": "y"}) == {"a": [1, 2], "b": {"y": {}}}
    assert replaced(known, {"b": ["x"]})["b"] == {"x": known["b"]["x"]}
    assert replaced(known, {"b": {"x": {"d": [4, 5]}}})["b"] == {"x": {"c": [1, 2], "d": [4, 5]}}
    assert replaced(known, {"b": {"x": {"e": 1}}}, {"x": ["e"]})["b"]["x"]["e"] == 1
    assert known["b"]["x"] == {"c": [1, 2], "d": 3}


# -- searches


class Chosen(keras_tuner.HyperModel):
    """A table of tables two deep; a trial's score is its place."""

    table = {
        "net": {
            "deep": {"units": [1, 2], "act": {"relu": {}, "leaky": {"slope": [0.1, 0.3]}}},
            "flat": {"units": [8, 9], "bias": True},
            "none": {},
        },
    }

    def __init__(self):
        super().__init__()
        self.seen = []

    def build(self, hp):
        name, own = tuning.choose(hp, self.table)["net"]
        keys = set(self.table["net"][name] if name else ())
        assert set(own) == keys
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    def fit(self, hp, model, *args, **kwargs):
        self.seen.append(tuple(sorted((k, v) for k, v in hp.values.items() if "tuner/" not in k)))
        return {"val_loss": float(len(self.seen))}


def test_every_configuration_of_tables_in_tables_is_tried_once(tmp_path):
    model = Chosen()
    own = keras_tuner.GridSearch(model, objective="val_loss", directory=tmp_path)
    tuning.without_tensorboard(own).search(verbose=0)
    assert len(model.seen) == len(set(model.seen)) == size(model.table) == 2 * 3 + 2 + 1
    for values in map(dict, model.seen):
        assert ("net_flat_units" in values) == (values["net"] == "flat")
        assert ("net_deep_act_leaky_slope" in values) == (values.get("net_deep_act") == "leaky")
        assert ("net_deep_units" in values) == (values["net"] == "deep")


def test_pareto_search_tries_each_once_too(tmp_path):
    model = Chosen()
    tuner = tuning.ParetoSearch(model, ["val_loss"], max_trials=99, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    assert len(set(model.seen)) == len(model.seen) == size(model.table)


def images(count=24):
    x = random.integers(0, 255, (count, 8, 8, 1)).astype("float32")
    return x, np.arange(count, dtype="int32") % 3


class Watched(keras.callbacks.Callback):
    """What a training was: its steps an epoch, and its learning rate at the end."""

    told = []

    def on_train_end(self, logs=None):
        self.told.append((self.params["steps"], float(self.model.optimizer.learning_rate)))


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_fit_has_the_chosen_batch_size_and_augmentation(form):
    x, y = images()
    few = {"width": 4, "depth": 1, "stages": 1, "attention": "none", "learning_rate": 0.01}
    space = tuning.image_space(
        (8, 8, 1),
        3,
        choices={**few, "schedule": ["cosine"], "norm": "batch"},
        families={"plain": {"kernel": 1}},
        steps=lambda batch: len(x) // batch,
    )
    both = tuning.FitSpace(space, {"batch_size": [4, 8], "augmentation": ["none", "light"]})
    assert both.size == 4 * space.size
    import tensorflow as tf

    data = {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(6)}
    for batch, strength in [(4, "none"), (8, "light")]:
        hp = Drawn(batch_size=batch, augmentation=strength)
        model = both.build(hp)
        assert hp.values["batch_size"] == batch
        model.run_eagerly = True
        seen = []
        first = model.get_layer("stem")
        call = first.call
        first.call = lambda x, call=call, seen=seen: (seen.append(np.array(x)), call(x))[1]
        given = {"x": x, "y": y} if form == "arrays" else data
        Watched.told.clear()
        both.fit(hp, model, **given, epochs=1, verbose=0, callbacks=[Watched()])
        ((_, rate),) = Watched.told
        assert rate == pytest.approx(0, abs=1e-7)  # the schedule has ended with the epoch
        assert [len(rows) for rows in seen] == [batch] * (len(x) // batch)
        rows, same = {row.tobytes() for row in x}, np.concatenate(seen)
        assert all(row.tobytes() in rows for row in same) == (strength == "none")


def test_fit_refuses_what_it_cannot_choose():
    x, y = images()
    space = tuning.FitSpace(lambda hp: None, {"batch_size": 8, "augmentation": "light"})
    hp = Drawn()
    space.build(hp)
    assert hp.values == {"batch_size": 8, "augmentation": "light"} and space.size is None
    for given in ({"x": x, "y": y, "batch_size": 3}, {"x": iter([x])}, {"x": x, "y": x}):
        with pytest.raises(keras_tuner.errors.FatalValueError, match="Received"):
            space.fit(hp, None, **given)


def test_pareto_search_chooses_the_batch_size(tmp_path):
    choices = {**FIXED, "optimizer": "sgd", "schedule": "cosine"}
    training = tuning.training_space(choices, steps=lambda batch: 24 // batch)

    def build(hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(training(hp), loss="mse", run_eagerly=True)
        return model

    model = tuning.FitSpace(build, {"batch_size": [8, 12, 24]})
    tuner = tuning.ParetoSearch(model, "val_loss", max_trials=9, seed=0, directory=tmp_path)
    Watched.told.clear()
    x = np.ones((24, 4), "float32")
    given = {"validation_data": (x, x[:, :1]), "callbacks": [Watched()]}
    tuner.search(x, x[:, :1], **given, epochs=1, verbose=0)
    rows = tuner.trials_table()
    assert sorted(row["values"]["batch_size"] for row in rows) == [8, 12, 24]
    assert sorted(steps for steps, _ in Watched.told) == [1, 2, 3]


class Scored(keras_tuner.HyperModel):
    """A space, with the parameters as score: the tuners are tested, not the training."""

    def __init__(self, space):
        super().__init__()
        self.space = space

    def build(self, hp):
        return self.space(hp)

    def fit(self, hp, model, *args, **kwargs):
        return {"val_loss": model.count_params() / 1e4}


def of_keras(tuner, **kwargs):
    def search(model, folder):
        own = tuner(model, objective="val_loss", directory=folder, **kwargs)
        return tuning.without_tensorboard(own).search(verbose=0)

    return search


@pytest.mark.parametrize("name", some_slow(SPACES, *(set(SPACES) - {"recommendation"})))
@pytest.mark.parametrize(
    "search",
    [
        of_keras(keras_tuner.RandomSearch, max_trials=2, seed=1),
        pytest.param(
            of_keras(keras_tuner.BayesianOptimization, max_trials=4, num_initial_points=3, seed=1),
            # scikit-learn's, of KerasTuner's own model of so few scores
            marks=[slow, pytest.mark.filterwarnings("ignore:The optimal value found")],
        ),
        pytest.param(of_keras(keras_tuner.Hyperband, max_epochs=2, factor=2, seed=1), marks=slow),
    ],
)
def test_tuners_take_every_space(tmp_path, name, search):
    make, few, _ = SPACES[name]
    few = FEW.get(name, few)
    search(Scored(make(choices={**few, **FIXED})), tmp_path)


@slow
@pytest.mark.parametrize("name", SPACES)
def test_pareto_search_trains_every_space(tmp_path, name):
    make, few, (x, y) = SPACES[name]
    space = make(choices={**few, **FEW.get(name, {})})
    tuner = tuning.ParetoSearch(
        space, ["val_loss", "params"], max_trials=2, seed=0, directory=tmp_path
    )
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    assert [row["state"] for row in tuner.trials_table()] == ["completed"] * 2
    (model,) = tuner.get_best_models()
    loss = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(tuner.best().score, rel=1e-3)
