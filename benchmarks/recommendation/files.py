"""Clicks on Frappe's apps by files of one ranking network, at every precision."""

import tempfile
from pathlib import Path

import export
import heads
from benchmarks.recommendation.ranking import scores_of, trained
from benchmarks.timing import files_in_turn

PRECISIONS = ("float32", "float16", "dynamic", "int8")
KIND, ROWS, ROUNDS, RUNS = "deep", 10_000, 5, 500
# What a file is worth is told by its AUC, so that a rough one is not refused.
ROUGH = {"sqnr_db": -100.0, "agreement": 0.0, "equal": 0.0}
LOOSE = {"float16": {"relative": 1.0}, "dynamic": ROUGH, "int8": ROUGH}


def run(args):
    """Return AUC, size and latency of the file of each precision."""
    model, x, y, train, judged, facts = trained(KIND, args)
    answer, judged = heads.deploy(model), judged[:ROWS]
    typical, asked = ({k: v[rows] for k, v in x.items()} for rows in (train[:256], judged))
    rows = [{"name": "Keras", **scores_of(y[judged], answer.predict(asked, verbose=0)[:, 0])}]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{precision}.tflite") for precision in PRECISIONS]
        for path in paths:
            settings = {"inputs": typical, "calibration": typical, "measure": False}
            export.to_tflite(answer, path, path.stem, tolerance=LOOSE.get(path.stem), **settings)
            (found,) = export.predict(path, asked, missing=True).values()
            size = path.stat().st_size / 1e3
            rows.append({"name": path.stem, **scores_of(y[judged], found[:, 0]), "kb": size})
        for row, times in zip(rows[1:], files_in_turn(paths, ROUNDS, RUNS)):
            row["ms"] = min(x["median_ms"] for x in times)
    return {"name": KIND, **facts, "rows": rows}
