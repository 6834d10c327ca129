"""The folders tell the architecture: imports point one way and files stay short."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "blocks": set(),
    "backbones": {"blocks"},
    "heads": {"blocks"},
    "export": {"blocks"},
    "tuning": {"blocks", "backbones", "heads", "export"},
}
LIBRARIES = {
    "blocks": {"keras", "numpy"},
    "backbones": {"keras", "numpy"},
    "heads": {"keras", "numpy"},
    "export": {"keras", "numpy"},
    "tuning": {"keras", "numpy", "keras_tuner", "optuna", "sqlalchemy"},  # Optuna brings the last
}
INSIDE_FUNCTIONS = {
    "heads": {"tensorflow", "jax", "sklearn", "matplotlib", "PIL", "pycocotools", "faiss"},
    "export": {
        "tensorflow",
        "ai_edge_litert",
        "ai_edge_quantizer",
        "flatbuffers",
        "matplotlib",
        "google",  # protobuf
        "onnx",
        "onnxruntime",
        "tf2onnx",
    },
    "tuning": {"tensorflow", "jax", "matplotlib", "sklearn", "cloudpickle"},
}
# Run by path in a process of their own, where nothing else is imported.
SCRIPTS = {"export/latency.py": {"ai_edge_litert"}, "export/worker.py": {"tensorflow"}}
HOLD_LAYERS = {"LateFusionHead", "MultiTaskHead"}  # their arguments are heads, not plain data
FILES = [path for room in ROOMS for path in sorted((ROOT / room).glob("**/*.py"))]


def imported(nodes):
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module)
    return names


def tops(names):
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    room, place = path.relative_to(ROOT).parts[0], str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text())
    allowed = LIBRARIES[room] | ROOMS[room] | {room} | SCRIPTS.get(place, set())
    assert tops(imported(tree.body)) <= allowed
    assert tops(imported(ast.walk(tree))) <= allowed | INSIDE_FUNCTIONS.get(room, set())
    if room == "export":  # knows Keras models, not this library's layers
        assert {x for x in imported(ast.walk(tree)) if x.startswith("blocks")} <= {
            "blocks",
            "blocks.copies",
            "blocks.graph",
        }
        known = r"blocks\.(flatten|copies|graph)"
        assert "blocks." not in re.sub(known, "", path.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 250


def test_rooms_import_keras_and_no_more():
    """On any backend: a room that a model needs costs what Keras costs."""
    code = (
        "import sys, keras; before = set(sys.modules); "
        "import blocks, backbones, heads; "
        "new = {m.split('.')[0] for m in set(sys.modules) - before}; "
        "print(sorted(new & {'tensorflow', 'ai_edge_litert', 'sklearn', 'matplotlib', "
        "'optuna', 'keras_tuner'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**__import__("os").environ, "KERAS_BACKEND": "jax"},
    )
    if "No module named 'jax'" in done.stderr:
        pytest.skip("needs jax: pip install keras-blocks[jax]")
    assert done.stdout.strip() == "[]", done.stderr


# On PyTorch every layer is a torch.nn.Module, whose methods these are.
OF_TORCH = {"apply", "bfloat16", "buffers", "children", "compile", "cpu", "cuda", "double", "eval"}
OF_TORCH |= {
    "float",
    "forward",
    "half",
    "modules",
    "parameters",
    "to",
    "train",
    "type",
    "zero_grad",
}


def test_no_attribute_of_a_layer_hides_a_method_of_torch():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                own = isinstance(node.value, ast.Name) and node.value.id == "self"
                assert not own or node.attr not in OF_TORCH, f"{path}:{node.lineno}: {node.attr}"


def test_every_python_file_says_what_it_is():
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_no_layer_writes_its_own_config():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name in LAYERS - HOLD_LAYERS:
                own = {x.name for x in node.body if isinstance(x, ast.FunctionDef)}
                assert "get_config" not in own, f"{path}: {node.name}"


def public_layers():
    from tests.cases import PUBLIC

    return {layer.__name__ for layer in PUBLIC}


LAYERS = public_layers()


def test_changelog_knows_the_version():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
