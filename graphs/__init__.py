"""YAML text to a checked graph to an `nn.Module`; the shipped graphs are the YAML files beside this one.

The functions here are loaded on first use: reading and listing graphs does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossband.graphs.builder import build as build
    from crossband.graphs.checker import check as check
    from crossband.graphs.diagnostics import InvalidFile as InvalidFile
    from crossband.graphs.resolve import load as load
    from crossband.graphs.resolve import shipped as shipped
    from crossband.graphs.schema import graph_schema as graph_schema
    from crossband.graphs.serial import digest as digest
    from crossband.graphs.serial import dump as dump

_HOMES = {
    "InvalidFile": "diagnostics",
    "build": "builder",
    "check": "checker",
    "digest": "serial",
    "dump": "serial",
    "graph_schema": "schema",
    "load": "resolve",
    "shipped": "resolve",
}
__all__ = ["InvalidFile", "build", "check", "digest", "dump", "graph_schema", "load", "shipped"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `crossband.graphs` has no attribute `{name}`")
    value = getattr(import_module(f"crossband.graphs.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
