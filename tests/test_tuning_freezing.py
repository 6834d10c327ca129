"""What is frozen stays, statistics of batch norms included; what thaws moves."""

import keras
import numpy as np
import pytest

import backbones
import heads
import tuning
from tests.slow import some_slow
from tests.small_networks import SIDE, data, moved, network, values

# A step of TensorFlow takes seconds to trace: one test traces them, the others need not.
EAGER = keras.backend.backend() == "tensorflow"
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("up_to", "frozen"),
    [
        (None, {"stem", "stage1", "stage2"}),
        ("P0", {"stem"}),
        ("P1", {"stem", "stage1"}),
        ("P2", {"stem", "stage1", "stage2"}),
        ("stage1", {"stem", "stage1"}),
        ("stem", {"stem"}),
    ],
)
def test_frozen_weights_and_statistics_stay_and_the_others_move(up_to, frozen):
    model, backbone = network()
    if up_to == "P0":  # a level that the end of the backbone alone names
        tuning.freeze(backbone, up_to)
    else:
        tuning.freeze(model, up_to)
    model.compile("sgd", loss=LOSS, run_eagerly=EAGER)
    before = values(model)
    model.fit(*data(), epochs=1, verbose=0)
    parts = {path.split("/")[0] for path in before}
    assert parts == {"stem", "stage1", "stage2", "head"}
    assert moved(model, before) == {p for p in before if p.split("/")[0] not in frozen}


def test_a_path_inside_of_a_block_freezes_a_part_of_it():
    model, _ = network()
    found = tuning.freeze(model, "stage2.conv1")
    assert found[-1] == "stage2.conv1.norm" and "stage2.conv2.conv" not in found
    assert not any(path.startswith("stage2.conv2") for path in found)
    before = values(model)
    model.compile("sgd", loss=LOSS, run_eagerly=EAGER)
    model.fit(*data(), epochs=1, verbose=0)
    parts = {path.rsplit("/", 2)[0] for path in moved(model, before)}
    assert "stage2/conv2" in parts and "head" in parts
    assert not parts & {"stem", "stage1", "stage2/conv1"}


def test_a_nested_backbone_is_frozen_by_name_by_level_and_by_path():
    _, backbone = network()
    x = keras.Input((SIDE, SIDE, 1))
    features = keras.layers.GlobalAveragePooling2D()(backbone(x)["P2"])
    model = keras.Model(x, keras.layers.Dense(2, name="out")(features))
    assert len(tuning.freeze(model, backbone.name)) == len(tuning.freeze(model, "P2")) == 10
    assert [w.path for w in model.trainable_weights] == ["out/kernel", "out/bias"]
    tuning.unfreeze(model)
    found = tuning.freeze(model, f"{backbone.name}.stage1")
    assert found[0] == f"{backbone.name}.stem.conv" and len(found) == 4


def test_networks_of_keras_are_frozen_by_level_and_by_layer():
    app = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, include_top=False)
    model = heads.attach(backbones.pyramid(app), heads.ClassificationHead(3))
    found = tuning.freeze(model, "P3")
    assert found[0] == "Conv1" and found[-1] == "block_5_project_BN"
    tuning.unfreeze(model)
    assert tuning.freeze(model, "block_5_project_BN")[-1] == "block_5_project_BN"
    assert model.get_layer("block_6_expand").trainable


def test_what_is_not_there_is_named_with_what_is():
    model, _ = network()
    with pytest.raises(ValueError, match=r"Received: up_to='stage3'. .*P1.*, P2.*stage2"):
        tuning.freeze(model, "stage3")
    with pytest.raises(ValueError, match="Received: up_to=3"):
        tuning.freeze(model, 3)

    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="functional"):
        tuning.freeze(Own(), "P2")


def test_after_training_it_says_to_compile_again():
    model, _ = network()
    model.compile("sgd", loss=LOSS, run_eagerly=EAGER)
    tuning.freeze(model, "stem")  # not trained yet: it needs no word
    model.fit(*data(), epochs=1, verbose=0)
    with pytest.warns(UserWarning, match=r"compile\(…\) again"):
        tuning.freeze(model, "stage1")
    model.compile("sgd", loss=LOSS, run_eagerly=EAGER)
    before = values(model)
    model.fit(*data(), epochs=1, verbose=0)
    assert {path.split("/")[0] for path in moved(model, before)} == {"stage2", "head"}


