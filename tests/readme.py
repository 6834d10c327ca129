"""The README's tables, made from the code: `python -m tests.readme` writes them."""

import inspect
from pathlib import Path

import backbones
import blocks
import export
import heads
from benchmarks.export_matrix.table import TABLE as EXPORT_MATRIX
from tests.cases import PUBLIC

README = Path(__file__).parent.parent / "README.md"


def sentence(thing):
    return inspect.getdoc(thing).splitlines()[0]


def layers_of(package):
    names = [name for name in package.__all__ if getattr(package, name) in PUBLIC]
    return rows(("layer", "what it is"), [(f"`{n}`", sentence(getattr(package, n))) for n in names])


def functions_of(package):
    return rows(
        ("function", "what it gives"),
        [(f"`{name}`", sentence(getattr(package, name))) for name in package.__all__],
    )


PRECISIONS = {
    "float32": "as trained",
    "float16": "weights of 16 bits, half the size, computed in float32 on processors",
    "weight_only": "weights of 8 bits, computed in float32; needs `pip install .[quantize]`",
    "dynamic": "weights of 8 bits; quick but for large depthwise convolutions",
    "int8": "weights and activations of 8 bits, by calibration on your samples; what LiteRT has no "
    "quick kernels of 8 bits for stays in floats",
}
WORDS = {
    "relative": "largest error ≤ {:g} of the largest value",
    "sqnr_db": "signal to noise ≥ {:g} dB",
    "agreement": "same best class in ≥ {:.0%} of samples",
    "equal": "whole numbers equal in ≥ {:.0%}",
}


def precisions():
    return rows(
        ("precision", "what it is", "the file is refused unless"),
        [
            (
                f"`{name}`",
                PRECISIONS[name],
                "; ".join(WORDS[k].format(v) for k, v in bounds.items()),
            )
            for name, bounds in export.TOLERANCES.items()
        ],
    )


def rows(header, body):
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *body)]
    return "\n".join(lines) + "\n"


def tables():
    return {
        "blocks": layers_of(blocks),
        "backbones": functions_of(backbones),
        "heads": layers_of(heads),
        "precisions": precisions(),
        "export_matrix": EXPORT_MATRIX.read_text(),
    }


def marks(name):
    return f"<!-- {name}: made by tests/readme.py -->\n", f"<!-- end of {name} -->"


def section(name, text=None):
    """Return what stands between a table's two marks, or the README with `text` there."""
    start, end = marks(name)
    before, rest = README.read_text().split(start)
    content, after = rest.split(end)
    return content if text is None else before + start + text + end + after


def write(name, text):
    README.write_text(section(name, text))


if __name__ == "__main__":
    for name, text in tables().items():
        write(name, text)
    print("The tables of README.md are those of the code.")
