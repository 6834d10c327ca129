"""Simpler models that a network has to beat: linear ones, gradient boosting, popularity."""

import time
import warnings

import numpy as np

import heads
from tuning.folds import REPAIR
from tuning.proposing.scores import K, scores_of

MOST_ROWS = {"table": 50_000, "images": 5_000}  # that a rival learns of
MOST_PIXELS = 20_000  # of masks
MOST_SIDE = 32  # of images that a linear rival reads
MOST_CATEGORIES = 254  # of a column that boosting reads


def rivals(facts, train, test, seed):
    """Return what simpler models reach; the first is a guess.

    Dicts of `name`, `scores`, `seconds`, and `rows`, the number of those that it has learned of.

    Args:
        facts: The `Facts`.
        train: Places of the training rows.
        test: Places of the test rows.
        seed: Seed of what is random.

    Raises:
        ImportError: If there is no scikit-learn.
    """
    try:
        import sklearn  # noqa: F401 -- whose absence is told before any work
    except ImportError as error:
        raise ImportError(f"The rivals of a proposal are scikit-learn's: {REPAIR}.") from error
    if facts.kind == "histories":
        return [_popular(facts)]
    kept = np.random.default_rng(seed).permutation(train)[: MOST_ROWS[facts.kind]]
    kept = np.sort(kept)
    found = _of_masks if facts.task == "segmentation" else _of_rows
    return found(facts, kept, test, seed)


def _of_rows(facts, train, test, seed):
    y = facts.targets.encode(facts.y)
    right = y[test]
    classes = facts.task != "regression"
    rows = []

    def judge(name, answer):
        start = time.perf_counter()
        said = answer()
        rows.append(_row(name, facts, len(train), right, said, start))

    if facts.task == "ranking":
        judge("popularity of the item", lambda: popularity(facts.x["item"], y, train, test))
    elif classes:
        most = np.bincount(y[train]).argmax()
        judge("the most frequent class", lambda: np.full(len(test), most))
    else:
        judge("the mean", lambda: np.tile(y[train].mean(axis=0), (len(test), 1)))
    for name, model, x in models(facts, train, classes, seed):
        judge(name, lambda model=model, x=x: _fit(model, x, y, train, test, facts.task))
    return rows


def models(facts, train, classes, seed):
    """Return names, scikit-learn's models, and the matrix that each reads."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear = LogisticRegression(max_iter=1000) if classes else Ridge()
    what = "logistic regression" if classes else "ridge regression"
    if facts.kind == "images":
        return [(f"{what} on pixels", make_pipeline(StandardScaler(), linear), pixels(facts.x))]
    x, kinds = matrix(facts.x, train)
    return [
        (what, make_pipeline(_scaled(kinds), linear), x),
        ("gradient boosting", _boosting(kinds, classes, facts.targets.units, len(train), seed), x),
    ]


def _boosting(kinds, classes, units, rows, seed):
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.multioutput import MultiOutputRegressor

    least = max(1, min(20, rows // 10))  # 20 is scikit-learn's, too many of few rows
    options = {"categorical_features": kinds, "random_state": seed, "min_samples_leaf": least}
    if classes:
        return HistGradientBoostingClassifier(**options)
    model = HistGradientBoostingRegressor(**options)
    return model if units == 1 else MultiOutputRegressor(model)


def _scaled(kinds):
    """Return what makes a matrix of numbers and categories one that a linear model reads."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    places = np.arange(len(kinds))
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return make_column_transformer(
        (numbers, places[~kinds]), (OneHotEncoder(handle_unknown="ignore"), places[kinds])
    )


def _fit(model, x, y, train, test, task):
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a rival that is nearly fitted is one
        model.fit(x[train], y[train])
    return model.predict_proba(x[test])[:, 1] if task == "ranking" else model.predict(x[test])


