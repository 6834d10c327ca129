"""Distillation: a small model learns what a large one answers, and how it gets there."""

import keras
import numpy as np
from keras import layers, ops, tree
from keras.distillation import Distiller, FeatureDistillation, LogitsDistillation

import heads
from blocks import flatten
from blocks.graph import trace
from heads.graph import functional_graph, heads_of
from tuning.checks import is_number
from tuning.freezing import levels_in
from tuning.narrow import random_inputs


def distill(
    teacher: keras.Model,
    student: keras.Model,
    *,
    temperature: float = 4.0,
    features=(),
    feature_weight: float = 1.0,
    student_loss_weight: float = 0.1,
) -> Distiller:
    """Return a `keras.distillation.Distiller` that trains a student under a teacher.

    The student is the same object before and after: `fit` the distiller, then evaluate, save and
    export the student.

    ```python
    distiller = tuning.distill(teacher, student)
    distiller.compile(optimizer, loss=heads.losses(student))
    distiller.fit(train, epochs=20)
    ```

    Exclusive classes, of images and of pixels, are taught by the Kullback-Leibler divergence of
    softened probabilities; every other raw output (values, several labels, boxes) by its squared
    difference. `sample_weight` reaches neither loss, and Keras takes metrics of one output alone.

    Args:
        teacher: A trained model. It is frozen.
        student: A model with heads, made by `heads.attach`, with inputs and outputs of the same
            shapes. A model of `tuning.prune` is one.
        temperature: What logits are divided by before they are compared.
        features: Levels (`"P4"`) whose features are compared, too, by mean squares. Where the
            student has other channels, a 1x1 convolution leads from them to the teacher's; it
            trains with the student and is left behind.
        feature_weight: Weight of each feature's loss beside the outputs' 1.
        student_loss_weight: Share of the loss that is the student's own, on the targets; the rest
            is the teacher's.

    Raises:
        ValueError: If an argument is out of its range, the student has no heads, inputs or outputs
            differ, or a level is missing or of other sides.

    Reference: [Hinton et al., 2015](https://arxiv.org/abs/1503.02531);
        [Romero et al., 2015](https://arxiv.org/abs/1412.6550) (features)

    >>> def network(filters):
    ...     image = keras.Input((8, 8, 1))
    ...     x = keras.layers.Conv2D(filters, 3, 2, padding="same")(image)
    ...     backbone = keras.Model(image, {"P1": x})
    ...     return heads.attach(backbone, heads.ClassificationHead(3))
    >>> teacher, student = network(8), network(4)
    >>> distiller = distill(teacher, student, features=["P1"])
    >>> distiller.compile("adam", loss=heads.losses(student))
    >>> _ = distiller.fit(np.zeros((2, 8, 8, 1)), np.zeros(2), verbose=0)
    >>> distiller.student is student
    True
    """
    for name, value, low, high in (
        ("temperature", temperature, 0, float("inf")),
        ("feature_weight", feature_weight, 0, float("inf")),
        ("student_loss_weight", student_loss_weight, 0, 1),
    ):
        fits = is_number(value) and (low <= value < high if high == 1 else low < value < high)
        if not fits:
            rule = "at least 0 and below 1" if high == 1 else "above 0"
            raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}.")
    if isinstance(features, str):
        raise ValueError(
            f'`features` must list levels. Received: features={features!r}. Write ["{features}"].'
        )
    found = heads_of(student)
    _check(teacher, student)
    exclusive = _exclusive(student, found)
    _check_raw(teacher, exclusive)
    losses = _output_losses(student, exclusive, temperature)
    weights = [1.0] * len(losses)
    if features:
        teacher, pairs = _feature_losses(teacher, student, features)
        losses, weights = losses + pairs, weights + [feature_weight] * len(pairs)
    distiller = _Distiller(
        teacher, student, losses, weights, student_loss_weight=student_loss_weight
    )
    distiller.projections = [x.project for x in losses if getattr(x, "project", None)]
    return distiller


class _Distiller(Distiller):
    """Gives inputs to Keras's models of features as the models themselves take them.

    Keras gives them a list, and then warns that they were given none. And a dict of losses that it
    tracks has no longer the structure of the targets.
    """

    def compile(self, *args, **kwargs):
        super().compile(*args, **kwargs)
        if isinstance(self._student_loss, dict):
            vars(self)["_student_loss"] = dict(self._student_loss)

    def _create_feature_extractor(self, model, layer_names):
        made = super()._create_feature_extractor(model, layer_names)
        if made is None:
            return None
        return keras.Model(functional_graph(model)._inputs_struct, made.output, name=made.name)


class ProjectedFeatures(FeatureDistillation):
    """The mean squared difference of a teacher's feature and a linear map of the student's."""

    def __init__(self, project, **kwargs):
        super().__init__("mse", **kwargs)
        self.project = project

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        return super().compute_loss(teacher_outputs, self.project(student_outputs), **kwargs)


