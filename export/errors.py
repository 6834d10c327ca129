"""What goes wrong on the way out of Python."""


class ExportError(ValueError):
    """A model cannot leave as it is; the message says why and what to do.

    Attributes:
        layer: Name of the Keras layer in question, or `None`.
        op: Name of the operation that the file format lacks, or `None`.
        details: What the converter said, in full, or `None`.
    """

    def __init__(self, message, *, layer=None, op=None, details=None):
        super().__init__(message)
        self.layer = layer
        self.op = op
        self.details = details


class ParityError(ExportError):
    """A file does not answer as its Keras model does.

    Attributes:
        parity: The `Parity` with the figures.
    """

    def __init__(self, message, *, parity=None):
        super().__init__(message)
        self.parity = parity