def matrix(x, train):
    """Return columns as a matrix, numbers then ids of categories, and which are categories."""
    some = {name: column[train] for name, column in x.items()}
    table = heads.Table.of(some, max_size=MOST_CATEGORIES)
    found = table(x)
    parts = [found[name] for name in ("numeric", "categorical") if name in found]
    kinds = np.array([False] * len(table.numeric) + [True] * len(table.vocabularies))
    return np.concatenate(parts, axis=1).astype("float64"), kinds


def pixels(x):
    """Return images as rows of pixels; large ones smaller, by means of squares.

    >>> pixels(np.arange(4096.0).reshape(1, 64, 64, 1)).shape
    (1, 1024)
    """
    factor = -(-max(x.shape[1:3]) // MOST_SIDE)
    if factor > 1:
        height, width = (max(1, side // factor) for side in x.shape[1:3])
        cut = x[:, : height * factor, : width * factor]
        x = cut.reshape(len(x), height, factor, width, factor, -1).mean(axis=(2, 4))
    return x.reshape(len(x), -1).astype("float32")


def popularity(items, y, train, test):
    """Return for each test row how often its item was taken, rare ones drawn to the mean.

    >>> items, y = np.array(["a", "a", "b", "c"], dtype=object), np.array([1, 1, 0, 1])
    >>> popularity(items, y, [0, 1, 2], [0, 2, 3]).round(2).tolist()
    [0.72, 0.61, 0.67]
    """
    mean = y[train].mean()
    words = heads.Vocabulary.of(items[train])
    ids = words(items[train])
    taken, shown = np.bincount(ids, y[train], len(words)), np.bincount(ids, minlength=len(words))
    return ((taken + 10 * mean) / (shown + 10))[words(items[test])]


def _popular(facts):
    """Answer each user with the items that were taken most, of those not in the history."""
    start, x = time.perf_counter(), facts.x
    histories, right = before_last(x)
    x = x.astype("int64")
    counts = np.bincount(x[:, :-1].reshape(-1), minlength=int(x.max()) + 1).astype("float64")
    counts[0] = -1.0
    scores = np.tile(counts, (len(histories), 1))
    np.put_along_axis(scores, histories.astype(int), -1.0, axis=1)
    said = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return _row("the most popular items", facts, len(x), right, said, start)


def before_last(x):
    """Return the histories of users of three items at least, and the item that came last."""
    judged = x[(x > 0).sum(axis=1) > 2].astype("int32")
    return judged[:, :-1], judged[:, -1]


def _of_masks(facts, train, test, seed):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    masks = facts.targets.encode(facts.y).reshape(facts.x.shape[:3])
    start = time.perf_counter()
    chosen = np.random.default_rng(seed).permutation(train)[:200]
    x, y = neighbours(facts.x[chosen]), masks[chosen].reshape(-1)
    some = np.random.default_rng(seed).permutation(np.flatnonzero(y != 255))[:MOST_PIXELS]
    common = np.full(masks[test].shape, np.bincount(y[some]).argmax())
    first = _row("the most frequent class", facts, len(chosen), masks[test], common, start)
    start = time.perf_counter()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    _fit(model, x, y, some, some[:1], facts.task)
    said = [model.predict(neighbours(facts.x[i : i + 1])) for i in test]
    said = np.stack(said).reshape(masks[test].shape)
    name = "logistic regression on a pixel and its eight neighbours"
    return [first, _row(name, facts, len(chosen), masks[test], said, start)]


def neighbours(x):
    """Return a row for each pixel: its values and those of the eight around it.

    >>> neighbours(np.ones((2, 4, 4, 3))).shape
    (32, 27)
    """
    wide = np.pad(np.asarray(x, "float32"), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    height, width, channels = x.shape[1:]
    parts = [wide[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.concatenate(parts, axis=-1).reshape(-1, 9 * channels)


def _row(name, facts, rows, right, said, start):
    seconds = time.perf_counter() - start
    scores = scores_of(facts.task, right, said, facts.targets.units)
    return {"name": name, "rows": rows, "scores": scores, "seconds": seconds}