def _check(teacher, student):
    """Raise where a teacher and a student cannot stand side by side."""
    if teacher is student:
        raise ValueError(
            f"Teacher and student are two models. Received: {student.name!r} twice. "
            "keras.models.clone_model makes another."
        )
    graphs = [functional_graph(x) for x in (teacher, student)]
    for what in ("inputs", "outputs"):
        structs = [getattr(graph, f"_{what}_struct") for graph in graphs]
        shapes = [tree.map_structure(lambda x: [*x.shape], struct) for struct in structs]
        flat = [tree.flatten(struct) for struct in structs]
        fits = repr(tree.map_structure(lambda x: 0, structs[0])) == repr(
            tree.map_structure(lambda x: 0, structs[1])
        ) and all(_alike(a.shape, b.shape) for a, b in zip(*flat, strict=True))
        if not fits:
            raise ValueError(
                f"Teacher and student must have {what} of the same names and shapes. "
                f"Received: {shapes[0]} and {shapes[1]}."
            )


def _check_raw(teacher, exclusive):
    """Raise where a teacher gives probabilities and not logits of exclusive classes."""
    outputs = tree.flatten(teacher(random_inputs(functional_graph(teacher)), training=False))
    for x in (ops.convert_to_numpy(x) for x, logits in zip(outputs, exclusive) if logits):
        if x.min() >= 0 and np.allclose(x.sum(-1), 1, atol=1e-3):
            raise ValueError(
                "A teacher gives raw outputs, as its student does. Received: "
                f"{teacher.name!r}, whose sum to 1. Take the model before heads.deploy."
            )


def _alike(a, b):
    return len(a) == len(b) and all(None in pair or pair[0] == pair[1] for pair in zip(a, b))


def _exclusive(student, found):
    """Return of each output whether it is logits of classes of which one is right."""
    struct = functional_graph(student)._outputs_struct
    order = sorted(found) if isinstance(struct, dict) else found  # as Keras flattens them
    for name in order:
        if getattr(getattr(found[name], "targets", None), "maps", 1) > 1:
            raise ValueError(
                "A student's raw output must have the same shape in training. Received: "
                f"{name!r} with deep_supervision=True. Leave it out."
            )
    return [_is_exclusive(found[name]) for name in order]


def _output_losses(student, exclusive, temperature):
    """Return the losses of the raw outputs: of logits of exclusive classes, and of others."""
    struct = functional_graph(student)._outputs_struct
    losses = []
    if any(exclusive):
        # As an object: of its name Keras makes a function, which reads logits as probabilities.
        each = [keras.losses.KLDivergence() if x else None for x in exclusive]
        losses.append(LogitsDistillation(temperature, tree.pack_sequence_as(struct, each)))
    if not all(exclusive):
        each = [None if x else keras.losses.MeanSquaredError() for x in exclusive]
        losses.append(FeatureDistillation(tree.pack_sequence_as(struct, each)))
    return losses


def _is_exclusive(head):
    """Return whether a head's raw output is the logits of classes of which one is right."""
    targets = getattr(head, "targets", None)
    classes = getattr(targets, "num_classes", 1)
    multi_label = getattr(targets, "multi_label", False)
    return classes > 1 and not multi_label and not isinstance(head, heads.MarginHead)


def _feature_losses(teacher, student, features):
    """Return the teacher, opened where levels end inside of it, and a loss for each level."""
    end_s = _level_layers(student, features)
    try:
        end_t = _level_layers(teacher, features)
    except ValueError:
        teacher = flatten(teacher)
        end_t = _level_layers(teacher, features)
    losses = []
    for level in features:
        (name_t, x), (name_s, y) = end_t[level], end_s[level]
        if not _alike(x.shape[:-1], y.shape[:-1]):
            raise ValueError(
                f"The features of a level must have the same sides. Received: {level} of "
                f"{tuple(x.shape[1:-1])} and {tuple(y.shape[1:-1])} positions."
            )
        given = {"teacher_layer_name": name_t, "student_layer_name": name_s}
        if x.shape[-1] == y.shape[-1]:
            losses.append(FeatureDistillation("mse", **given))
        else:
            project = layers.Dense(x.shape[-1], use_bias=False, name=f"project_{level}")
            project.build(y.shape)
            losses.append(ProjectedFeatures(project, **given))
    return teacher, losses


def _level_layers(model, features):
    """Return by level the name of the layer of a model that ends it, and its output."""
    flat, copies, _ = trace(model)
    levels = levels_in(flat)
    if missing := [x for x in features if x not in levels]:
        raise ValueError(
            f"`features` must be levels that both models have. Received: {', '.join(missing)}; "
            f"{model.name!r} has {', '.join(levels) or 'none'}."
        )
    found = {}
    for level in features:
        for layer in model.layers:
            outputs = layer._inbound_nodes[0].outputs if len(layer._inbound_nodes) == 1 else []
            if len(outputs) == 1 and copies.get(id(outputs[0])) is levels[level]:
                found[level] = layer.name, outputs[0]
        if level not in found:
            raise ValueError(
                f"A level must end with a layer of the model itself. Received: {level} of "
                f"{model.name!r}, which ends in a sum or inside of another layer or model. Attach "
                "the head to the backbone itself, or leave the level out."
            )
    return found
