"""A page that runs a file: it is given pictures, answers them, and asks nothing of anybody."""

import base64
import gzip
import json
import math
from html import escape
from pathlib import Path

from export import web_runtime
from export.bundle_facts import facts_of
from export.files import existing, folder_aside
from export.metadata import DETECTIONS, Metadata
from export.starter import filled, web_code
from export.table import kilobytes

PAGE, LICENSE = "index.html", "LICENSE-LiteRT.js.txt"
MARK = '<meta name="generator" content="keras-blocks web_demo">'
TYPES = ("float32", "int32", "uint8")  # those that LiteRT.js reads
TASKS = {
    "classification": "one output (1, classes)",
    "segmentation": "one output (1, height, width, classes), or (1, height, width) of classes",
    "detection": f"the outputs {', '.join(DETECTIONS)}, as heads.for_task makes them",
    "regression": "outputs of any shape",
    "embedding": "one output",
}


def web_demo(file, folder, *, task=None, mean=None, std=None, units=None, runtime=None):
    """Write a page on which a person gives a picture and sees what the file answers.

    The folder holds `index.html`, which opens from disk, and a licence. The page has the file, its
    facts and LiteRT.js inside and asks no other address for anything: pictures that are picked,
    photographed, dropped, pasted or drawn stay where they are. It takes the place of such a page
    alone. A file with metadata says itself how pixels go in and what its answers mean.

    Args:
        file: A `.tflite` file of one image, with one signature, or its `Bundle`.
        folder: Where to write.
        task: What the answers of a file without metadata are: `"classification"`,
            `"segmentation"`, `"detection"`, `"regression"` (numbers as they are) or `"embedding"`
            (how alike two pictures are). By default it is told by names and shapes.
        mean: What is taken off a pixel, 0 to 255, in a file without metadata: one number, or one
            for each channel.
        std: What the rest is divided by.
        units: Dict of words by name of output, such as `{"age": "years"}`.
        runtime: The folder where `npm pack` left LiteRT.js. By default it is taken from npm
            once and kept.

    Returns:
        The path of the page.

    Raises:
        ValueError: If it is no whole `.tflite` file, takes something else than a picture, or
            answers otherwise than its task does, or an argument is wrong.
        FileExistsError: If there is something else in the folder.
        OSError: If LiteRT.js cannot be had, or the page cannot be written.
    """
    file = existing(getattr(file, "path", file), "make a page of")
    folder = Path(folder).expanduser()
    content = file.read_bytes()
    facts = facts_of(file, content, units or {}, None)
    _check_image(facts["inputs"])
    task = _told(facts, task, mean, std)
    _check_answers(task, facts["outputs"])
    with folder_aside(folder, _is_page) as part:
        text = _page(file.name, content, facts, task, web_runtime.parts(runtime))
        (part / PAGE).write_text(text, encoding="utf-8")
        (part / LICENSE).write_text(filled(f"page/{LICENSE}"), encoding="utf-8")
    return folder / PAGE


def _is_page(folder):
    found = {x.name for x in folder.iterdir()}
    return found == {PAGE, LICENSE} and MARK in (folder / PAGE).read_text(encoding="utf-8")[:1000]


def _check_image(inputs):
    x = inputs[0]
    shape, channels = x["shape"], x["shape"][3:]
    image = len(shape) == 4 and shape[0] == 1 and min(shape) > 0 and channels in ([1], [3])
    if len(inputs) != 1 or not image or x["dtype"] not in ("float32", "uint8"):
        raise ValueError(
            "A page shows a file of one image, (1, height, width, 1 or 3) of float32 or uint8. "
            f"Received: {_shown(inputs)}. `export.pack` writes code for the browser to any inputs."
        )


def _told(facts, task, mean, std):
    """Return the task, and complete what the facts say of pixels."""
    if facts["metadata"]:
        given = [x for x in (task, mean, std) if x is not None]
        if given:
            raise ValueError(
                "A file with metadata says its task, mean and std itself. "
                f"Received: task={task!r}, mean={mean!r}, std={std!r}. Leave them out."
            )
        return facts["metadata"]["task"]
    if task is not None and task not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}. Received: task={task!r}.")
    how = Metadata("classification", 0.0 if mean is None else mean, 1.0 if std is None else std)
    if facts["inputs"][0]["dtype"] == "uint8" and {*how.mean, *how.std} != {0.0, 1.0}:
        raise ValueError(
            "An image of uint8 goes into the file as it is. "
            f"Received: mean={mean!r}, std={std!r}. Leave them out."
        )
    facts["preprocessing"] = {"mean": list(how.mean), "std": list(how.std)}
    return task or _guess(facts["outputs"], facts["labels"])


