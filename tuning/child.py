"""Trains one trial of a search in this process, which is fresh; see `tuning.isolated`.

Run by path: `python -P child.py OUT IN`, with the descriptors of two pipes.
"""

import copy
import os
import pathlib
import pickle
import sys
import threading
import traceback
from multiprocessing.connection import Connection


def main(out, into):
    """Train the trial that the other side of the pipes asks for."""
    asks, told = Connection(out, readable=False), Connection(into, writable=False)
    job = told.recv()
    answers = Answers(asks, told)
    try:
        asks.send(("done", *train(job, answers)))
    except BaseException as error:
        from keras_tuner.errors import FatalError

        last = traceback.format_exception_only(error)[-1].strip()
        fatal = isinstance(error, FatalError)
        message = str(error) if fatal else last
        asks.send(("failed", message, traceback.format_exc(), fatal))


class Answers:
    """Asks the other process; ends this one if that is gone."""

    def __init__(self, asks, told):
        self.asks, self.told = asks, told
        self.found, self.ready = None, threading.Semaphore(0)
        threading.Thread(target=self._listen, daemon=True).start()

    def __call__(self, *words):
        self.asks.send(words)
        self.ready.acquire()
        return self.found

    def _listen(self):
        while True:
            try:
                self.found = self.told.recv()
            except EOFError:
                os._exit(1)  # a search that was killed trains this trial again
            self.ready.release()


def train(job, ask):
    """Return what the trainings of a trial gave, each with its kind, and their epochs."""
    sys.path[:] = job["path"]
    import keras
    import keras_tuner
    from keras_tuner.engine import hyperparameters as kinds

    from tuning.gate import fresh_model
    from tuning.samplers import execution_seed
    from tuning.settings import check_compiled
    from tuning.suggest import LiveHyperParameters, drawn_before
    from tuning.tensorboard import apart
    from tuning.trainer import Trainer

    with open(job["given"], "rb") as file:
        file.seek(0)  # where the last trial left it, as they share it
        given = pickle.load(file)
    keras.config.set_dtype_policy(job["policy"])
    hypermodel, kwargs = given["hypermodel"], given["kwargs"]
    user = kwargs.pop("callbacks", None) or []
    hp = LiveHyperParameters(lambda hp: ask("draw", kinds.serialize(hp)))
    drawn_before(hp, job["values"])

    def fit(execution, callbacks):
        model = fresh_model(hypermodel.build, hp, execution_seed(job["seed"], execution))
        check_compiled(hypermodel, model)
        return hypermodel.fit(hp, model, *given["args"], callbacks=callbacks, **kwargs)

    def goes_on(*words):
        return ask("goes_on", *words)

    def own(execution):
        return apart(copy.deepcopy(user), folder.name.removeprefix("trial_"), execution)

    folder = pathlib.Path(job["folder"])
    trainer = Trainer(
        folder,
        job["executions"],
        keras_tuner.Objective(*job["objective"]),
        goes_on if job["halving"] else None,
    )
    found = trainer.run(fit, own)
    plain = [
        ("history", x.history) if isinstance(x, keras.callbacks.History) else ("result", x)
        for x in found
    ]
    return plain, trainer.epochs


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
