"""Leaving Python: verified files, and facts about models and files."""

from export.associated import associated_files
from export.bundle import Bundle
from export.diagram import diagram
from export.embed import read_metadata, write_metadata
from export.errors import ExportError, ParityError
from export.join import Joined, join
from export.measure import Measurement, measure
from export.metadata import Metadata
from export.pack import Packed, pack
from export.parity import TOLERANCES, Parity
from export.predict import predict
from export.reference import verify
from export.report import describe
from export.tflite import to_tflite

__all__ = [
    "Bundle",
    "ExportError",
    "Joined",
    "Measurement",
    "Metadata",
    "Packed",
    "Parity",
    "ParityError",
    "TOLERANCES",
    "associated_files",
    "describe",
    "diagram",
    "join",
    "measure",
    "pack",
    "predict",
    "read_metadata",
    "to_tflite",
    "verify",
    "write_metadata",
]
