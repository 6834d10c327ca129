"""Runs files on samples; the worker process does, which a kernel may bring down."""

import os

import numpy as np

BATCH = 32  # samples that run together where a file allows it


def run(file, names, inputs, outputs, signature=None):
    """Run a file on every sample, through its signature."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(file, num_threads=1).get_signature_runner(signature)
    wanted, made = runner.get_input_details(), runner.get_output_details()
    if set(wanted) != set(names):
        raise ValueError(f"The file's inputs are {sorted(wanted)}. Received: {sorted(names)}.")
    samples = arrays(inputs, names)
    for name, values in samples.items():
        if values.shape[1:] != tuple(wanted[name]["shape"][1:]):
            raise ValueError(
                f"Input {name!r} of the file has shape {wanted[name]['shape'].tolist()}. "
                f"Received: samples of shape {values.shape[1:]}."
            )
    samples = {name: x.astype(wanted[name]["dtype"], copy=False) for name, x in samples.items()}
    results = list(_answers(runner, samples))
    return _kept(outputs, {name: [result[name] for result in results] for name in made})


def run_onnx(file, names, inputs, outputs):
    """Run an ONNX file on every sample.

    Where the batch is open, the first sample goes alone and the others together.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    samples, made = arrays(inputs, names), [x.name for x in session.get_outputs()]
    count, size = len(samples[names[0]]), session.get_inputs()[0].shape[0]
    starts = range(count) if isinstance(size, int) else [0, *range(1, count, BATCH)]
    parts = [
        session.run(made, {name: values[start:end] for name, values in samples.items()})
        for start, end in zip(starts, [*starts[1:], count])
    ]
    return _kept(outputs, dict(zip(made, zip(*parts))))


def arrays(path, names):
    """Return the samples that a file holds, by input name."""
    with np.load(path) as held:
        return {name: held[str(index)] for index, name in enumerate(names)}


def _kept(path, parts):
    """Write answers, and return what the reply is: their names."""
    stacked = {str(i): np.concatenate(part) for i, part in enumerate(parts.values())}
    np.savez(path, **stacked)
    return {"names": list(parts)}


def peaks(file, names, inputs):
    """Run a file on every sample; return the largest number of each tensor that it computes.

    Outputs have their names, and the largest of their sizes; weights are none.
    """
    interpreter = _keeping(model_path=file, num_threads=1)
    computed = {
        int(index)
        for each in interpreter._get_ops_details()
        if each["op_name"] != "DEQUANTIZE"
        for index in each["outputs"]
    }
    inner, outputs = {}, {}
    for made in _answers(interpreter.get_signature_runner(), arrays(inputs, names)):
        for name, x in made.items():
            _raise_to(outputs, name, abs(x.astype("float64")))
        for each in interpreter.get_tensor_details():
            if each["index"] in computed and each["dtype"] is np.float32:
                _raise_to(inner, each["name"], interpreter.get_tensor(each["index"]))
    return {"inner": inner, "outputs": outputs}


def ranges(content, places, samples):
    """Run a file on every sample; return the least and the largest number of tensors at places.

    Where some are infinite, the pair of what is finite comes first, and one of infinities.

    TensorFlow's calibrator reads some tensors after a later operation has written over them: a
    residual branch then has the range of the sum.
    """
    interpreter = _keeping(model_content=content, num_threads=os.cpu_count())
    found = {place: [np.inf, -np.inf] for place in places}
    endless = set()
    for _ in _answers(interpreter.get_signature_runner(), samples):
        for place, ends in found.items():
            x = interpreter.get_tensor(place)
            low, high = x.min(initial=np.inf), x.max(initial=-np.inf)
            if x.size and not np.isfinite(high - low):
                endless.update([place] * bool(np.isinf(x).any()))
                x = x[np.isfinite(x)]
                low, high = x.min(initial=np.inf), x.max(initial=-np.inf)
            ends[:] = min(ends[0], low), max(ends[1], high)
    known = {place: ends if ends[0] <= ends[1] else [0.0, 0.0] for place, ends in found.items()}
    return {x: [y, (-np.inf, np.inf)] if x in endless else [y] for x, y in known.items()}


def _keeping(**file):
    """Return an interpreter that keeps what each operation gave."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    return Interpreter(
        **file,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )


def _answers(runner, samples):
    """Yield what each sample gives."""
    for i in range(len(next(iter(samples.values())))):
        yield runner(**{name: values[i : i + 1] for name, values in samples.items()})


def _raise_to(found, name, values):
    found[name] = max(found.get(name, 0.0), float(values.max(initial=0.0)))
