"""Quiet backends, and one worker's share of the cores."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
