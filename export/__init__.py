"""Leaving Python: verified files, and facts about models and files."""

from export import stopped  # isort: skip  # noqa: F401 - before what takes seconds to import

from export.associated import associated_files
from export.aware import quantize_aware
from export.bundle import Bundle
from export.candidates import Candidate, QuantizationReport
from export.device import OnDevice, on_device
from export.diagram import diagram
from export.embed import read_metadata, write_metadata
from export.errors import ExportError, ParityError
from export.join import Joined, join
from export.measure import Measurement, measure
from export.metadata import Metadata
from export.onnx import to_onnx
from export.operations import Operation, Profile, profile
from export.pack import Packed, pack
from export.parity import TOLERANCES, Parity
from export.predict import predict
from export.preflight import Finding, Preflight, preflight
from export.quantization import quantization_report
from export.reference import verify
from export.report import describe
from export.tflite import to_tflite
from export.together import SideBySide, Timed, side_by_side
from export.web_demo import web_demo

__all__ = [
    "Bundle",
    "Candidate",
    "ExportError",
    "Finding",
    "Joined",
    "Measurement",
    "Metadata",
    "OnDevice",
    "Operation",
    "Packed",
    "Parity",
    "ParityError",
    "Preflight",
    "Profile",
    "QuantizationReport",
    "SideBySide",
    "TOLERANCES",
    "Timed",
    "associated_files",
    "describe",
    "diagram",
    "join",
    "measure",
    "on_device",
    "pack",
    "predict",
    "preflight",
    "profile",
    "quantization_report",
    "quantize_aware",
    "read_metadata",
    "side_by_side",
    "to_onnx",
    "to_tflite",
    "verify",
    "web_demo",
    "write_metadata",
]
