"""Experiments as YAML: losses, data, metrics, the one training loop, checkpoints and the command line.

The functions here are loaded on first use: listing recipes does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossband.recipes.checker import check as check
    from crossband.recipes.checkpoint import load_network as load_network
    from crossband.recipes.checkpoint import load_weights as load_weights
    from crossband.recipes.checkpoint import save_weights as save_weights
    from crossband.recipes.format import load as load
    from crossband.recipes.format import shipped as shipped
    from crossband.recipes.runs import evaluate as evaluate
    from crossband.recipes.runs import load_run as load_run
    from crossband.recipes.runs import train as train
    from crossband.recipes.schema import recipe_schema as recipe_schema
    from crossband.recipes.session import Interrupted as Interrupted
    from crossband.recipes.session import RunResult as RunResult

_HOMES = {
    "Interrupted": "session",
    "RunResult": "session",
    "check": "checker",
    "evaluate": "runs",
    "load": "format",
    "load_network": "checkpoint",
    "load_run": "runs",
    "load_weights": "checkpoint",
    "recipe_schema": "schema",
    "save_weights": "checkpoint",
    "shipped": "format",
    "train": "runs",
}
__all__ = [
    "Interrupted",
    "RunResult",
    "check",
    "evaluate",
    "load",
    "load_network",
    "load_run",
    "load_weights",
    "recipe_schema",
    "save_weights",
    "shipped",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `crossband.recipes` has no attribute `{name}`")
    value = getattr(import_module(f"crossband.recipes.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
