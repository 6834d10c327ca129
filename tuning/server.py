"""A database on a server: told early where it cannot be reached, waited for if it restarts."""

import functools
import importlib.util
import time

import optuna
import sqlalchemy

PATIENCE = 60.0  # seconds for which a search waits for a server that it has reached before
FIRST = 15  # seconds for which it waits at first
TAKE_TIMEOUT = ("psycopg", "psycopg2", "pymysql", "mysqldb")
PACKAGES = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}

OF_CACHE = ("_create_new_trial", "_get_trials", "_set_trial_param")  # what Optuna's cache calls


def again(method):
    """Return a method of a storage that is called again where its connection was lost."""

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        try:
            return method(self, *args, **kwargs)
        except optuna.exceptions.StorageInternalError as error:
            if not was_lost(error):
                raise
        try:
            return method(self, *args, **kwargs)
        except optuna.exceptions.UpdateFinishedTrialError:  # only the answer was lost
            return True

    return call


class Server(optuna.storages.RDBStorage):
    """Optuna's storage on a server, which may restart while a search goes on.

    A call whose connection was lost is made again. Where only its answer was lost, that leaves a
    trial without a worker, which is taken up as any other.

    Args:
        url: The URL of the database.
    """

    def __init__(self, url):
        url = sqlalchemy.engine.make_url(url)
        if url.drivername == "postgresql" and importlib.util.find_spec("psycopg"):
            url = url.set(drivername="postgresql+psycopg")  # which SQLAlchemy 2.0 does not try
        options = {"pool_pre_ping": True}
        if url.get_driver_name() in TAKE_TIMEOUT and "connect_timeout" not in url.query:
            options["connect_args"] = {"connect_timeout": FIRST}
        text, start = url.render_as_string(hide_password=False), super().__init__
        patiently(lambda: start(text, engine_kwargs=options), begins)
        sqlalchemy.event.listen(self.engine, "do_connect", connect)


for _name in {*optuna.storages.BaseStorage.__abstractmethods__, *OF_CACHE}:
    setattr(Server, _name, again(getattr(optuna.storages.RDBStorage, _name)))


def connect(dialect, record, args, params):
    """Return a connection as soon as there is one; see SQLAlchemy's event `do_connect`."""
    lost = dialect.loaded_dbapi.OperationalError
    return patiently(lambda: dialect.connect(*args, **params), lambda x: isinstance(x, lost))


def patiently(call, passes):
    """Return what a call returns, made again for a while as long as its errors pass."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except Exception as error:
            if not passes(error) or time.monotonic() > until:
                raise
        time.sleep(0.5)


def begins(error):
    """Return whether PostgreSQL says that it starts, or ends to start again."""
    states = "starting up", "shutting down", "recovery mode", "not yet accepting"
    if not isinstance(error, sqlalchemy.exc.OperationalError):
        return False
    return getattr(error.orig, "sqlstate", None) == "57P03" or any(x in str(error) for x in states)


def was_lost(error):
    """Return whether an error tells of a connection that there was, and that broke."""
    while error is not None:
        if getattr(error, "connection_invalidated", False):
            return True
        # Optuna asks again in the same transaction, which then can no more be gone on with.
        error = error.__cause__ or error.__context__
    return False


def package(error):
    """Return the package whose absence an `ImportError` tells of, at its end."""
    while error.__cause__ is not None:
        error = error.__cause__
    name = getattr(error, "name", None) or "driver"
    return PACKAGES.get(name, name)
