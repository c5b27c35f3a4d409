"""Experiments as YAML: losses, data, metrics, the one training loop, checkpoints and the command line.

The functions here are loaded on first use: listing recipes does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossband.recipes.language.checker import check as check
    from crossband.recipes.language.reading import load_recipe as load_recipe
    from crossband.recipes.language.reading import shipped as shipped
    from crossband.recipes.language.schema import recipe_schema as recipe_schema
    from crossband.recipes.model.loading import load as load
    from crossband.recipes.model.model import Model as Model
    from crossband.recipes.model.weights import read_weights as read_weights
    from crossband.recipes.model.weights import save_weights as save_weights
    from crossband.recipes.reporting.comparison import TableRun as TableRun
    from crossband.recipes.training.runs import train as train
    from crossband.recipes.training.session import Run as Run
    from crossband.recipes.training.stopping import Interrupted as Interrupted
    from crossband.recipes.training.tables import table as table

_HOMES = {
    "Interrupted": "training.stopping",
    "Model": "model.model",
    "Run": "training.session",
    "TableRun": "reporting.comparison",
    "check": "language.checker",
    "load": "model.loading",
    "load_recipe": "language.reading",
    "read_weights": "model.weights",
    "recipe_schema": "language.schema",
    "save_weights": "model.weights",
    "shipped": "language.reading",
    "table": "training.tables",
    "train": "training.runs",
}
__all__ = [
    "Interrupted",
    "Model",
    "Run",
    "TableRun",
    "check",
    "load",
    "load_recipe",
    "read_weights",
    "recipe_schema",
    "save_weights",
    "shipped",
    "table",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `crossband.recipes` has no attribute `{name}`")
    value = getattr(import_module(f"crossband.recipes.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
