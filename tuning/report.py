"""The page of a search: what was found, at which cost, and what it depends on."""

import warnings
from pathlib import Path

import optuna

import export
from tuning.answers import value
from tuning.epochs import rows_of
from tuning.objectives import FACTS

COLUMNS = 12  # of parallel coordinates
CURVES = 40  # trainings whose curves are drawn
LEAST = 8  # completed trials from which importances are told


def write(tuner, path=None):
    """Write the page of a search and return its path; see `ParetoSearch.report`."""
    path = Path(tuner.project_dir, "report.html") if path is None else path
    rows = tuner.trials_table()
    done = [row for row in rows if row["state"] == "completed"]
    sections = [_facts(tuner, rows), _front(tuner)]
    if done:
        sections += [
            *_costs(tuner, done),
            *_parallel(tuner, rows),
            *_importance(tuner, done),
            *_curves(tuner, rows),
            *_winner(tuner),
        ]
    sections.append(_trials(tuner, rows))
    return export.describe(path, f"Search: {tuner.project_name}", sections)


def _facts(tuner, rows):
    states = [row["state"] for row in rows]
    known = [row for row in rows if row["seconds"]]
    facts = {
        **{state: states.count(state) for state in dict.fromkeys(states)},
        "objectives": ", ".join(f"{o.name} ({o.direction})" for o in tuner.oracle.objectives),
        "budget": str(tuner.budget),
        "epochs": sum(row["epochs"] or 0 for row in rows),
        "seconds": round(sum(row["seconds"] for row in known), 1),
        "of them before trainings": round(sum(row["gate_seconds"] or 0 for row in known), 1),
    }
    return {"kind": "facts", "title": "In short", "facts": facts}


def _front(tuner):
    trials = tuner.pareto_front()
    names = [o.name for o in tuner.oracle.objectives]
    names += [n for n in FACTS if n not in names and any(value(t, n) is not None for t in trials)]
    rows = [
        [int(t.trial_id), *(value(t, name) for name in names), told(t.hyperparameters.values)]
        for t in trials
    ]
    columns = ["trial", *names, "hyperparameters"]
    title = "The front: what no other trial dominates"
    return {"kind": "table", "title": title, "columns": columns, "rows": rows}


def _costs(tuner, done):
    """Return a picture of the main objective against every cost that is known."""
    first = tuner.oracle.objective.name
    names = [o.name for o in tuner.oracle.objectives if o.name != first]
    names = names or [name for name in FACTS if done[0][name] is not None][-1:]
    for name in names:
        points = [
            {
                "x": row["objectives"].get(name, row.get(name)),
                "y": row["objectives"][first],
                "group": "front" if row["front"] else "others",
                "label": row["number"] if row["front"] else None,
            }
            for row in done
        ]
        points = [point for point in points if point["x"] is not None]
        if points:
            log = all(p["x"] > 0 for p in points)
            axes = {"x_label": name, "y_label": first, "log_x": log}
            title = f"{first} against {name}"
            yield {"kind": "scatter", "title": title, "points": points, **axes}


def _parallel(tuner, rows):
    first = tuner.oracle.objective.name
    judged = [row for row in rows if first in row["objectives"]]
    names = list(dict.fromkeys(name for row in judged for name in row["values"]))
    varied = [n for n in names if len({str(row["values"].get(n)) for row in judged}) > 1]
    if varied:
        columns = [*varied[:COLUMNS], first]
        cells = [
            [*(row["values"].get(n) for n in varied[:COLUMNS]), row["objectives"][first]]
            for row in judged
        ]
        title = "Trials, a line each"
        yield {"kind": "parallel", "title": title, "columns": columns, "rows": cells}


def _importance(tuner, done):
    if len(done) < LEAST:
        return
    place = tuner.oracle.objectives.index(tuner.oracle.objective)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                tuner.oracle.study, target=lambda trial: trial.values[place]
            )
    except (RuntimeError, ValueError, ImportError) as error:  # nothing varies, or differs
        text = f"Importances cannot be told: {error}"
        yield {"kind": "text", "title": "Importance of hyperparameters", "text": text}
        return
    names = {name: name.rstrip("#%").partition("@")[0] for name in found}
    bars = {}
    for name, share in found.items():
        bars[names[name]] = bars.get(names[name], 0.0) + share
    bars = {name: share for name, share in bars.items() if share > 0}
    if bars:
        title = "Importance of hyperparameters (PED-ANOVA)"
        yield {"kind": "bars", "title": title, "bars": bars, "x_label": "share"}


def _curves(tuner, rows):
    first = tuner.oracle.objective.name
    best = [f"trial {int(t.trial_id)}" for t in tuner.pareto_front()[:3]]
    lines = {}
    for row in rows[-CURVES:]:
        folder = Path(tuner.get_trial_dir(f"{row['number']:05d}"), "execution_0")
        found = [x[first] for x in rows_of(folder) if first in x]
        if found:
            lines[f"trial {row['number']}"] = found
    if lines:
        axes = {"y_label": first, "bold": [name for name in best if name in lines]}
        yield {"kind": "lines", "title": "Learning curves", "lines": lines, **axes}


def _winner(tuner):
    trial = tuner.oracle.get_best_trials(1)[0]
    model = tuner.build(trial)
    title = f"The best: trial {int(trial.trial_id)}"
    try:
        answer = tuner.costs.device.answered(model)
        blocks = export.measure(answer).blocks()
        drawn = export.diagram(answer)
    except Exception as error:  # a foreign model may break the tracing anywhere
        yield {"kind": "text", "title": title, "text": f"It cannot be drawn: {error}"}
        return
    yield {"kind": "diagram", "title": title, **drawn}
    cells = [[b.name, b.kind, str(b.output_shape), b.params, b.macs] for b in blocks]
    columns = ["block", "kind", "output", "params", "macs"]
    yield {"kind": "table", "title": "What it costs, by block", "columns": columns, "rows": cells}


def _trials(tuner, rows):
    names = [o.name for o in tuner.oracle.objectives]
    columns = ["trial", "state", *names, "epochs", "seconds", "hyperparameters", "reason"]
    cells = [
        [
            row["number"],
            row["state"],
            *(row["objectives"].get(name) for name in names),
            row["epochs"],
            row["seconds"],
            told(row["values"]),
            row["reason"] or "",
        ]
        for row in rows
    ]
    return {"kind": "table", "title": "All candidates", "columns": columns, "rows": cells}


def told(values):
    """Return hyperparameters in one line."""
    texts = {name: f"{x:.4g}" if isinstance(x, float) else str(x) for name, x in values.items()}
    return ", ".join(f"{name}={text}" for name, text in texts.items())
