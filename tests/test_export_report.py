"""The report: one page that fetches nothing, escapes everything and draws what it is given."""

import base64
import re
import sys
from html.parser import HTMLParser

import keras
import numpy as np
import pytest

import export

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install keras-blocks[examples]")

NASTY = '<script>alert("1")</script> & $x$ -->'
SECTIONS = [
    {"kind": "text", "title": "Words " + NASTY, "text": ["One " + NASTY, "Two"]},
    {"kind": "facts", "title": "Facts", "facts": {NASTY: NASTY, "n": 1234567, "none": None}},
    {"kind": "table", "columns": ["a", NASTY], "rows": [[0.123456, NASTY], [True, "x"]]},
    {
        "kind": "curves",
        "title": "Learning",
        "curves": {"loss": [2, 1, np.nan], "val_loss": [2, 1.5], NASTY: [0.1]},
    },
    {"kind": "confusion", "title": NASTY, "matrix": [[5, 1], [0, 0]], "labels": ["b", NASTY]},
    {
        "kind": "scatter",
        "title": "Trials",
        "points": [
            {"x": 10, "y": 0.5, "group": NASTY, "label": NASTY},
            {"x": 1e6, "y": 0.9, "group": "front"},
        ],
        "x_label": "MACs",
        "y_label": NASTY,
        "log_x": True,
    },
]


