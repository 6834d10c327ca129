"""Files inside a `.tflite` file: vocabularies and tables that it is read with."""

import io
import zipfile
from pathlib import Path

WHEN = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


def checked(files):
    """Return files to put inside as a dict of bytes by name: paths, or contents by name.

    Raises:
        ValueError: If two have one name, or a name has folders.
        FileNotFoundError: If a path is none.
    """
    if files is None:
        return {}
    if isinstance(files, (str, Path)):
        files = [files]
    if not isinstance(files, dict):
        paths = [Path(path).expanduser() for path in files]
        names = [path.name for path in paths]
        if len(set(names)) < len(names):
            raise ValueError(f"Files inside a file have a name each. Received: {', '.join(names)}.")
        files = {path.name: path.read_bytes() for path in paths}
    contents = {}
    for name, content in files.items():
        if not isinstance(name, str) or not name or Path(name).name != name or "\\" in name:
            raise ValueError(f"A file's name has no folders. Received: {name!r}.")
        if not isinstance(content, (bytes, str)):
            raise ValueError(
                f"A file's content is bytes or text. Received: {type(content).__name__} as {name}."
            )
        contents[name] = content.encode() if isinstance(content, str) else content
    return contents


def appended(content, files):
    """Return a `.tflite` file's content with files behind it, as TFLite's metadata keeps them.

    They are an archive of the zip format, not compressed, which runtimes pass over; Android's
    `MetadataExtractor.getAssociatedFile` and Python's `zipfile` read it.
    """
    if not files:
        return content
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, WHEN), data)
    return stream.getvalue()


def associated_files(path):
    """Return the files inside a `.tflite` file: a dict of bytes by name.

    Args:
        path: A file that `to_tflite` or `join` wrote with `files=`, or any with metadata.

    Raises:
        ValueError: If what is inside is damaged.
    """
    path = Path(path).expanduser()
    if not zipfile.is_zipfile(path):
        path.stat()  # raises where there is none
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(
            f"The files inside a .tflite file must be whole. Received: path={str(path)!r}, {error}."
        ) from error
