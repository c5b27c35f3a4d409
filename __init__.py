"""crossband: translate images between visible and infrared with networks and experiments written in YAML.

Names are loaded on first use, so that importing the package does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossband.blocks.contracts.block import block as block
    from crossband.blocks.contracts.block import wrapper as wrapper
    from crossband.graphs import build as build
    from crossband.graphs import check as check
    from crossband.graphs.building.multiscale import graph_wrapper as graph_wrapper
    from crossband.recipes.kinds.function import function as function
    from crossband.recipes.kinds.loss import loss as loss
    from crossband.recipes.kinds.metric import metric as metric
    from crossband.recipes.kinds.optimizer import optimizer as optimizer
    from crossband.recipes.kinds.schedule import schedule as schedule
    from crossband.recipes.kinds.source import source as source

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "block",
    "build",
    "check",
    "function",
    "graph_wrapper",
    "loss",
    "metric",
    "optimizer",
    "schedule",
    "source",
    "wrapper",
]

_HOMES = {
    "block": "crossband.blocks.contracts.block",
    "build": "crossband.graphs",
    "check": "crossband.graphs",
    "function": "crossband.recipes.kinds.function",
    "graph_wrapper": "crossband.graphs.building.multiscale",
    "loss": "crossband.recipes.kinds.loss",
    "metric": "crossband.recipes.kinds.metric",
    "optimizer": "crossband.recipes.kinds.optimizer",
    "schedule": "crossband.recipes.kinds.schedule",
    "source": "crossband.recipes.kinds.source",
    "wrapper": "crossband.blocks.contracts.block",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module `crossband` has no attribute `{name}`")
