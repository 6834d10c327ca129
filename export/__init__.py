"""Leaving Python: verified files, and facts about models and files."""

from export.associated import associated_files
from export.aware import quantize_aware
from export.bundle import Bundle
from export.candidates import Candidate, QuantizationReport
from export.diagram import diagram
from export.errors import ExportError, ParityError
from export.join import Joined, join
from export.measure import Measurement, measure
from export.parity import TOLERANCES, Parity
from export.predict import predict
from export.quantization import quantization_report
from export.reference import verify
from export.report import describe
from export.tflite import to_tflite

__all__ = [
    "Bundle",
    "Candidate",
    "ExportError",
    "Joined",
    "Measurement",
    "Parity",
    "ParityError",
    "QuantizationReport",
    "TOLERANCES",
    "associated_files",
    "describe",
    "diagram",
    "join",
    "measure",
    "predict",
    "quantization_report",
    "quantize_aware",
    "to_tflite",
    "verify",
]
