"""What each operation of a file costs, as the runtime's profiler tells."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from export import schema
from export.errors import ExportError
from export.files import existing
from export.table import render
from export.timing import ask, check_counts

TABLE = re.compile(r"=+ Run Order =+\n(.*)\n((?:.*\S.*\n)*)")
DELEGATE = re.compile(r"Delegate/|.*[Dd]elegate$")  # an operation inside of it, or the whole
LONGEST = 30  # printed of a name, its end: it begins with a layer's scopes


@dataclass(frozen=True)
class Operation:
    """An operation as it ran.

    Attributes:
        op: Its kind, as the runtime or its delegate calls it.
        name: What it makes, or its number.
        ms: Time a run of the file, in ms. A loop's includes what is in it, and what the profiler
            itself takes there: much more than the operations do.
        share: Share of the time of all operations, 0 to 1.
        calls: How often it runs in a run of the file; operations of one kind and number in several
            parts of the delegate are one.
        delegated: Whether the delegate computes it.
    """

    op: str
    name: str
    ms: float
    share: float
    calls: int
    delegated: bool


@dataclass
class Profile:
    """What `profile` found: `operations` in the order they run, of `runs` runs of `file`."""

    file: str
    runs: int
    operations: list

    @property
    def outside_ms(self):
        """Time a run of the operations that the delegate leaves to slower kernels."""
        return sum(x.ms for x in self.operations if not x.delegated)

    def to_dict(self):
        return asdict(self)

    def table(self, most=10):
        """Return the `most` costly operations as text."""
        return costs(self.operations, most)

    def __str__(self):
        return f"operations of {self.file}, ms a run of {self.runs}\n{self.table(None)}"


def profile(file, *, runs=50, signature=None):
    """Return what each operation of a `.tflite` file costs, as a `Profile`.

    LiteRT's own profiler is asked, in a fresh process, on one thread and inputs of zeros. It
    counts whole microseconds and takes some time itself: read the shares, and the latency of
    `measure`.

    Args:
        file: Its path.
        runs: Profiled runs, after five that are not.
        signature: Name of the signature to run, by default the first.

    Raises:
        ValueError: If an argument is wrong, or the file is no `.tflite` file or damaged.
        ExportError: If the file does not run, or this LiteRT has no profiler.
    """
    check_counts(runs=runs)
    path = existing(file, "profile")
    names = schema.read(path, signature).signatures
    request = {
        "file": str(Path(path).absolute()),
        "signature": names.index(signature) if signature else 0,
        "runs": runs,
    }
    operations = read(ask("profiler.py", request, path)["summary"], runs)
    if not operations:
        raise ExportError(f"LiteRT must have a profiler. Received: no operations of {path.name!r}.")
    return Profile(path.name, runs, operations)


def read(text, runs=1):
    """Return the `Operation`s in what a profiler of LiteRT or its benchmark tool printed.

    Args:
        text: The whole of it.
        runs: Runs over which calls were counted, 1 where they are those of one run.
    """
    text = text.rpartition("Operator-wise Profiling Info")[2] + "\n"
    found = []
    for head, body in TABLE.findall(text):
        columns = re.findall(r"\[(.+?)\]", head)[1:-1]  # between the kind and the name
        line = re.compile(rf"\s*(\S.*?)\s+((?:\d[\d.]*%?\s+){{{len(columns)}}})(\S.*)")
        rows = [line.match(x) for x in body.splitlines()]
        rows = [(x[1], x[3].strip(), dict(zip(columns, x[2].split()))) for x in rows if x]
        whole = sum(x.share for x in found if x.delegated) if found else 1.0
        inside = bool(found)  # the second table is what the delegate of the first does
        found = [x for x in found if not x.delegated]
        found += [_operation(*row, runs, whole, inside) for row in rows]
    return found


def costs(operations, most=None):
    """Return the `most` costly operations as lines of text, or all of them."""
    first = sorted(operations, key=lambda x: -x.ms)[:most]
    rows = [("operation", "name", "ms", "share", "calls", "")]
    for x in first:
        where = "" if x.delegated else "outside of the delegate"
        op = x.op.removeprefix("Delegate/")
        rows.append((op, x.name[-LONGEST:], f"{x.ms:.3f}", f"{x.share:.1%}", x.calls, where))
    left = operations[len(first) :]
    if left:
        rest = sum(x.share for x in operations) - sum(x.share for x in first)
        ms = sum(x.ms for x in operations) - sum(x.ms for x in first)
        rows.append((f"{len(left)} others", "", f"{ms:.3f}", f"{max(rest, 0):.1%}", "", ""))
    return render(rows)


def _operation(op, name, numbers, runs, whole, inside):
    calls = max(1, int(numbers["times called"]) // runs)
    ms, share = float(numbers["avg ms"]) * calls, whole * float(numbers["%"].rstrip("%")) / 100
    return Operation(op, name, ms, share, calls, inside or bool(DELEGATE.match(op)))
