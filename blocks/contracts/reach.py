"""Reach: the span of rows of each input that one row of a block's output depends on.

With strides taken from the contracts, reaches add up to the receptive field of a graph. The span runs from the
first row to the last, holes of a dilation included, and is the same for columns. It is an upper bound where edges
or odd sizes make it smaller. By convention normalisation has the reach 1: its statistics are left out. A block
that declares no reach counts as unbounded, like a block that sees the whole image.
"""

import math
from collections.abc import Mapping
from typing import Any

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import ContractError, number


def reach_of(entry: BlockEntry, arguments: Mapping[str, Any], inputs: int = 1) -> tuple[float, ...]:
    """The reach into each of a block's inputs, `math.inf` where it is unbounded or not declared.

    Missing arguments take their defaults. Raises ContractError if the block declares another number of reaches.
    """
    defaults = {name: p.default for name, p in entry.parameters.items() if not p.required}
    arguments = {"inputs": inputs, **defaults, **arguments}
    declared: Any = entry.reach
    if callable(declared):
        declared = declared(**arguments)
    each: tuple[Any, ...] = declared if isinstance(declared, tuple) else (declared,) * inputs
    if len(each) != inputs:
        raise ContractError(f"`{entry.name}` declares the reach of {len(each)} inputs, got {inputs}")
    return tuple(_rows(value, arguments) for value in each)


def _rows(declared: float | str | None, arguments: Mapping[str, Any]) -> float:
    if declared is None:
        return math.inf
    return number(declared, arguments) if isinstance(declared, str) else declared
