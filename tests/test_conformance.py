"""The committed tables are those of today's public layers, and the README shows them."""

import re

import pytest

from tests import readme
from tests.cases import CASES, PUBLIC
from tests.conformance import COLUMNS, TABLE, render, table


def test_rows_are_the_public_layers():
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", TABLE.read_text(), re.M)
    assert [name for name, _ in rows] == sorted(layer.__name__ for layer in PUBLIC)
    for name, cells in rows:
        marks = [cell.strip() for cell in cells.split("|")]
        assert len(marks) == len(COLUMNS)
        assert all(re.fullmatch(r"(yes|–)( \[\d+\])?", mark) for mark in marks), name


def test_the_readme_shows_the_table():
    assert readme.section("conformance").strip() == TABLE.read_text().strip()


@pytest.mark.parametrize("name", ["blocks", "backbones", "heads", "precisions", "export_matrix"])
def test_the_readme_is_made_of_the_code(name):
    """If this fails: python -m tests.readme."""
    assert readme.section(name) == readme.tables()[name]


def test_exceptions_are_shown_with_their_reasons():
    for case in CASES:
        for reason in case.exceptions.values():
            assert f"`{case.layer.__name__}`: {reason}." in TABLE.read_text()


def test_a_failed_check_shows_as_no():
    """The table is made of results: nothing becomes a yes that did not pass."""
    layer = "ConvNormAct"
    passed = [("test_shapes_agree", layer, f"{layer}-0", "yes")]
    failed = [("test_shapes_agree", layer, f"{layer}-0", "no")]
    file = "test_tflite_file_agrees_with_keras"
    rows, _ = table([*passed, (file, layer, f"{layer}-0-int8", "no")], failed)
    assert rows[layer]["TensorFlow"] == "yes"
    assert rows[layer]["JAX"] == "**no**" and rows[layer]["int8"] == "**no**"
    assert rows[layer]["float32"] == "?"
    assert "**no**" in render(rows, [])
