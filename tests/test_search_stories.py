"""Stories of searches: a network for a phone, and a U-Net beside one made by hand."""

import re

import pytest

pytest.importorskip("matplotlib", reason="needs the extra: pip install keras-blocks[examples]")
pytest.importorskip("sklearn", reason="needs the extra: pip install keras-blocks[examples]")
pytest.importorskip("PIL.Image", reason="needs pip install keras-blocks[examples]")

from examples import search_for_phone, search_unet  # noqa: E402  after the check that they can be
from tests.slow import slow  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:int8 takes ranges")  # a few images

SHORT = ["--trials", "2", "--epochs", "2", "--seeds", "1"]


@slow
def test_a_network_for_a_phone(tmp_path, capsys):
    words = [*SHORT, "--limit", "400", "--latency", "1.0", "--out", str(tmp_path)]
    search_for_phone.main(search_for_phone.parse(words))
    said = capsys.readouterr().out
    accuracy, latency, size = re.search(
        r"accuracy ([\d.]+), ([\d.]+) ms of 1.0000, ([\d.]+) KB of 100.0", said
    ).groups()
    assert 0 <= float(accuracy) <= 1 and float(latency) > 0
    assert (tmp_path / "model_int8.tflite").stat().st_size == pytest.approx(
        1e3 * float(size), abs=50
    )
    assert "</html>" in (tmp_path / "report.html").read_text()
    search_for_phone.main(search_for_phone.parse(words))  # goes on: nothing is trained again
    again = capsys.readouterr().out
    assert "going on with" in again and "2 of 2 trials are done" in again
    assert f"accuracy {accuracy}" in again


@slow
def test_a_u_net_beside_one_by_hand(tmp_path, capsys):
    words = [*SHORT, "--scenes", "16", "--side", "64", "--out", str(tmp_path)]
    search_unet.main(search_unet.parse(words))
    said = capsys.readouterr().out
    costs = [int(n.replace(",", "")) for n in re.findall(r"±.* ([\d,]+) MACs", said)]
    by_hand, found = costs
    assert found <= by_hand
    assert (tmp_path / "mask_int8.tflite").exists() and (tmp_path / "report.html").exists()
