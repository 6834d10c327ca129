"""The words of the command line."""

import argparse

from export.parity import TOLERANCES

COMMANDS = ("measure", "verify", "preflight", "convert")
ABOUT = """\
commands:
  measure FILE [OTHER …]         size, latency, memory and operations of a .tflite file, or of
                                 several beside each other; the word may be left out
  verify FILE --model MODEL.keras --inputs SAMPLES.npz
                                 whether a file answers as its Keras model does
  preflight MODEL.keras          what will not convert, or slowly, and what is rewritten
  convert MODEL.keras OUT.tflite a .tflite file that is proven to, or an .onnx file

example: keras-blocks measure leaf.tflite --threads 1 4
`keras-blocks COMMAND --help` lists the options of a command.
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `ValueError`s."""

    def error(self, message):
        raise ValueError(f"{message[:1].upper()}{message[1:]}. `{self.prog} --help` shows how.")


def parsed(words):
    """Return the arguments of a command, `measure` where none is named; `command` is its name."""
    parser = Parser("keras-blocks", "keras-blocks COMMAND …", formatter_class=as_written)
    parser.description, parser.add_help = ABOUT, True
    commands = parser.add_subparsers(dest="command", help=argparse.SUPPRESS, parser_class=Parser)
    for add in (_measure, _verify, _preflight, _convert):
        add(commands)
    words = list(words)
    if not words:
        parser.error("a file or a command is needed")
    if words[0] not in (*COMMANDS, "-h", "--help"):
        words.insert(0, "measure")
    given = parser.parse_args(words)
    if given.command == "measure":
        _check_measure(given)
    return given


def as_written(prog):
    """Return a formatter that keeps lines as they are."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28)


def _check_measure(given):
    if given.device is None and given.tool is not None:
        raise ValueError("`--tool` is pushed to a device. Received: no --device.")
    if len(given.files) > 1:
        for name in ("device", "signature"):
            if getattr(given, name) is not None:
                raise ValueError(
                    f"`--{name}` takes one file. Received: {len(given.files)}: "
                    f"{', '.join(given.files)}. Options stand behind the files."
                )
    if given.device is not None and given.signature is not None:
        raise ValueError("`--signature` is not for a device. Received: --device, too.")


def _command(commands, name, about, example):
    return commands.add_parser(
        name,
        prog=f"keras-blocks {name}",
        description=about,
        epilog=f"example: keras-blocks {name} {example}",
        formatter_class=as_written,
    )


def _measure(commands):
    one = _command(
        commands,
        "measure",
        "Size, latency, memory and operations of a .tflite file, or several beside each other.",
        "leaf.tflite leaf_int8.tflite --threads 2",
    )
    one.add_argument("files", nargs="+", metavar="FILE", help="a .tflite file")
    one.add_argument("--threads", nargs="+", type=int, metavar="N", help="1 and 2; of several, 1")
    one.add_argument("--runs", type=int, default=50, metavar="N", help="timed runs: 50")
    one.add_argument("--json", metavar="PATH", help="write the facts there, too")
    one.add_argument("--signature", metavar="NAME", help="run this one of several signatures")
    one.add_argument(
        "--device",
        nargs="?",
        const="",
        metavar="SERIAL",
        help="run on an Android device, through adb",
    )
    one.add_argument("--tool", metavar="PATH", help="a benchmark_model to push to the device")


def _verify(commands):
    one = _command(
        commands,
        "verify",
        "Whether a file answers as its Keras model does; exit status 1 where not.",
        "leaf.tflite --model leaf.keras --inputs images.npy --precision int8",
    )
    one.add_argument("file", metavar="FILE", help="a .tflite or .onnx file")
    one.add_argument("--model", required=True, metavar="PATH", help="the .keras file it is made of")
    one.add_argument("--inputs", required=True, metavar="PATH", help="samples: .npy, or .npz")
    one.add_argument("--signature", metavar="NAME", help="ask this one of several signatures")
    _shared(one)


def _preflight(commands):
    one = _command(
        commands,
        "preflight",
        "What in a Keras model will not convert, or slowly, and what is rewritten for the file; "
        "exit status 2 where it does not convert.",
        "leaf.keras --precision int8",
    )
    one.add_argument("model", metavar="MODEL", help="a .keras file")
    _sizes(one)
    _precision(one)


def _convert(commands):
    one = _command(
        commands,
        "convert",
        "A .tflite or .onnx file of a Keras model, compared with it before it exists.",
        "leaf.keras leaf.tflite --precision int8 --calibration images.npy",
    )
    one.add_argument("model", metavar="MODEL", help="a .keras file")
    one.add_argument("path", metavar="OUT", help="where to write: .tflite, or .onnx")
    one.add_argument("--calibration", metavar="PATH", help="typical samples, for int8: .npy, .npz")
    one.add_argument("--inputs", metavar="PATH", help="samples to compare on: .npy, or .npz")
    one.add_argument("--labels", metavar="PATH", help="names of the classes, one a line")
    _sizes(one)
    one.add_argument("--no-measure", action="store_true", help="leave out latency and memory")
    _shared(one)


def _shared(one):
    one.add_argument("--tolerance", type=float, metavar="X", help="bound in place of the usual")
    _precision(one)


def _sizes(one):
    one.add_argument("--input-shape", nargs="+", type=int, metavar="N", help="sizes left open")


def _precision(one):
    one.add_argument(
        "--precision", choices=list(TOLERANCES), default="float32", help="of the file: float32"
    )
    one.add_argument(
        "--import",
        dest="imports",
        nargs="+",
        action="extend",
        default=[],
        metavar="MODULE",
        help="modules that register the model's own layers",
    )
