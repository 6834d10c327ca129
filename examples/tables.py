"""A user's table, or one of scikit-learn's, and gradient boosting on it."""

import csv

import numpy as np


def read(path, target):
    """Return columns by name, targets, and the names of classes, or `None` of numbers.

    Of a file of comma-separated values a column is numeric if all that stands in it is a number or
    nothing.
    """
    if path is None:
        from sklearn.datasets import load_breast_cancer

        found = load_breast_cancer()
        columns = dict(zip(map(str, found.feature_names), found.data.T))
        return columns, found.target.astype("int32"), list(map(str, found.target_names))
    names, *lines = lines_of(path, csv.reader) or [[]]
    for number, line in enumerate(lines, start=2):
        if len(line) != len(names):
            raise SystemExit(
                f"{path} must have as many values in each line as names, {len(names)}. "
                f"Received: {len(line)} in line {number}."
            )
    if target in names:
        lines = [line for line in lines if line[names.index(target)].strip()]
    if target not in names or len(set(names)) < len(names) or len(lines) < 30:
        raise SystemExit(
            f"{path} must have 30 rows with a target at least and a name for each column, "
            f"{target!r} among them. Received: {len(lines)} such rows of {', '.join(names)}."
        )
    columns = {name: column(values) for name, values in zip(names, zip(*lines))}
    y = columns.pop(target)
    if empty := [name for name, x in columns.items() if x.dtype.kind == "f" and np.isnan(x).all()]:
        print(f"Left out, for nothing stands in them: {', '.join(empty)}")
        columns = {name: x for name, x in columns.items() if name not in empty}
    if y.dtype.kind == "f" and len(np.unique(y)) > max(20, len(y) // 20):
        return columns, y, None
    classes, y = np.unique(y, return_inverse=True)
    return columns, y.astype("int32"), list(map(str, classes))


def lines_of(path, reader):
    """Return the lines of a file of comma-separated values, as a reader of `csv` gives them."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return list(reader(file))
    except (OSError, UnicodeDecodeError) as error:
        said = f"{path} must be a file of comma-separated values. Received: {error}"
        raise SystemExit(said) from None


def column(values):
    """Return numbers, missing ones NaN, or strings."""
    try:
        return np.array([float(x) if x.strip() else np.nan for x in values])
    except ValueError:
        return np.array(values)


def boosting(parts, names, seed):
    """Return what scikit-learn's gradient boosting answers to the test rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    known = {}
    for key, values in parts["train"][0].items():
        if values.dtype.kind != "f":
            known[key] = np.unique(values)[:250]
    places = list(parts["train"][0])
    kinds = [key in known for key in places]

    def numbers(rows):
        return np.stack(
            [
                np.where(np.isin(x, known[key]), np.searchsorted(known[key], x), np.nan)
                if key in known
                else x
                for key, x in rows.items()
            ],
            axis=1,
        ).astype("float64")

    make = HistGradientBoostingRegressor if names is None else HistGradientBoostingClassifier
    model = make(categorical_features=kinds, random_state=seed)
    rows, y = parts["train"]
    model.fit(numbers(rows), y)
    x = numbers(parts["test"][0])
    if names is None:
        return model.predict(x)[:, None]
    found = np.zeros((len(x), len(names)))
    found[:, model.classes_] = model.predict_proba(x)  # of the classes that the rows to train have
    return found
