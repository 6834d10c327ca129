"""The files of a report on precisions: made, judged, ranked and timed."""

import contextlib

import keras

from export import schema
from export.candidates import Candidate
from export.convert import calibrated, paths_of, traced
from export.errors import ExportError, ParityError
from export.files import aside
from export.parity import TOLERANCES
from export.preflight import prepared
from export.reference import answers, checked, run
from export.scoring import score_of
from export.timing import ask
from export.together import side_by_side

FEW = 64  # samples on which layers are ranked
MOST_FLOAT = 0.5  # share of the layers that may stay in floats


class Bench:
    """Makes and judges the candidates of one report."""

    def __init__(self, model, report, folder, samples, known, targets, metric, tolerance):
        self.model, self.report, self.folder = model, report, folder
        self.samples, self.known, self.targets = samples, known, targets
        self.metric, self.tolerance = metric, tolerance

    def make_all(self, input_shape, rank, imports, verbose):
        plain = [x for x in TOLERANCES if x != "int8"]
        paths = paths_of(self.model)
        steps = len(TOLERANCES) + len(paths) * bool(rank)
        bar = keras.utils.Progbar(steps, verbose=verbose, unit_name="file")
        runs, _ = prepared(self.model, "float32", input_shape)  # alike for all that round nothing
        with traced(runs, input_shape, imports) as converted:
            for precision in plain:
                content = self.attempt(
                    Candidate(precision, precision),
                    lambda precision=precision: converted(precision),
                )
                if precision == "float32" and content is None:
                    raise ExportError(self.report.candidates[0].error)
                bar.add(1)
        with contextlib.ExitStack() as stack:
            try:
                runs, _ = prepared(self.model, "int8", input_shape)
                opened = calibrated(runs, self.report.calibration, input_shape, imports)
                quantized = stack.enter_context(opened)
            except ExportError as error:
                self.report.candidates.append(Candidate("int8", "int8", error=str(error)))
            else:
                whole = Candidate("int8", "int8")
                made = self.attempt(whole, quantized)
                bar.add(1)
                harm = not self.report.allows(whole)
                if made and (rank or harm):
                    self.rank(quantized, paths, bar)
                    if harm:
                        self.keep_some_in_floats(quantized)
        bar.update(steps, finalize=True)

    def attempt(self, candidate, make):
        """Make a candidate's file and judge it; return its path, or `None` where there is none."""
        self.report.candidates.append(candidate)
        path = self.folder / f"{candidate.name.replace(', ', '_').replace(' ', '_')}.tflite"
        try:
            with aside(path) as [part]:
                part.write_bytes(make())
            candidate.path = path
            candidate.size = path.stat().st_size
            candidate.ops = dict(schema.read(path).ops)
            limits = self.tolerance.get(candidate.precision)
            try:
                candidate.parity = checked(
                    self.model, path, self.known, candidate.precision, limits
                )
            except ParityError as error:
                candidate.parity = error.parity
            candidate.score = score_of(self.metric, self.targets, run(path, self.samples))
        except ExportError as error:
            candidate.error = str(error)
            return None
        sign = 1 if self.report.mode == "max" else -1
        candidate.drop = sign * (self.report.reference - candidate.score)
        return path

    def rank(self, quantized, paths, bar):
        """Find how much of the noise of 8 bits each layer makes where it alone has them."""
        few = {name: x[:FEW] for name, x in self.known.items()}
        expected = answers(self.model, few)
        part = self.folder / ".layer.tflite"

        def noise(float_layers):
            part.write_bytes(quantized(float_layers))
            return _noise(expected, run(part, few))

        try:
            rest = noise(paths)  # what has no weights
            alone = {}
            for path in paths:
                others = tuple(x for x in paths if x != path)
                with contextlib.suppress(ExportError):  # not ranked: no such file can be made
                    alone[path] = max(0.0, noise(others) - rest)
                bar.add(1)
        except ExportError:
            return
        finally:
            part.unlink(missing_ok=True)
        whole = sum(alone.values()) or 1.0
        self.report.sensitivity = {path: share / whole for path, share in alone.items()}

    def keep_some_in_floats(self, quantized):
        """Make files in which more and more of the most sensitive layers stay in floats."""
        order = sorted(self.report.sensitivity, key=self.report.sensitivity.get, reverse=True)
        count = 1
        while count <= MOST_FLOAT * len(order):
            some = tuple(order[:count])
            name = f"int8, {count} in float"
            candidate = Candidate(name, "int8", float_layers=some)
            self.attempt(candidate, lambda some=some: quantized(some))
            if self.report.allows(candidate):
                return
            count *= 2

    def time(self, threads):
        made = [x for x in self.report.candidates if x.error is None]
        found = side_by_side([x.path for x in made], threads=threads, runs=20)
        for each, timed in zip(made, found.files):
            least, most = found.noise if each is made[0] else (timed.lowest, timed.highest)
            each.latency_ms, each.spread = timed.median_ms, (most - least) / timed.ratio
            if each is not made[0]:
                each.speed = found.verdict(timed)
            request = {"file": str(each.path.absolute()), "runs": 1, "threads": threads}
            facts = ask("latency.py", request | {"signature": None}, each.path)
            each.memory = facts["peak_memory"]


def _noise(expected, actual):
    """Return the error of all outputs as a share of what they hold, each output alike."""
    total = 0.0
    for name, reference in expected.items():
        if reference.dtype.kind != "f":
            total += float((reference != actual[name]).mean())
        else:
            error = actual[name].astype("float64") - reference
            signal = float((reference.astype("float64") ** 2).mean())
            total += float((error**2).mean()) / signal if signal else 0.0
    return total
