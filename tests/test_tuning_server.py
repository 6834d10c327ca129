"""A store on a server: `KERAS_BLOCKS_POSTGRESQL` is the URL of a database for the tests."""

import contextlib
import itertools
import os
import socket
import sys
import threading
import time
import types

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from test_benchmark_crash import main as crash
from test_tuning_search import Formula, values

import tuning
from tests.slow import slow
from tuning import server

URL = os.environ.get("KERAS_BLOCKS_POSTGRESQL")
needs_server = pytest.mark.skipif(
    not URL, reason="needs KERAS_BLOCKS_POSTGRESQL=postgresql://user:password@host/database"
)
NUMBERS = itertools.count()


def make(folder, url, model=None, name="p", **kwargs):
    kwargs = {"max_trials": 6, "seed": 0, **kwargs}
    return tuning.ParetoSearch(
        model or Formula(), directory=folder, project_name=name, storage=url, **kwargs
    )


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """The storages of a test, whose connections are closed behind it: psycopg else warns."""
    opened, begin = [], server.Server.__init__

    def init(self, url):
        begin(self, url)
        opened.append(self)

    monkeypatch.setattr(server.Server, "__init__", init)
    yield opened
    for each in opened:
        each.engine.dispose()


@pytest.fixture
def name(opened):
    name = f"test_{os.getpid()}_{time.time()}_{next(NUMBERS)}"
    yield name
    with contextlib.suppress(KeyError):
        optuna.delete_study(study_name=name, storage=server.Server(URL))


@needs_server
def test_workers_share_a_search_in_postgresql(tmp_path, name):
    first, second = (make(tmp_path / str(i), URL, name=name) for i in range(2))
    first.gate.next()
    second.search(verbose=0)
    assert len(values(second)) == 5
    first.oracle.give_back()
    first.search(verbose=0)
    rows = first.trials_table()
    assert [row["state"] for row in rows] == ["completed"] * 6
    assert len({str(row["values"]) for row in rows}) == 6
    with pytest.raises(ValueError, match="A store keeps the objectives"):
        make(tmp_path, URL, name=name, objectives=["val_accuracy", "params"])
    again = make(tmp_path, URL, name=name, overwrite=True)
    assert again.trials_table() == []


@needs_server
def test_a_search_outlives_lost_connections(tmp_path, name, opened):
    url = sqlalchemy.engine.make_url(URL).update_query_dict({"application_name": name[:60]})
    tuner = make(tmp_path, url.render_as_string(False), name=name)
    engine, statements, cut = server.Server(URL).engine, itertools.count(1), []
    end = sqlalchemy.text(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = :name"
    )

    def cuts(*args):  # in the midst of a call
        if next(statements) % 25 == 0:
            with engine.connect() as connection:
                cut.extend(connection.execute(end, {"name": name[:60]}).all())

    sqlalchemy.event.listen(opened[0].engine, "before_cursor_execute", cuts)
    tuner.search(verbose=0)
    assert len(cut) > 3
    rows = tuner.trials_table()
    assert [row["state"] for row in rows] == ["completed"] * 6
    assert len({str(row["values"]) for row in rows}) == 6


@slow
@needs_server
def test_killed_workers_on_postgresql(tmp_path):
    done = crash(tmp_path, "--kills", "3", "--storage", URL, "--kinds", "two workers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert URL not in done.stdout


def test_a_server_that_is_not_there_is_told_at_once(tmp_path):
    pytest.importorskip("psycopg", reason="pip install 'keras-blocks[postgresql]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    for host in (f"127.0.0.1:{port}", "nowhere.invalid"):
        with pytest.raises(ValueError, match="one that opens.*Do its server, user") as error:
            make(tmp_path, f"postgresql://me:secret@{host}/x")
        assert host.split(":")[0] in str(error.value) and "secret" not in str(error.value)
    assert time.monotonic() - began < 10


def test_a_server_that_does_not_answer_is_told(tmp_path, monkeypatch):
    pytest.importorskip("psycopg", reason="pip install 'keras-blocks[postgresql]'")
    monkeypatch.setattr(server, "FIRST", 2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(ValueError, match="one that opens.*timeout"):
            make(tmp_path, f"postgresql://me:secret@127.0.0.1:{port}/x")


def test_a_server_that_is_starting_is_waited_for(tmp_path):
    pytest.importorskip("psycopg", reason="pip install 'keras-blocks[postgresql]'")
    says = ["57P03", "the database system is starting up"], ["28P01", "wrong password"]
    asked = []

    def answer(client):
        with client:
            while True:
                length = int.from_bytes(client.recv(4))
                if int.from_bytes(client.recv(length - 4)[:4]) >> 16 == 3:  # the protocol
                    break
                client.sendall(b"N")  # no encryption
            asked.append(time.monotonic())
            code, text = says[len(asked) > 2]
            fields = f"SFATAL\0C{code}\0M{text}\0\0".encode()
            client.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    def serve(listening):
        with contextlib.suppress(OSError):
            while True:
                answer(listening.accept()[0])

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(ValueError, match="one that opens.*wrong password"):
            make(tmp_path, f"postgresql://me:secret@127.0.0.1:{port}/x")
    assert len(asked) == 3 and asked[2] - asked[0] > 0.9


def test_the_package_of_a_database_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ImportError, match="pip install 'psycopg2-binary'") as error:
        make(tmp_path, "postgresql+psycopg2://me:secret@nowhere.invalid/x")
    assert "secret" not in str(error.value)
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(ImportError, match="pip install 'pymysql'"):
        make(tmp_path, "mysql+pymysql://me:secret@nowhere.invalid/x")


def lost(invalidated=True):
    cause = sqlalchemy.exc.OperationalError("SELECT", {}, OSError())
    cause.connection_invalidated = invalidated
    error = StorageInternalError("commit")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "gives, found",
    [
        ([lost(), 7], 7),
        ([lost(), UpdateFinishedTrialError()], True),  # the first call had reached the server
        ([lost(), lost()], StorageInternalError),
        ([lost(False), 7], StorageInternalError),
        ([UpdateFinishedTrialError(), 7], UpdateFinishedTrialError),
    ],
)
def test_a_call_whose_connection_was_lost_is_made_again(gives, found):
    gives = iter(gives)

    def method(self, *args):
        given = next(gives)
        if isinstance(given, Exception):
            raise given
        return given

    call = server.again(method)
    if isinstance(found, type):
        with pytest.raises(found):
            call(None)
    else:
        assert call(None) == found


def test_a_server_that_restarts_is_waited_for(monkeypatch):
    monkeypatch.setattr(server.time, "sleep", lambda seconds: None)
    refused = [OSError(), OSError()]

    def connect(*args, **params):
        if refused:
            raise refused.pop()
        return args, params

    dialect = types.SimpleNamespace(
        connect=connect, loaded_dbapi=types.SimpleNamespace(OperationalError=OSError)
    )
    assert server.connect(dialect, None, ("x",), {"y": 1}) == (("x",), {"y": 1})
    monkeypatch.setattr(server, "PATIENCE", -1.0)
    refused.append(OSError())
    with pytest.raises(OSError):
        server.connect(dialect, None, (), {})