# -- gradual unfreezing


class Watch(keras.callbacks.Callback):
    """Notes after each epoch which parts of the network moved in it."""

    def on_train_begin(self, logs=None):
        self.parts = []

    def on_epoch_begin(self, epoch, logs=None):
        self.before = values(self.model)

    def on_epoch_end(self, epoch, logs=None):
        self.parts.append({path.split("/")[0] for path in moved(self.model, self.before)})


STAGES = {0: "P2", 1: "P1", 3: "stem", 4: None}
ALL = {"stem", "stage1", "stage2", "head"}
EXPECTED = [{"head"}, {"stage2", "head"}, {"stage2", "head"}, ALL - {"stem"}, ALL]


@pytest.mark.parametrize("optimizer", some_slow(["adam", "scaled", "layerwise"], "scaled"))
def test_stages_thaw_under_fit_with_every_optimizer(optimizer):
    model, _ = network()
    made = {
        "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        "layerwise": lambda: tuning.layerwise_decay(tuning.adamw(None, 1e-2, ema=0.5), model),
    }
    model.compile(
        made[optimizer]() if optimizer in made else optimizer,
        loss=LOSS,
        run_eagerly=EAGER and optimizer != "adam",
    )
    watch = Watch()
    x, y = data()
    fit = {"validation_data": (x, y), "verbose": 0}
    model.fit(x, y, epochs=5, callbacks=[tuning.GradualUnfreezing(STAGES), watch], **fit)
    assert watch.parts == EXPECTED
    assert len(model.optimizer._trainable_variables) == len(model.trainable_variables) == 17
    before = values(model)
    model.fit(x, y, epochs=1, **fit)  # and goes on without the callback
    assert moved(model, before) == set(before)


def test_an_average_of_a_weight_begins_where_it_thaws():
    model, _ = network()
    model.compile(tuning.adamw(None, 1e-3, ema=0.99), loss=LOSS, run_eagerly=EAGER)
    start = values(model)
    model.fit(
        *data(), epochs=2, verbose=0, callbacks=[tuning.GradualUnfreezing({0: "P2", 1: None})]
    )
    for weight in model.trainable_variables:  # which are the averages, at the end of fit
        assert np.abs(np.array(weight) - start[weight.path]).max() < 0.02, weight.path


@pytest.mark.skipif(not EAGER, reason="Keras cannot fit twice with averages on JAX")
def test_an_average_of_a_weight_that_never_thawed_is_its_value():
    model, _ = network()
    model.compile(tuning.adamw(None, 1e-3, ema=0.99), loss=LOSS, run_eagerly=EAGER)
    start = values(model)
    model.fit(*data(), epochs=1, verbose=0, callbacks=[tuning.GradualUnfreezing({0: "P2"})])
    model.fit(*data(), epochs=1, verbose=0)  # ends with the averages in the weights' places
    for weight in model.trainable_variables:
        assert np.abs(np.array(weight) - start[weight.path]).max() < 0.02, weight.path


def test_averages_begin_where_nothing_reads_the_weights_before():
    """JAX gives away the buffers of a step: an average must not be its weight's own."""
    model, _ = network()
    optimizer = keras.optimizers.Adam(1e-4, use_ema=True)
    model.compile(optimizer, loss=LOSS, run_eagerly=EAGER)
    thaw = tuning.GradualUnfreezing({0: "P2", 1: None})
    model.fit(*data(), epochs=2, verbose=0, callbacks=[thaw])


