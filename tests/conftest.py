"""Quiet backends, one start for every test, and Ctrl-C."""

import gc
import os
import random
import signal

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(autouse=True, scope="session")
def frozen_libraries():
    """Let no collection of garbage walk through the libraries, after all tests are imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def one_start():
    """Draw the seeds of weights anew in each test: what passes once passes again."""
    random.seed(0)


@pytest.fixture
def ctrl_c():
    """Let SIGINT raise KeyboardInterrupt, which it does not in a shell's background jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
