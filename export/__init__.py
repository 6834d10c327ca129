"""Leaving Python: verified files, and facts about models and files."""

from export.associated import associated_files
from export.bundle import Bundle
from export.device import OnDevice, on_device
from export.diagram import diagram
from export.embed import read_metadata, write_metadata
from export.errors import ExportError, ParityError
from export.join import Joined, join
from export.measure import Measurement, measure
from export.operations import Operation, Profile, profile
from export.metadata import Metadata
from export.pack import Packed, pack
from export.parity import TOLERANCES, Parity
from export.predict import predict
from export.reference import verify
from export.report import describe
from export.tflite import to_tflite
from export.together import SideBySide, Timed, side_by_side

__all__ = [
    "Bundle",
    "ExportError",
    "Joined",
    "Measurement",
    "OnDevice",
    "Operation",
    "Metadata",
    "Packed",
    "Parity",
    "ParityError",
    "Profile",
    "SideBySide",
    "TOLERANCES",
    "Timed",
    "associated_files",
    "describe",
    "diagram",
    "join",
    "measure",
    "on_device",
    "predict",
    "profile",
    "side_by_side",
    "pack",
    "predict",
    "read_metadata",
    "to_tflite",
    "verify",
    "write_metadata",
]