def test_a_schedule_without_frozen_layers_is_plain_fit():
    fitted = []
    for callbacks in ([], [tuning.GradualUnfreezing({0: None})]):
        model, _ = network()
        model.compile(keras.optimizers.Adam(0.01), loss=LOSS, run_eagerly=EAGER)
        model.fit(*data(), epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        fitted.append(values(model))
    for path in fitted[0]:
        np.testing.assert_array_equal(fitted[0][path], fitted[1][path], err_msg=path)


def test_the_optimizer_loses_nothing_when_stages_thaw():
    """With nothing to thaw later, remaking the step at each stage changes no bit."""
    fitted = []
    for schedule in ({0: "P1"}, {0: "P1", 1: "stage1", 2: "P1"}):  # the same layers three times
        model, _ = network()
        model.compile(keras.optimizers.Adam(0.01), loss=LOSS, run_eagerly=EAGER)
        callback = tuning.GradualUnfreezing(schedule)
        model.fit(*data(), epochs=3, shuffle=False, verbose=0, callbacks=[callback])
        assert int(model.optimizer.iterations) == 3
        fitted.append({**values(model), "slots": np.array(model.optimizer.variables[-1])})
    for path in fitted[0]:
        np.testing.assert_array_equal(fitted[0][path], fitted[1][path], err_msg=path)


def test_layers_are_as_trainable_afterwards_as_before_even_if_interrupted():
    model, _ = network()
    model.get_layer("stem").trainable = False
    model.compile("adam", loss=LOSS, run_eagerly=EAGER)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    callback = tuning.GradualUnfreezing({0: "P2", 2: "stem"})
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data(), epochs=1, verbose=0, callbacks=[callback, Stop()])
    again = tuning.GradualUnfreezing({0: "P2", 2: "stem"})  # knows nothing of the first
    with pytest.raises(ValueError, match="frozen, by hand or by a training"):
        model.fit(*data(), epochs=1, verbose=0, callbacks=[again])
    watch = Watch()
    model.fit(*data(), epochs=3, verbose=0, callbacks=[callback, watch])
    assert watch.parts == [{"head"}, {"head"}, ALL - {"stem"}]
    assert not model.get_layer("stem").trainable and model.get_layer("stage2").trainable
    callback.set_model(model)
    model.fit(*data(), epochs=3, initial_epoch=2, verbose=0, callbacks=[callback, watch])
    assert watch.parts == [ALL - {"stem"}]  # where a training goes on, so does the schedule


def test_a_number_of_epochs_is_a_schedule_by_levels():
    model, backbone = network()
    assert tuning.GradualUnfreezing(2).stages(model) == {0: "P2", 2: "P1", 4: None}
    assert tuning.GradualUnfreezing(1).stages(backbone) == {0: "P2", 1: "P1", 2: "P0", 3: None}
    flat = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="which has none"):
        tuning.GradualUnfreezing(2).stages(flat)


@pytest.mark.parametrize(
    "wrong", [0, -1, 1.5, True, None, {}, {1: "P2"}, {0: "P2", -1: None}, {"0": 1}]
)
def test_wrong_schedules_are_refused(wrong):
    with pytest.raises(ValueError, match="Received: schedule="):
        tuning.GradualUnfreezing(wrong)


def test_what_cannot_thaw_is_said_before_training():
    model, _ = network()
    tuning.freeze(model, "stage1")
    model.compile("adam", loss=LOSS, run_eagerly=EAGER)
    model.fit(*data(), epochs=1, verbose=0)
    with pytest.warns(UserWarning, match=r"compile\(…\) again"):
        tuning.unfreeze(model)
    with pytest.raises(ValueError, match="Compile it again with all layers trainable"):
        model.fit(*data(), verbose=0, callbacks=[tuning.GradualUnfreezing({0: "P2"})])
    with pytest.raises(ValueError, match="Received: up_to='P9'"):
        model.fit(*data(), verbose=0, callbacks=[tuning.GradualUnfreezing({0: "P9"})])
    model.compile("adam", loss=LOSS, run_eagerly=EAGER)
    with pytest.raises(ValueError, match="leave something to train"):
        model.fit(*data(), verbose=0, callbacks=[tuning.GradualUnfreezing({0: "head"})])


def test_what_never_thawed_trains_afterwards():
    model, _ = network()
    model.compile("adam", loss=LOSS)  # the step is remade, not only run
    model.fit(*data(), epochs=1, verbose=0, callbacks=[tuning.GradualUnfreezing({0: "P2"})])
    before = values(model)
    model.fit(*data(), epochs=1, verbose=0)
    assert moved(model, before) == set(before)


@pytest.mark.parametrize("up_to", [None, "stage2.conv1"])
def test_unfreezing_reaches_every_depth(up_to):
    model, _ = network()
    tuning.freeze(model, up_to)
    tuning.unfreeze(model)
    assert all(layer.trainable for layer in model._flatten_layers())
