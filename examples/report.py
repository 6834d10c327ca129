"""The quickstart's page, from plain data."""

import export


def write(path, *, title, facts, history, confusion, names, trials, model, files, accuracy):
    """Write a self-contained page and return its path."""
    curves = {name: x for name, x in history.items() if name.endswith(("loss", "accuracy"))}
    sections = [
        {"kind": "facts", "title": "Result", "facts": facts},
        {"kind": "curves", "title": "Learning", "curves": curves},
        {
            "kind": "confusion",
            "title": "Confusion of the int8 file on the test images",
            "matrix": confusion,
            "labels": names,
        },
        {
            "kind": "scatter",
            "title": "Trials",
            "points": [point(row) for row in trials if row["state"] == "completed"],
            "x_label": "MACs",
            "y_label": "validation accuracy",
        },
        table("Every candidate", [trial(row) for row in trials]),
        table("Architecture, by block", [vars(row) for row in export.measure(model).blocks()]),
        table("Files", [comparison(p, f, accuracy[p]) for p, f in files.items()]),
    ]
    return export.describe(path, title, sections)


def point(row):
    """Return a trial as a point of the scatter."""
    return {
        "x": row["macs"],
        "y": row["objectives"]["val_accuracy"],
        "group": "Pareto front" if row["front"] else "dominated",
        "label": str(row["number"]),
    }


def trial(row):
    """Return a candidate as one flat row."""
    return {
        "number": row["number"],
        "state": row["state"],
        "val_accuracy": row["objectives"].get("val_accuracy"),
        "MACs": row["macs"],
        "params": row["params"],
        "reason": row["reason"] or "",
        **row["values"],
    }


def comparison(precision, bundle, accuracy):
    """Return one row of the comparison of files."""
    return {
        "precision": precision,
        "test accuracy": f"{accuracy:.4f}",
        "size (KB)": round(bundle.size / 1000, 1),
        "latency (ms, 1 thread, median)": round(bundle.measurement.latency_ms, 4),
        "peak memory (MB)": round(bundle.measurement.peak_memory / 1e6, 1),
        "signal to noise (dB)": round(bundle.parity.outputs[0].sqnr_db, 1),
    }


def table(title, rows):
    """Return dicts as a table's section, with a column for every key."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name, "") for name in columns] for row in rows]
    return {"kind": "table", "title": title, "columns": columns, "rows": cells}
