"""Every network of `backbones` against what was published: `python -m benchmarks.parity`.

A row a network: parameters and multiply-adds of ours and of the twin in `keras.applications`, both
without classifier; the largest relative difference of the activations of every level, after the
twin's random weights went through a file in the published format; and the whole network, with its
classifier, beside its paper. Each network has a process of its own; what is done is kept in
runs/parity.jsonl, so that the command goes on where it was stopped.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from benchmarks.kept import Kept, line, table

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

KEPT = Kept("parity")

HEADER = (
    "network",
    "params: ours",
    "twin",
    "MACs: ours",
    "twin",
    "largest difference",
    "whole network: params",
    "paper",
    "MACs",
    "paper",
)
LARGEST = 1e-4


def examine(name):
    """Return what there is to say of one network, as plain data."""
    from benchmarks.networks import NETWORKS
    from benchmarks.networks.network import compare, facts

    (network,) = [each for each in NETWORKS if each.name == name]
    found = {"name": name, "side": network.side, "trained": network.trained}
    if network.twin:
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs, levels = compare(network, network.side, folder)
        found |= {"ours": vars(ours), "theirs": vars(theirs), "levels": levels}
    whole = facts(network.whole())
    found["whole"] = vars(whole)
    found["paper"] = {"params": network.paper_params, "macs": network.paper_macs}
    return found


def fits(found):
    """Return whether a network equals its twin, where it has one."""
    if "ours" not in found:
        return True
    return found["ours"] == found["theirs"] and max(found["levels"].values()) <= LARGEST


def row(found):
    ours, theirs, whole, paper = (
        found.get(key, {}) for key in ("ours", "theirs", "whole", "paper")
    )
    levels = found.get("levels")
    return (
        f"{found['name']} @{found['side']}",
        number(ours.get("params")),
        number(theirs.get("params")),
        number(ours.get("macs")),
        number(theirs.get("macs")),
        f"{max(levels.values()):.1e}" if levels else "",
        number(whole["trained" if found["trained"] else "params"]),
        number(paper["params"]),
        number(whole["macs"]),
        number(paper["macs"]),
    )


def number(value):
    return "" if value is None else f"{value:,.0f}"


def in_own_process(name):
    """Examine a network where the memory of the others is free again."""
    command = [sys.executable, "-m", "benchmarks.parity", "--only", name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")


def results(names):
    for name in names:
        if name not in KEPT.all():
            in_own_process(name)
        yield KEPT.all()[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="examine this network again, here and now")
    args = parser.parse_args()
    if args.only:
        start = time.time()
        found = examine(args.only)
        KEPT.add({**found, "seconds": time.time() - start})
        print(line(row(found)))
        return not fits(found)
    from benchmarks.networks import NETWORKS

    names = [network.name for network in NETWORKS]
    table(HEADER, map(row, results(names)))
    found = [KEPT.all()[name] for name in names]
    wrong = [each["name"] for each in found if not fits(each)]
    print(f"\n{sum(each['seconds'] for each in found):.0f} s; all in {KEPT.path}")
    print(f"unlike their twins: {', '.join(wrong) or 'none'}")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
