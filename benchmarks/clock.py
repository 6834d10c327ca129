"""How long the epochs of a training take."""

import json
import time

import keras


class Clock(keras.callbacks.Callback):
    """Keep an epoch's logs with the time that its batches took, a line of JSON each.

    Args:
        path: File that the lines are added to.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_begin(self, epoch, logs=None):
        self.began = self.now = time.perf_counter(), time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        self.now = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        wall, busy = (b - a for a, b in zip(self.began, self.now))
        facts = {"epoch": epoch, "seconds": wall, "processor_seconds": busy, **logs}
        with self.path.open("a") as file:
            file.write(json.dumps(facts) + "\n")


def minutes(path):
    """Return the minutes of all epochs, by the wall and of the processor."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows = {row["epoch"]: row for row in rows}.values()  # of one that came twice the last
    names = {"wall_minutes": "seconds", "processor_minutes": "processor_seconds"}
    return {key: round(sum(x[name] for x in rows) / 60, 1) for key, name in names.items()}
