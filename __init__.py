"""crossband: translate images between visible and infrared with networks and experiments written in YAML.

Names are loaded on first use, so that importing the package does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossband.graphs import build as build
    from crossband.graphs import check as check

__version__ = "0.1.0"
__all__ = ["__version__", "build", "check"]

_HOMES = {"build": "crossband.graphs", "check": "crossband.graphs"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module `crossband` has no attribute `{name}`")
