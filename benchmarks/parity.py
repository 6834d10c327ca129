"""Every network of `backbones` against what was published: `python -m benchmarks.parity`.

A row a network: parameters and multiply-adds of ours and of the twin in `keras.applications`, both
without classifier; the largest relative difference of the activations of every level, after the
twin's random weights went through a file in the published format; and the whole network, with its
classifier, beside its paper. Each network has a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

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


def line(cells):
    return "| " + " | ".join(cells) + " |"


def in_own_process(name):
    """Return `examine(name)`, run where the memory of the others is free again."""
    command = [sys.executable, "-m", "benchmarks.parity", "--only", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="examine one network")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()
    if args.only and args.json:
        print(json.dumps(examine(args.only)))
        return 0
    from benchmarks.networks import NETWORKS

    start, wrong = time.time(), []
    print(line(HEADER))
    print("|---" + "|---:" * (len(HEADER) - 1) + "|")
    for network in NETWORKS:
        if args.only in (None, network.name):
            found = in_own_process(network.name)
            print(line(row(found)), flush=True)
            wrong += [] if fits(found) else [network.name]
    print(f"\n{time.time() - start:.0f} s; unlike their twins: {', '.join(wrong) or 'none'}")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
