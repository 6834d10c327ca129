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
            try:
                copy = _again(model)
            except Exception as error:  # whatever a configuration leads to
                raise _refusal(layers, error) from error
    finally:
        keras.config.set_dtype_policy(policy)
    _copy_state(layers, list(copy._flatten_layers()))
    return copy


def _again(layer):
    return type(layer).from_config(_widen(layer.get_config()))


def _refusal(layers, error):
    """Return the `ExportError` that names the innermost layer that cannot be made again."""
    culprit = layers[0]
    for layer in reversed(layers):
        try:
            _again(layer)
        except Exception as found:
            culprit, error = layer, found
            break
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return ExportError(
        "A model of mixed precision is rebuilt in float32 from its layers' configurations. "
        f"Received: {culprit.name!r} of type {type(culprit).__name__}, of which no second can be "
        f"made: {said} … Build the model in float32.",
        layer=culprit.name,
    )


def _copy_state(layers, copies):
    """Copy each layer's own variables the way Keras saves them, which adapted layers need."""
    if [type(layer) for layer in layers] != [type(layer) for layer in copies]:
        raise ExportError(
            "A model of mixed precision is rebuilt in float32 from its configuration. Received: "
            f"{layers[0].name!r}, whose copy has other layers. Build the model in float32."
        )
    for layer, copy in zip(layers, copies):
        store = {}
        layer.save_own_variables(store)
        if store:
            copy.load_own_variables({key: _wide(value) for key, value in store.items()})


def _wide(value):
    value = keras.ops.convert_to_numpy(value)
    return value.astype("float32") if value.dtype.name in NARROW else np.array(value)


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
