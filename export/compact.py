"""A file's content written anew without what no runtime reads, and what is equal once only."""

import numpy as np

ALIGNMENT = 16  # bytes, which the format asks of the data of a buffer


def compact(content):
    """Return a `.tflite` file's content with the same operations and weights in fewer bytes.

    The names of inner tensors and the converter's note of itself go; constants and vectors that
    are equal, above all the zero points of channels, are stored once. Signature, the names of
    inputs and outputs, and other metadata stay.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if any(buffer.offset for buffer in model.buffers):  # data behind the flatbuffer, above 2 GB
        return content
    _drop_names(model)
    _drop_notes(model)
    share_buffers(model)
    builder = sharing_builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    smaller = bytes(builder.Output())
    return smaller if len(smaller) < len(content) else content


def _drop_names(model):
    for graph in model.subgraphs:
        kept = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(graph.tensors):
            if index not in kept:
                tensor.name = b""


def _drop_notes(model):
    model.metadata = [x for x in model.metadata or () if x.name != b"CONVERSION_METADATA"]


def share_buffers(model):
    """Keep the buffers in use, each content once; 0 is the empty one by convention."""
    places, buffers, moved = {}, [model.buffers[0]], {0: 0}

    def place(index):
        if index not in moved:
            data = model.buffers[index].data
            key = ("data", bytes(data)) if data is not None else ("empty", index)
            if key not in places:
                places[key] = len(buffers)
                buffers.append(model.buffers[index])
            moved[index] = places[key]
        return moved[index]

    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = place(tensor.buffer)
    for entry in model.metadata:
        entry.buffer = place(entry.buffer)
    model.metadataBuffer = None
    model.buffers = buffers


def sharing_builder(size):
    """Return a builder that writes equal strings and equal vectors of numbers once."""
    import flatbuffers

    class SharingBuilder(flatbuffers.Builder):
        def __init__(self, size):
            super().__init__(size)
            self.known = {}

        def _once(self, key, write):
            if key not in self.known:
                self.known[key] = write()
            return self.known[key]

        def CreateString(self, s, *args, **kwargs):
            write = super().CreateString
            return self._once(("string", s), lambda: write(s, *args, **kwargs))

        def CreateNumpyVector(self, x):
            write = super().CreateNumpyVector

            def aligned():
                if x.dtype == np.uint8:
                    self.Prep(ALIGNMENT, x.nbytes)
                return write(x)

            return self._once((x.dtype.str, x.tobytes()), aligned)

    return SharingBuilder(size)
