"""Code to begin an app with: templates filled with a file's names, shapes and normalisation."""

import json
import math
import re
from pathlib import Path

TEMPLATES = Path(__file__).with_name("templates")
KOTLIN_BUFFERS = {
    "float32": "FloatBuffer.allocate({})",
    "int32": "IntBuffer.allocate({})",
    "int64": "LongBuffer.allocate({})",
}
PIXELS = {
    1: "0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]",
    3: "data[4 * ((i - channel) / 3) + channel]",
}
ANDROID_IMPORT = "import android.graphics.Bitmap\n"
IN_CODE = "            "


def starter(facts):
    """Return text by file name: code for Android and the browser, and a README.

    Args:
        facts: What `bundle.json` holds.
    """
    metadata = facts["metadata"] or {}
    task = metadata.get("task")
    found = {
        "android/ModelLiteRt.kt": _android(facts, metadata),
        "web/litert.js": web_code(facts),
        "README.md": filled("README.md", tasks=", MediaPipe Tasks or LiteRT alone" if task else ""),
    }
    if task:
        options = {"score_threshold": metadata.get("score_threshold", 0.0)}
        found["android/ModelTask.kt"] = filled(f"android/{task}.kt", **options)
        found["web/task.js"] = filled(f"web/{task}.js", **options)
    return found


def web_code(facts):
    """Return code for the browser that loads a file, runs it, and makes its input of a picture.

    Args:
        facts: What `bundle.json` holds. Pictures have one channel, grey, or three.
    """
    picture = ""
    if facts["preprocessing"]:
        x = facts["inputs"][0]
        _, height, width, channels = x["shape"]
        picture = filled(
            "web/picture.js",
            input=json.dumps(x["name"]),
            height=height,
            width=width,
            channels=channels,
            pixel=PIXELS[channels],
            array="Float32Array" if x["dtype"] == "float32" else "Uint8Array",
            **{key: _three(facts["preprocessing"][key]) for key in ("mean", "std")},
        )
    sides = {
        kind: "\n".join(
            f"  // {x['units']}\n  {json.dumps(x['name'])}: "
            f"{{ shape: {x['shape']}, type: {json.dumps(x['dtype'])} }},"
            for x in facts[kind]
        )
        for kind in ("inputs", "outputs")
    }
    return filled("web/litert.js", picture=picture, **sides)


def filled(name, **values):
    """Return a template's text with `{{name}}` replaced by values; idle values do nothing."""
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: str(values[found[1]]), text)


def _android(facts, metadata):
    inputs = "\n".join(f"     * - {x['name']}: {_described(x)}" for x in facts["inputs"])
    outputs = "\n".join(
        f"{IN_CODE}// {_described(x)}\n{IN_CODE}{_kotlin(x['name'])} to {_buffer(x)},"
        for x in facts["outputs"]
    )
    picture = ""
    if metadata:
        given = _kotlin_pixels(facts["inputs"][0], facts["preprocessing"])
        picture = filled("android/picture.kt", **given)
    return filled(
        "android/litert.kt",
        imports=ANDROID_IMPORT if metadata else "",
        inputs=inputs.replace("*/", "* /"),
        outputs=outputs,
        signature=_kotlin(facts["signature"]),
        picture=picture,
    )


def _kotlin_pixels(x, given):
    _, height, width, _ = x["shape"]
    values = {"input": _kotlin(x["name"]), "height": height, "width": width}
    if x["dtype"] == "uint8":
        return values | {"bytes": 1, "put": "buffer.put(pixel.toByte())", "constants": ""}
    numbers = [
        f"        val {name} = floatArrayOf({', '.join(f'{x}f' for x in _three(given[key]))})"
        for name, key in (("MEAN", "mean"), ("STD", "std"))
    ]
    constants = "\n".join(["\n", "    private companion object {", *numbers, "    }"])
    put = "buffer.putFloat((pixel - MEAN[channel]) / STD[channel])"
    return values | {"bytes": 4, "put": put, "constants": constants}


def _buffer(x):
    count = math.prod(x["shape"])
    if x["dtype"] in KOTLIN_BUFFERS:
        return KOTLIN_BUFFERS[x["dtype"]].format(count)
    return f"ByteBuffer.allocateDirect({count}).order(ByteOrder.nativeOrder())"


def _described(x):
    return f"{x['shape']} {x['dtype']}, {x['units']}"


def _three(numbers):
    return [numbers[i % len(numbers)] for i in range(3)]


def _kotlin(text):
    return json.dumps(text).replace("$", "\\$")
