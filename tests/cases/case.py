"""One row: how to make a layer, what it takes, what it gives."""

from dataclasses import dataclass, field


@dataclass
class Case:
    """What the contract needs to know of a layer.

    `wrong_args` and `wrong_shapes` must be refused. `ids` is the number of ids that a layer reads,
    whose inputs are whole numbers then; `fixed` says that the number of positions is part of the
    layer, so that one which is open is refused. `exceptions` maps a precision to the
    reason why the layer's own file does not keep the promise there; the README shows it.
    """

    layer: type
    args: dict
    input_shape: object
    output_shape: object
    wrong_args: list = field(default_factory=list)
    wrong_shapes: list = field(default_factory=list)
    exceptions: dict = field(default_factory=dict)
    ids: int | None = None
    fixed: bool = False

    def make(self, **kwargs):
        return self.layer(**self.args, **kwargs)
