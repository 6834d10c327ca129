"""Models of other precisions, rebuilt in float32: what a file computes in."""

import keras
import numpy as np

from export.errors import ExportError

NARROW = {"float16", "bfloat16", "float64"}
POLICIES = NARROW | {"mixed_float16", "mixed_bfloat16"}


def rebuilt(model):
    """Return `model` if it is float32 throughout, else a float32 copy with its weights."""
    layers = list(model._flatten_layers())
    for layer in layers:
        if isinstance(layer.dtype_policy, keras.dtype_policies.QuantizedDTypePolicy):
            raise ExportError(
                "A model quantized by Keras does not convert. Received: layer "
                f"{layer.name!r} of policy {layer.dtype_policy.name!r}. Export the model as it was "
                'before quantize(), with precision="int8" or "dynamic".',
                layer=layer.name,
            )
    if not any(NARROW & {layer.compute_dtype, layer.variable_dtype} for layer in layers):
        return model
    classes = {type(layer).__name__: type(layer) for layer in layers if _is_foreign(layer)}
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")  # for sublayers that were given none
    try:
        with keras.saving.custom_object_scope(classes):
            copy = type(model).from_config(_widen(model.get_config()))
    finally:
        keras.config.set_dtype_policy(policy)
    copy.set_weights(
        [np.asarray(w, "float32") if w.dtype.name in NARROW else w for w in model.get_weights()]
    )
    return copy


def _is_foreign(layer):
    kind = type(layer)
    return not kind.__module__.startswith("keras.") and not keras.saving.get_registered_object(
        keras.saving.get_registered_name(kind)
    )


def _widen(value, key=None):
    """Return a config in which every type and dtype policy of `POLICIES` is float32."""
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy" and value["config"]["name"] in POLICIES:
            return {**value, "config": {"name": "float32"}}
        return {key: _widen(item, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_widen(item) for item in value)
    return "float32" if key == "dtype" and value in POLICIES else value
