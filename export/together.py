"""Files timed turn by turn, so that what slows the machine slows them alike."""

import statistics
from dataclasses import asdict, dataclass

from export import schema
from export.files import existing
from export.table import kilobytes, render
from export.timing import ask, check_counts


@dataclass(frozen=True)
class Timed:
    """A file of `side_by_side`.

    Attributes:
        file: Its path, as it was given.
        size: Its bytes.
        median_ms, min_ms: Of all rounds.
        ratio: Its time over the first file's: the median of the rounds.
        lowest, highest: The least and the largest ratio of a round.
    """

    file: str
    size: int
    median_ms: float
    min_ms: float
    ratio: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class SideBySide:
    """What `side_by_side` found.

    Attributes:
        files: A `Timed` for each file.
        noise: The least and the largest ratio of the first file to itself: a second copy of it
            took part. Ratios as near to 1, on either side, tell no difference.
        threads, runs, rounds: As they were asked for.
    """

    files: list
    noise: tuple
    threads: int
    runs: int
    rounds: int

    def verdict(self, timed):
        """Return `"faster"`, `"slower"` or `"no difference"` than the first, for one of `files`."""
        if timed.highest < 1 / self.alike:
            return "faster"
        return "slower" if timed.lowest > self.alike else "no difference"

    @property
    def alike(self):
        """The largest ratio that noise makes: which of two copies is the quicker is chance."""
        return max(self.noise[1], 1 / self.noise[0])

    def to_dict(self):
        return asdict(self)

    def __str__(self):
        rows = [("file", "size", "median ms", "min ms", "to the first", "over rounds", "")]
        for x in self.files:
            times = (x.file, kilobytes(x.size), f"{x.median_ms:.3f}", f"{x.min_ms:.3f}")
            if x is self.files[0]:
                rows.append((*times, "1", "", ""))
                continue
            span = f"{x.lowest:.2f} to {x.highest:.2f}"
            rows.append((*times, f"{x.ratio:.2f}", span, self.verdict(x)))
        count = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return (
            f"{render(rows)}\n{self.rounds} rounds of {self.runs} runs each, {count}; the first "
            f"against a copy of itself: {self.noise[0]:.2f} to {self.noise[1]:.2f}, so that "
            f"{1 / self.alike:.2f} to {self.alike:.2f} is no difference"
        )


def side_by_side(files, *, threads=1, runs=50, rounds=5):
    """Return how fast `.tflite` files are beside each other, as a `SideBySide`.

    One fresh process runs them in turn: in each round each file `runs` times, every other round
    backwards. Each round gives a ratio of medians to the first file's. The first file runs twice,
    so that the ratio to itself tells how much is noise.

    Args:
        files: Two paths or more.
        threads: Number of threads.
        runs: Timed runs of a file in a round, after five that are not.
        rounds: Number of rounds.

    Raises:
        ValueError: If an argument is wrong, or a file is no `.tflite` file or damaged.
        ExportError: If a file does not run.
    """
    check_counts(threads=threads, runs=runs, rounds=rounds)
    if isinstance(files, (str, bytes)) or not hasattr(files, "__iter__"):
        raise ValueError(f"`files` must list two paths or more. Received: files={files!r}.")
    paths = [existing(file, "measure") for file in files]
    if len(paths) < 2:
        raise ValueError(f"`files` must list two paths or more. Received: {len(paths)}.")
    for path in paths:
        schema.read(path)
    request = {
        "files": [str(path.absolute()) for path in (*paths, paths[0])],
        "threads": threads,
        "runs": runs,
        "rounds": rounds,
    }
    found = ask("latency.py", request, *paths)
    *medians, copy = found["medians"]
    timed = [
        Timed(
            str(path),
            path.stat().st_size,
            statistics.median(times),
            least,
            *_ratios(times, medians[0]),
        )
        for path, times, least in zip(paths, medians, found["least"])
    ]
    return SideBySide(timed, _ratios(copy, medians[0])[1:], threads, runs, rounds)


def _ratios(times, first):
    """Return the median, the least and the largest ratio of the rounds of two files."""
    ratios = [a / b for a, b in zip(times, first)]
    return statistics.median(ratios), min(ratios), max(ratios)
