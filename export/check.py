"""Check this folder: each file is as it was made, and the model answers as it did.

Needs Python, NumPy and LiteRT: pip install numpy ai-edge-litert

    python check.py          says pass, or what differs; the exit status is 0 or 1
    python check.py SHA256   also that the list of files is the one with this hash
"""

import hashlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SUMS, FACTS = "SHA256SUMS", "bundle.json"


def main(expected=None, folder=FOLDER):
    """Print what differs, a line each, or that nothing does; return the exit status."""
    found = files(folder, expected)
    if found:
        found.append("The model was not run.")
    else:
        try:
            found = answers(folder)
        except ImportError as error:
            found = [f"{error}. Install it: pip install numpy ai-edge-litert"]
        except Exception as error:  # whatever a damaged model leads to
            found = [f"model: it does not run: {type(error).__name__}: {error}"]
    print("\n".join(found) if found else "pass")
    return 1 if found else 0


def files(folder, expected=None):
    """Return, in words, which files differ from their hashes."""
    try:
        listed = (folder / SUMS).read_bytes()
    except OSError:
        return [f"{SUMS}: missing"]
    found = []
    if expected is not None and sha256(listed) != expected.lower():
        found.append(f"{SUMS}: changed, its hash is {sha256(listed)}")
    for line in listed.decode("utf-8", "replace").splitlines():
        wanted, _, name = line.partition("  ")
        try:
            if sha256((folder / name).read_bytes()) != wanted:
                found.append(f"{name}: changed")
        except OSError:
            found.append(f"{name}: missing")
    if not {FACTS, "check.py"} <= {
        line.partition("  ")[2] for line in listed.decode().splitlines()
    }:
        found.append(f"{SUMS}: not whole")
    return found


def answers(folder):
    """Return, in words, how the model's signature and its answers differ from what was kept."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    interpreter = Interpreter(str(folder / facts["file"]), num_threads=1)
    runner = interpreter.get_signature_runner(facts["signature"])
    found = []
    for kind, details in (
        ("inputs", runner.get_input_details()),
        ("outputs", runner.get_output_details()),
    ):
        wanted = {x["name"]: (x["shape"], x["dtype"]) for x in facts[kind]}
        made = {k: (x["shape"].tolist(), np.dtype(x["dtype"]).name) for k, x in details.items()}
        if made != wanted:
            found.append(f"{kind} {made}: must be {wanted}")
    if found:
        return found
    with np.load(folder / facts["golden"]["file"]) as arrays:
        golden = dict(arrays)
    for i in range(facts["golden"]["samples"]):
        given = {x["name"]: golden[f"input:{x['name']}"][i : i + 1] for x in facts["inputs"]}
        made = runner(**given)
        for name, x in made.items():
            text = difference(x, golden[f"output:{name}"][i : i + 1], facts["tolerances"])
            if text:
                found.append(f"output {name}, sample {i}: {text}")
    return found


def difference(made, wanted, tolerances):
    """Return in words how an answer differs from the one that was kept, or nothing."""
    import numpy as np

    if made.dtype.kind != "f":
        share = float((made == wanted).mean()) if wanted.size else 1.0
        least = tolerances["equal"]
        return "" if share >= least else f"{share:.3g} are equal, must be at least {least}"
    if (np.isfinite(made) != np.isfinite(wanted)).any():
        return "numbers that are none, or none where some were"
    fits = np.isfinite(wanted)
    error = float(np.abs(made[fits].astype("float64") - wanted[fits]).max(initial=0.0))
    most = tolerances["relative"] * float(np.abs(wanted[fits]).max(initial=0.0))
    return "" if error <= most else f"off by {error:.3g}, must be at most {most:.3g}"


def sha256(content):
    """Return the hash of bytes as text."""
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
