"""The way out: a verified `.tflite` file, or nothing new."""

from export import associated, embed, schema, signature
from export import samples as data
from export.bundle import bundle_of, versions
from export.calibration import check_alike, check_calibration
from export.candidates import QuantizationReport
from export.compact import compact as compacted
from export.convert import convert
from export.files import aside, target, write_json
from export.half import check_values
from export.judges import classes_of
from export.measure import add_runtime, facts_of_model
from export.metadata import check_fit, check_range, checked_labels, metadata_of
from export.normalization import normalization_of
from export.parity import limits_of
from export.preflight import IN_FLOAT32, prepared
from export.quantization import quantization_report
from export.reference import checked, in_float32


def to_tflite(
    model,
    path,
    precision="float32",
    *,
    calibration=None,
    inputs=None,
    labels=None,
    input_shape=None,
    tolerance=None,
    measure=True,
    compact=False,
    files=None,
    imports=(),
    metadata=None,
    float_layers=(),
    metric=None,
    mode="max",
    max_drop=0.01,
):
    """Write a model as a `.tflite` file that is proven to answer as Keras does.

    The file takes one sample a call and holds built-in LiteRT operations only. Its signature has
    the names of the model's inputs and of its output layers, or the keys where they are a dict. It
    is written aside, compared with Keras, then renamed; if anything fails, `path` stays as it was.
    The facts go beside it, with the suffix `.json`.

    Args:
        model: A functional or `Sequential` `keras.Model`. What does not convert is rewritten where
            that is safe, or refused: see `preflight`. The file is compared with the model as it was
            given.
        path: Where to write, ending in `.tflite`.
        precision: `"float32"`; `"float16"` (half the size); `"dynamic"` (weights of 8 bits, a
            quarter; quick but for depthwise convolutions, which run outside of the delegate);
            `"weight_only"` (weights of 8 bits that are read as floats: a quarter, and no faster);
            `"int8"` (weights and activations of 8 bits; inputs, outputs and what LiteRT has no
            quick kernels of 8 bits for, as attention's products, layer normalization, softmax and
            PReLU, stay float); `"auto"`, what `quantization_report` recommends of `inputs`, or such
            a report.
        calibration: Typical samples, for int8: an array, a list or dict of arrays for several
            inputs, or an iterable of batches with or without targets. The first 256 are used. A
            warning tells of fewer than 32, and of numbers that are not as in training, as far as
            the model's normalizations know.
        inputs: Samples to compare on, in the same forms; by default those of `calibration`, else
            eight random ones.
        labels: Names of the classes, as many as the last axis of the first output is long, or as
            a detector knows classes.
        input_shape: Sizes without the batch axis, where the model leaves some open: `(96, 96, 3)`,
            or a dict by name.
        tolerance: A number in place of the first bound of the precision in `parity.TOLERANCES`
            (relative error; dB for dynamic and int8), or a dict of bounds.
        measure: Whether to measure model and file, which takes some seconds.
        compact: Whether to leave out the names of inner tensors, which only viewers and profilers
            show, and to store equal constants once: about a tenth of a file below 100 kB.
        files: Files to put inside, as TFLite's metadata does, such as a vocabulary: paths, or a
            dict of contents by name. `associated_files` reads them.
        imports: Names of modules that register what the model needs. On other backends than
            TensorFlow a process of its own loads the model; it imports the modules of layers by
            itself, but not those of functions.
        metadata: A `Metadata`, or the name of its task alone, `"classification"`, `"segmentation"`
            or `"detection"`: the file then holds the labels, and MediaPipe Tasks load it.
            `heads.for_task` makes the model.
        float_layers: Layers that compute in floats in an int8 file, by their paths in
            `blocks.flatten`: `("stem", "block3.scale")`.
        metric, mode, max_drop: What `"auto"` chooses by, with `inputs=(inputs, targets)`: see
            `quantization_report`.

    Returns:
        A `Bundle`, which prints as a small table.

    Raises:
        ExportError: If the model does not convert; `layer` and `op` say where.
        ParityError: If the file does not answer as Keras does; `parity` holds the figures.
        ValueError: If an argument or the calibration data is wrong.
        OSError: If the file cannot be written.
    """
    files = associated.checked(files)
    path = target(path, ".tflite")
    signature.graph_of(model)
    tensors = signature.inputs_of(model, input_shape)
    classes = classes_of(model)
    labels = _checked_labels(labels, model, classes)
    metadata = metadata and metadata_of(metadata)
    if metadata:
        check_fit(metadata, tensors, signature.outputs_of(model), labels, classes)
        embed.check_names(labels, files)
    report = precision if isinstance(precision, QuantizationReport) else None
    if precision == "auto":
        if tolerance is not None:
            raise ValueError(
                'A tolerance belongs to a precision: quantization_report(…, tolerance={"int8": 25})'
                f', then precision=report. Received: tolerance={tolerance!r} with "auto".'
            )
        if inputs is None:
            raise ValueError(
                '"auto" needs samples to choose by. Received: inputs=None. Give inputs=(inputs, '
                "targets) and a metric, or inputs alone."
            )
        report = quantization_report(
            model,
            inputs,
            metric,
            mode=mode,
            max_drop=max_drop,
            calibration=calibration,
            input_shape=input_shape,
            rank=False,
            imports=imports,
        )
        inputs = report.known  # an iterable can be read once
    if report:
        precision, float_layers = report.recommended.precision, report.recommended.float_layers
        calibration = report.calibration  # what the judged file was made with
    limits_of(precision, tolerance)
    aware = signature.knows_ranges(model)
    if aware and precision != "int8":
        raise ValueError(
            'A model of quantize_aware becomes a file of precision="int8". '
            f"Received: precision={precision!r}."
        )
    if aware and float_layers:
        raise ValueError(
            "A model of quantize_aware knows what is rounded. Received: "
            f"float_layers={float_layers!r}. Leave them out."
        )
    missing = data.may_be_missing(model, precision)
    if calibration is not None:
        calibration = data.take(calibration, tensors, missing=missing)
    elif precision == "int8" and not aware:
        raise ValueError(
            "int8 needs typical samples to find the range of each value. Received: "
            "calibration=None. Give some 100 training samples."
        )
    if inputs is not None:
        inputs = data.take(inputs, tensors, "inputs", missing=missing)
    if precision == "int8" and calibration and not report:  # a report has said it
        check_calibration(model, calibration)
        check_alike(calibration, inputs or {})
    given = inputs or calibration
    if metadata and given:
        check_range(metadata, next(iter(given.values())))
    scores = signature.output_names(model)[:1] if labels and classes is None else ()
    with aside(path, target(path.with_suffix(".json"), ".json")) as (part, facts_part):
        known = given or data.random(model, tensors)
        trained, model = model, in_float32(model, known)
        runs, flight = prepared(model, precision, input_shape)
        if model is not trained:
            flight.findings.insert(0, IN_FLOAT32)
        ranges = None if aware else calibration
        content = convert(runs, precision, ranges, input_shape, float_layers, imports)
        content = compacted(content) if compact else content
        if metadata:
            content = embed.embedded(content, metadata, labels, files)
        else:
            content = associated.appended(content, files)
        part.write_bytes(content)
        parity = checked(model, part, known, precision, tolerance, scores)
        if precision == "float16":
            check_values(part, model, known)
        facts = schema.read(part)
        bundle = bundle_of(
            path,
            precision,
            content,
            facts,
            parity,
            labels=labels,
            files=list(files),
            metadata=metadata and metadata.to_dict(),
            versions=versions(),
            report=report,
            normalization=normalization_of(runs),
            rewrites=flight.rewrites,
        )
        if measure:
            bundle.measurement = facts_of_model(runs, input_shape)
            add_runtime(bundle.measurement, part)
        write_json(bundle.to_dict(), facts_part)
    return bundle


def _checked_labels(labels, model, classes):
    labels = checked_labels(labels)
    if labels is None or len(labels) == classes:
        return labels
    if classes is not None:
        raise ValueError(
            f"`labels` must name {classes} classes of boxes. Received: {len(labels)} labels."
        )
    first = signature.graph_of(model).outputs[0]
    if len(labels) != first.shape[-1]:
        raise ValueError(
            "`labels` must name each place on the last axis of the first output, of shape "
            f"{tuple(first.shape[1:])}. Received: {len(labels)} labels."
        )
    return labels
