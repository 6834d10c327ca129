"""A plan for images: classes, numbers or masks."""

import math

import numpy as np

import heads
from tuning.image_network import most_stages, network
from tuning.image_space import image_space
from tuning.proposing.heads_of import UNEVEN, head_of
from tuning.proposing.plan import Plan, around, largest, regularised, schedule, space_of, why_size

RUNGS = [(8, 1), (8, 2), (16, 1), (16, 2), (24, 2), (32, 2), (32, 3), (48, 3), (64, 3)]
WIDTHS = [8, 16, 24, 32, 48, 64]
DEPTHS = [1, 2, 3]
RATES = [3e-4, 1e-3, 3e-3, 1e-2]
FILL = {"classification": 100, "regression": 100, "segmentation": 1000}  # parameters an image
FAMILIES = ("residual", "separable")  # the second for budgets that the first breaks
LOSSES = {"cross_entropy": "cross_entropy", "with_dice": {"cross_entropy": 1.0, "dice": 1.0}}
SMALL = 64  # least side from which pretrained networks read what they have learned to read
SOME = 2000  # images that mean and deviation are taken of


def plan_images(facts, train, budget):
    """Return the `Plan` for images.

    Args:
        facts: The `Facts`.
        train: Places of the training rows.
        budget: A `tuning.Budget`.
    """
    x, rows, reasons, masks = facts.x, len(train), {}, facts.task == "segmentation"
    shape, least = x.shape[1:], 1 + masks  # stages
    stages = most_stages(min(shape[:2])) if min(shape[:2]) > 1 else 0
    if stages < least:
        raise ValueError(
            f"Images must have sides of at least {2 + 2 * masks}. Received: x of shape {x.shape}."
        )
    mean, std = moments(x[train[:SOME]])
    if masks:
        make_head, values, options, objective = _mask_head(facts.targets, reasons)
    else:
        y = facts.targets.encode(facts.y[train])
        make_head, values, options, objective = head_of(facts, y, reasons)
    values |= {
        "attention": "none",
        "norm": "batch",
        "activation": "relu",
        "kernel": 3,
        "learning_rate": 3e-3,
        **regularised(rows, reasons, dropout=not masks),
    }

    def make(chosen):
        backbone = network(shape, {"drop_path": 0.0, **values, **chosen}, mean, std)
        head = {**values, **chosen, "levels": list(backbone.output)}
        return backbone, make_head(head)

    most = FILL[facts.task] * facts.rows
    found, known, ended = largest(
        [
            *({"stages": n, "width": 8, "depth": 1} for n in range(least, stages)),
            *({"stages": stages, "width": w, "depth": d} for w, d in RUNGS),
        ],
        [{"family": family} for family in FAMILIES],
        make,
        most,
        budget,
    )
    own = {"drop_path": 0.0} if found["family"] == "residual" else {}
    chosen = {**values, **found, **own}
    params = known.get("params") or heads.attach(*make(chosen)).count_params()
    reasons["architecture"] = _why(found, stages, shape, masks)
    reasons["size"] = why_size(params, most, ended, f"{FILL[facts.task]} an image")
    recipe = {**schedule(rows, reasons), "augmentation": _augmented(facts, reasons)}
    table = {
        **{name: value for name, value in chosen.items() if name != "family"},
        "stages": around(list(range(least, stages + 1)), chosen["stages"]),
        "width": around(WIDTHS, chosen["width"]),
        "depth": around(DEPTHS, chosen["depth"]),
        "kernel": [3, 5],
        "learning_rate": around(RATES, chosen["learning_rate"]),
        "weight_decay": [0.01, 0.05],
    }
    if not masks:
        table["dropout"] = around([0.0, 0.1, 0.2, 0.4, 0.5], chosen["dropout"])
        table["attention"] = ["none", "squeeze_excite"]
    else:
        table["loss"] = list(LOSSES)
    space, table = _space(facts, table, found["family"], make, recipe, (mean, std), options)
    blocks = "{family} blocks, {stages} stages of {depth}, {width} wide".format(**found)
    return Plan(
        f"{'U-Net on ' if masks else ''}{blocks}",
        chosen,
        table,
        space,
        lambda: make(chosen)[1],
        lambda x: np.asarray(x, "float32") if np.asarray(x).dtype == bool else np.asarray(x),
        recipe,
        objective,
        reasons,
    )


