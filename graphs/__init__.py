"""YAML text to a checked graph to an `nn.Module`; the shipped graphs are the YAML files beside this one.

The functions here are loaded on first use: reading and listing graphs does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossband.graphs.building.build import build as build
    from crossband.graphs.language.diagnostics import InvalidFile as InvalidFile
    from crossband.graphs.language.resolve import load_graph as load_graph
    from crossband.graphs.language.resolve import shipped as shipped
    from crossband.graphs.language.schema import graph_schema as graph_schema
    from crossband.graphs.language.serial import digest as digest
    from crossband.graphs.language.serial import dump as dump
    from crossband.graphs.picture.view import check as check

_HOMES = {
    "InvalidFile": "language.diagnostics",
    "build": "building.build",
    "check": "picture.view",
    "digest": "language.serial",
    "dump": "language.serial",
    "graph_schema": "language.schema",
    "load_graph": "language.resolve",
    "shipped": "language.resolve",
}
__all__ = ["InvalidFile", "build", "check", "digest", "dump", "graph_schema", "load_graph", "shipped"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `crossband.graphs` has no attribute `{name}`")
    value = getattr(import_module(f"crossband.graphs.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
