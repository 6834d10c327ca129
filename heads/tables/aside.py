"""Files that are whole or absent: written aside, then renamed."""

import contextlib
from pathlib import Path


@contextlib.contextmanager
def aside(path):
    """Yield a path beside `path`, which is renamed if the body ends well and removed if not."""
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