def moments(images):
    """Return mean and deviation of each channel, of which none is 0.

    >>> moments(np.arange(8.0).reshape(1, 2, 2, 2))
    ([3.0, 4.0], [2.2361, 2.2361])
    >>> moments(np.arange(8.0).reshape(1, 2, 2, 2) / 1e6)
    ([3e-06, 4e-06], [2.2361e-06, 2.2361e-06])
    """
    axes = (0, 1, 2)
    std = images.std(axis=axes, dtype="float64")
    mean = images.mean(axis=axes, dtype="float64")
    scales = np.where(std > 1e-6 * np.abs(images).max(), std, 1.0)
    places = [max(0, 4 - math.floor(math.log10(scale))) for scale in scales]
    return tuple([round(x, n) for x, n in zip(each.tolist(), places)] for each in (mean, scales))


def _space(facts, table, family, make, recipe, moments, options):
    """Return the space around a plan, and its table."""
    mean, std = moments
    if facts.task != "classification":
        table = {"family": family, **table}
        return space_of(table, make, recipe["steps"]), table
    own = {name: table.pop(name) for name in ("kernel", "drop_path") if name in table}
    own |= {"drop_path": [0.0, 0.1]} if family == "residual" else {}
    space = image_space(
        facts.x.shape[1:],
        len(facts.targets.names),
        choices=table,
        families={family: own},
        steps=recipe["steps"],
        mean=mean,
        std=std,
        **options,
    )
    return space, {"family": family, **table, **own}


def _mask_head(targets, reasons):
    uneven = targets.imbalance >= UNEVEN
    loss = "with_dice" if uneven else "cross_entropy"
    reasons["head"] = "UNetHead: details of a mask need the fine maps beside the coarse ones."
    reasons["loss"] = "Cross-entropy of each pixel" + (
        f" and Dice, for one class has {targets.imbalance:.0f} times the pixels of another."
        if uneven
        else ", as the classes have about as many pixels each."
    )
    reasons["metrics"] = "IoU first, since most pixels are easy and accuracy counts them all."

    def make(values):
        return heads.UNetHead(
            targets.units,
            values["levels"],
            values["width"],
            loss=LOSSES[values["loss"]],
            name="head",
        )

    return make, {"loss": loss}, {}, "val_iou"


def _why(found, most, shape, masks):
    words = {
        "residual": "Residual blocks, which train well at any depth without tuning",
        "separable": "Depthwise-separable blocks, since residual ones as wide break the budget",
    }[found["family"]]
    end = " below the U-Net" if masks else ""
    side = min(shape[:2])
    many = (
        f"as many as leave a side of {side} two positions, 4 at most"
        if found["stages"] == most
        else "fewer than the images allow, for each doubles the width"
    )
    return f"{words}; {found['stages']} stages{end}, {many}."


def _augmented(facts, reasons):
    """Return the arguments of `tuning.augmentation`, or `None`."""
    if facts.task != "classification":
        reasons["augmentation"] = {
            "segmentation": "None, for masks would have to move with their images.",
            "regression": "None, for a changed image may have another number; you know which do.",
        }[facts.task]
        return None
    flip = None if facts.x.shape[-1] == 1 else "horizontal"
    reasons["augmentation"] = "Light, images shifted by an eighth" + (
        ", not mirrored, for images of one channel are often letters, digits or scans."
        if flip is None
        else " and mirrored left to right; where left is not right, give flip=None."
    )
    return {"strength": "light", "flip": flip}
