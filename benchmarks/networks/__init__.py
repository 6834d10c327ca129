"""Every network of `backbones` beside its published twin: the lists `NETWORKS` of this folder."""

import importlib
import pkgutil

NETWORKS = [
    network
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__))
    for network in getattr(importlib.import_module(f"benchmarks.networks.{module}"), "NETWORKS", [])
]
