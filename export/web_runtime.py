"""LiteRT.js, which runs a file in a browser: taken from npm once, known by its hash, kept."""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "2.5.3"
PACKAGES = {
    "litertjs-core": (
        "@litertjs/core",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
    ),
    "litertjs-wasm-utils": (
        "@litertjs/wasm-utils",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
    ),
}
# The form without relaxed SIMD runs in every browser, and rounds as LiteRT does elsewhere.
MEMBERS = {
    "core": ("litertjs-core", "dist/index.js"),
    "utils": ("litertjs-wasm-utils", "dist/index.js"),
    "loader": ("litertjs-core", "wasm/litert_wasm_compat_internal.js"),
    "wasm": ("litertjs-core", "wasm/litert_wasm_compat_internal.wasm"),
}
ASKED = " ".join(f"{name}@{VERSION}" for name, _ in PACKAGES.values())


def parts(folder=None):
    """Return the bytes of LiteRT.js's files, by `"core"`, `"utils"`, `"loader"` and `"wasm"`.

    Args:
        folder: Where `npm pack` left the two archives. By default `npm` is run once, and they are
            kept in the user's cache.

    Raises:
        OSError: If there are no such archives, or they cannot be had.
        ValueError: If an archive is not the published one.
    """
    if folder is None:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "keras-blocks")
        if not all((folder / _archive(name)).is_file() for name in PACKAGES):
            _fetch(folder)
    folder = Path(folder).expanduser()
    for name, (_, digest) in PACKAGES.items():
        _check(folder / _archive(name), digest)
    found = {}
    for key, (name, member) in MEMBERS.items():
        with tarfile.open(folder / _archive(name)) as archive:
            found[key] = archive.extractfile(f"package/{member}").read()
    return found


def _archive(name):
    return f"{name}-{VERSION}.tgz"


def _check(path, digest):
    if not path.is_file():
        raise FileNotFoundError(
            f"LiteRT.js is needed. Received: runtime={str(path.parent)!r}, without {path.name}. "
            f"Make it there: npm pack {ASKED}"
        )
    found = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if found != digest:
        raise ValueError(
            f"The archive must be that which npm published as version {VERSION}. "
            f"Received: {str(path)!r} with SHA-512 {found}. Remove it, and make it anew: "
            f"npm pack {ASKED}"
        )


def _fetch(folder):
    """Let npm, which knows the user's registry and proxy, write the archives."""
    npm = shutil.which("npm")
    why = "no npm on the path"
    if npm:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as part:
            done = subprocess.run(
                [npm, "pack", "--pack-destination", part, *ASKED.split()],
                capture_output=True,
                text=True,
                cwd=part,
            )
            if done.returncode == 0:
                for name in PACKAGES:
                    os.replace(Path(part, _archive(name)), folder / _archive(name))
                return
        why = f"npm said {done.stderr.strip()[-500:]!r}"
    raise FileNotFoundError(
        f"LiteRT.js comes from npm. Received: {why}. On a machine that reaches npm, run "
        f"`npm pack {ASKED}`, and give the folder of the two files as `runtime`."
    )