def _guess(outputs, labels):
    fitting = [x for x in ("detection", "segmentation") if _fits(x, outputs)]
    count = math.prod(outputs[0]["shape"])
    if _fits("classification", outputs) and labels and len(labels) == count:
        fitting.append("classification")
    return [*fitting, "regression"][0]


def _fits(task, outputs):
    shape = outputs[0]["shape"]
    if task == "detection":
        return {x["name"] for x in outputs} == set(DETECTIONS)
    if task == "regression":
        return True
    if task == "segmentation":
        whole = outputs[0]["dtype"] != "float32"
        return len(outputs) == 1 and (len(shape) == 4 or len(shape) == 3 and whole)
    return len(outputs) == 1 and math.prod(shape) == shape[-1]


def _check_answers(task, outputs):
    if not _fits(task, outputs):
        raise ValueError(
            f"A file for {task} has {TASKS[task]}. Received: {_shown(outputs)}. "
            'With task="regression" the page shows numbers as they are.'
        )
    wrong = [x for x in outputs if x["dtype"] not in TYPES]
    if wrong:
        raise ValueError(
            f"LiteRT.js reads outputs of {', '.join(TYPES)}. Received: {_shown(wrong)}. "
            "Export it with answers in floats."
        )


def _page(name, content, facts, task, parts):
    metadata = facts["metadata"] or {}
    told = {
        "labels": facts["labels"],
        "units": {x["name"]: x["units"] for x in facts["outputs"]},
        "threshold": metadata.get("score_threshold", 0.0),
        "activation": metadata.get("activation", "none"),
    }
    utils = _address(parts["utils"])
    imports = {"@litertjs/core": _address(parts["core"]), "@litertjs/wasm-utils": utils}
    title = metadata.get("name", task)  # a file without a name is called by its task
    code = [web_code(facts), filled(f"page/{task}.js"), filled("page/page.js")]
    return filled(
        "page/page.html",
        title=escape(name if title == task else title),
        style=filled("page/page.css"),
        imports=json.dumps({"imports": imports}),
        dark=" checked" if facts["inputs"][0]["shape"][3] == 1 else "",
        rows="".join(
            f'<tr><th scope="row">{escape(key)}</th><td>{escape(str(value))}</td></tr>'
            for key, value in _rows(name, facts, task, metadata).items()
        ),
        version=web_runtime.VERSION,
        facts=json.dumps(told).replace("<", "\\u003c"),
        code=_inside("\n".join(code)),
        loader=_packed(parts["loader"]),
        wasm=_packed(parts["wasm"]),
        model=_packed(content),
    )


def _rows(name, facts, task, metadata):
    rows = {"file": name, "task": task}
    if metadata.get("description"):
        rows["description"] = metadata["description"]
    rows |= {"size": kilobytes(facts["size"]), "precision": facts["precision"]}
    rows |= {f"input {x['name']}": _described(x) for x in facts["inputs"]}
    rows |= {f"output {x['name']}": _described(x) for x in facts["outputs"]}
    how = facts["preprocessing"]
    rows["pixels"] = f"0 to 255, resized; mean {how['mean']}, std {how['std']}"
    if facts["labels"]:
        rows["labels"] = len(facts["labels"])
    return rows | {"SHA-256": facts["sha256"]}


def _described(x):
    return f"{x['shape']} {x['dtype']}{', ' if x['units'] else ''}{x['units']}"


def _shown(tensors):
    return ", ".join(f"{x['name']} {x['shape']} {x['dtype']}" for x in tensors)


def _inside(code):
    """Return code that does not end the element that holds it."""
    return code.replace("</", "<\\/").replace("<!--", "<\\!--")


def _address(content):
    return f"data:text/javascript;base64,{base64.b64encode(content).decode()}"


def _packed(content):
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
