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
    from crossband.recipes.model.translation import translate as translate
    from crossband.recipes.model.translator import Translator as Translator
    from crossband.recipes.model.weights import load_network as load_network
    from crossband.recipes.model.weights import load_weights as load_weights
    from crossband.recipes.model.weights import save_weights as save_weights
    from crossband.recipes.training.runs import evaluate as evaluate
    from crossband.recipes.training.runs import load_run as load_run
    from crossband.recipes.training.runs import train as train
    from crossband.recipes.training.session import Interrupted as Interrupted
    from crossband.recipes.training.session import RunResult as RunResult

_HOMES = {
    "Interrupted": "training.session",
    "RunResult": "training.session",
    "check": "language.checker",
    "evaluate": "training.runs",
    "load_recipe": "language.reading",
    "load_network": "model.weights",
    "load_run": "training.runs",
    "load_weights": "model.weights",
    "recipe_schema": "language.schema",
    "save_weights": "model.weights",
    "shipped": "language.reading",
    "train": "training.runs",
    "translate": "model.translation",
    "Translator": "model.translator",
}
__all__ = [
    "Interrupted",
    "RunResult",
    "Translator",
    "check",
    "evaluate",
    "load_network",
    "load_recipe",
    "load_run",
    "load_weights",
    "recipe_schema",
    "save_weights",
    "shipped",
    "train",
    "translate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `crossband.recipes` has no attribute `{name}`")
    value = getattr(import_module(f"crossband.recipes.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