class Page(HTMLParser):
    """Collects the tags, their attributes and the text of a page; checks that tags close."""

    VOID = {"img", "meta", "path", "use", "image", "rect"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "deep" / "report.html"
    assert export.describe(path, "Report of " + NASTY, SECTIONS) == path
    assert [x.name for x in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_it_stands_alone(page):
    parsed = Page(page)
    assert not {"script", "link", "iframe", "base", "object"} & set(parsed.tags)
    for name, value in parsed.attributes:
        if name in ("href", "src", "xlink:href"):
            assert value.startswith(("#", "data:image/png;base64,"))
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    assert len(page) < 200_000


def test_everything_is_escaped(page):
    assert "<script" not in page
    text = " ".join(Page(page).text)
    assert text.count(NASTY) >= 12  # titles, words, cells and what the figures say


def test_figures_and_numbers(page):
    parsed = Page(page)
    assert parsed.tags.count("svg") == 3 and parsed.tags.count("h2") == 5
    assert "currentColor" in page and "#010203" not in page
    text = parsed.text
    for said in ("1,234,567", "0.1235", "True", "–", "MACs", "front", "5", "predicted", "true"):
        assert said in text
    assert text.count("training") == 2 and text.count("valid.") == 1
    assert any(word.strip() in ("1 M", "1\N{THIN SPACE}M") for word in text)
    identities = [value for name, value in parsed.attributes if name == "id"]
    assert len(set(identities)) == len(identities)
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert used and set(used) <= set(identities)


def test_pictures_are_within_the_page(tmp_path):
    from matplotlib.figure import Figure

    figures = [Figure(figsize=(1, 1)), Figure(figsize=(2, 1))]
    sections = [
        {"kind": "pictures", "figures": figures},
        {"kind": "pictures", "figures": {NASTY: figures[0]}},
    ]
    page = export.describe(tmp_path / "r.html", "Pictures", sections).read_text()
    parsed = Page(page)
    sources = [value for name, value in parsed.attributes if name == "src"]
    assert parsed.tags.count("img") == 3 == len(sources)
    for source, width in zip(sources, (80, 160, 80)):
        head, content = source.split(",")
        assert head == "data:image/png;base64"
        assert int.from_bytes(base64.b64decode(content)[16:20], "big") == width
    assert NASTY in parsed.text and "<script" not in page
    assert ("alt", NASTY) in parsed.attributes


def test_many_classes_are_not_written_out(tmp_path):
    counts = np.random.default_rng(0).integers(100, 999, (90, 90))
    section = {"kind": "confusion", "matrix": counts, "labels": range(90)}
    path = export.describe(tmp_path / "r.html", "Many", [section])
    text = Page(path.read_text()).text
    assert "87" in text and "88" not in text  # each third is named
    assert str(counts[0, 0]) not in text


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "pie"}, r"one of \['text', .*\]. Received: 'pie'"),
        ({"text": "no kind"}, "Received: None"),
        ({"kind": "table", "rows": []}, r"needs \['columns', 'rows'\]. Received: \['kind', 'rows'"),
        ({"kind": "table", "columns": ["a"], "rows": [[1, 2]]}, r"Received: \[1, 2\]"),
        ({"kind": "curves", "curves": {}}, "at least one of each. Received: {}"),
        ({"kind": "curves", "curves": {"loss": []}}, "at least one of each"),
        ({"kind": "confusion", "matrix": [[1, 2]], "labels": ["a"]}, r"shape \(1, 2\) and 1"),
        ("text", "must be a dict. Received: 'text'"),
        ({"kind": ["text"]}, r"Received: \['text'\]"),
        ({"kind": "text", "text": None}, r"kind 'text' needs \['text'\].*Received: {'kind'"),
        ({"kind": "facts", "facts": [1]}, "kind 'facts' needs .*Received: "),
        ({"kind": "curves", "curves": [1, 2]}, "kind 'curves' needs .*Received: "),
        (
            {"kind": "confusion", "matrix": [[1], [2, 3]], "labels": "ab"},
            "kind 'confusion' needs .*Received: ",
        ),
        ({"kind": "scatter", "points": [{"x": 1}]}, "kind 'scatter' needs .*KeyError: 'y'"),
        ({"kind": "scatter", "points": [{"x": "a", "y": 1}]}, "kind 'scatter' needs .*Received"),
        ({"kind": "pictures", "figures": ["a.png"]}, "kind 'pictures' needs .*Received"),
        ({"kind": "scatter", "points": []}, "at least one. Received: none"),
    ],
)
def test_wrong_sections(section, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.describe(tmp_path / "r.html", "Wrong", [section])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sections", [{"kind": "text", "text": "one"}, "text", None, 5])
def test_sections_are_a_list(sections, tmp_path):
    with pytest.raises(ValueError, match="must be a list of dicts. Received: "):
        export.describe(tmp_path / "new" / "r.html", "Wrong", sections)
    assert list(tmp_path.iterdir()) == []


def test_names_that_matplotlib_has_no_glyphs_for(tmp_path):
    """Warnings are errors here; the browser draws the text."""
    labels = ["\N{CAT FACE}", "\u6c34"]
    section = {"kind": "confusion", "matrix": [[1, 2], [3, 4]], "labels": labels}
    text = export.describe(tmp_path / "r.html", "Names", [section]).read_text(encoding="utf-8")
    assert all(label in text for label in labels)


def test_wrong_path(tmp_path):
    with pytest.raises(ValueError, match="end in '.html'"):
        export.describe(tmp_path / "r.txt", "Wrong", [])


def test_without_matplotlib_only_figures_are_missing(tmp_path, monkeypatch):
    for name in [x for x in sys.modules if x.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert export.describe(tmp_path / "r.html", "Plain", SECTIONS[:3]).exists()
    with pytest.raises(ImportError, match=r"pip install 'keras-blocks\[examples\]'"):
        export.describe(tmp_path / "s.html", "Drawn", SECTIONS)


CHARTS = [
    {"kind": "bars", "bars": {"rate": 0.5, "width <": 0.2}, "x_label": "share"},
    {"kind": "lines", "lines": {"first": [1, 2], "second": [3]}, "bold": ["second"]},
    {
        "kind": "parallel",
        "columns": ["family", "width", "score"],
        "rows": [["plain", 8, 0.5], ["dense", None, 0.75], ["plain", 16, 0.25]],
    },
    {
        "kind": "diagram",
        "nodes": [{"name": f"n{i}", "depth": i, "text": f"box {i}"} for i in range(3)],
        "edges": [("n0", "n1"), ("n1", "n2"), ("n0", "n2")],
    },
]


def test_charts_of_a_search(tmp_path):
    text = export.describe(tmp_path / "r.html", "Charts", CHARTS).read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    for word in ("width &lt;", "second", "family", "0.25", "0.75", "box 2"):
        assert word in text
    for wrong in (
        {"kind": "bars", "bars": {}},
        {"kind": "lines", "lines": {"a": []}},
        {"kind": "parallel", "columns": ["a", "b"], "rows": [[1]]},
        {"kind": "diagram", "nodes": [], "edges": []},
        {"kind": "diagram", "nodes": [{"name": "a", "depth": 0}], "edges": [("a", "b")]},
    ):
        with pytest.raises(ValueError, match="Received"):
            export.describe(tmp_path / "s.html", "Wrong", [wrong])


def test_a_diagram_has_the_edges_of_the_network():
    x = keras.Input((4,), name="x")
    left = keras.layers.Dense(3, name="left")(x)
    right = keras.layers.Dense(3, name="right")(x)
    both = keras.layers.Add(name="both")([left, right])
    model = keras.Model(x, keras.layers.Dense(2, name="out")(both))
    drawn = export.diagram(model)
    assert set(drawn["edges"]) == {
        ("x", "left"),
        ("x", "right"),
        ("left", "both"),
        ("right", "both"),
        ("both", "out"),
    }
    depths = {node["name"]: node["depth"] for node in drawn["nodes"]}
    assert depths == {"x": 0, "left": 1, "right": 1, "both": 2, "out": 3}
    texts = {node["name"]: node["text"] for node in drawn["nodes"]}
    assert texts["left"] == "left: Dense (3,), 15 params" and texts["both"] == "both: Add (3,)"
    y = x
    for i in range(99):
        y = keras.layers.Dense(4, name=f"d{i}")(y)
    long = export.diagram(keras.Model(x, y))
    assert len(long["nodes"]) < 10 and "more" in long["nodes"][-1]["text"]
