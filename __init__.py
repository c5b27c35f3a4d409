"""crossband: translate images between visible and infrared with networks and experiments written in YAML.

The front door, `crossband.load`, `train`, `table`, `check`, `build`, `list` and the decorators of plugins, is loaded on
first use: importing the package does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossband.blocks.contracts.block import block as block
    from crossband.blocks.contracts.block import wrapper as wrapper
    from crossband.graphs import build as build
    from crossband.graphs import check as check
    from crossband.graphs.building.multiscale import graph_wrapper as graph_wrapper
    from crossband.recipes.commands.listing import names as list  # noqa: F401
    from crossband.recipes.kinds.augmentation import augmentation as augmentation
    from crossband.recipes.kinds.function import function as function
    from crossband.recipes.kinds.loss import loss as loss
    from crossband.recipes.kinds.metric import metric as metric
    from crossband.recipes.kinds.optimizer import optimizer as optimizer
    from crossband.recipes.kinds.schedule import schedule as schedule
    from crossband.recipes.kinds.source import source as source
    from crossband.recipes.model.loading import load as load
    from crossband.recipes.model.model import Model as Model
    from crossband.recipes.reporting.comparison import TableRun as TableRun
    from crossband.recipes.training.runs import train as train
    from crossband.recipes.training.session import Run as Run
    from crossband.recipes.training.tables import table as table
    from crossband.registry import CrossbandError as CrossbandError
    from crossband.registry import add_files as add_files

__version__ = "0.1.0"
__all__ = [  # without `list`, which `from crossband import *` would put in the place of Python's own
    "CrossbandError",
    "Model",
    "Run",
    "TableRun",
    "__version__",
    "add_files",
    "augmentation",
    "block",
    "build",
    "check",
    "function",
    "graph_wrapper",
    "load",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "source",
    "table",
    "train",
    "wrapper",
]

_HOMES = {
    "CrossbandError": "registry",
    "Model": "recipes.model.model",
    "Run": "recipes.training.session",
    "TableRun": "recipes.reporting.comparison",
    "add_files": "registry",
    "augmentation": "recipes.kinds.augmentation",
    "block": "blocks.contracts.block",
    "build": "graphs",
    "check": "graphs",
    "function": "recipes.kinds.function",
    "graph_wrapper": "graphs.building.multiscale",
    "list": "recipes.commands.listing",
    "load": "recipes.model.loading",
    "loss": "recipes.kinds.loss",
    "metric": "recipes.kinds.metric",
    "optimizer": "recipes.kinds.optimizer",
    "schedule": "recipes.kinds.schedule",
    "source": "recipes.kinds.source",
    "table": "recipes.training.tables",
    "train": "recipes.training.runs",
    "wrapper": "blocks.contracts.block",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"crossband.{_HOMES[name]}"), "names" if name == "list" else name)
    raise AttributeError(f"module `crossband` has no attribute `{name}`")


def __dir__() -> Any:
    return sorted([*__all__, "list", "blocks", "graphs", "recipes", "registry"])
