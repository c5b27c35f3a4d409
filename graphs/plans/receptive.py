"""Receptive fields: how many rows of an input one row of each value depends on.

A block with a reach of `reach` rows widens the field by `reach - 1` rows of its input. A row of a value with H/4 rows
counts as 4 rows of the graph's input. A join has the widest field of its inputs. Columns are taken to be like rows;
the holes of a dilation count as seen. See `crossband.blocks.contracts.reach` for the reach of a block.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TypeAlias

from crossband.blocks.contracts.reach import reach_of
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import NotPeriodic, Shape, Size, period, symbol, symbols_of
from crossband.graphs.plans.plan import Plan, Ref

Field: TypeAlias = tuple[
    Fraction | float, Fraction | float
]  # rows seen, and rows of the input in the coarsest row on the way
ROWS = 2  # the axis of the height in `b c h w`


def receptive_fields(plan: Plan) -> Mapping[str, float]:
    """The rows that one row of each input and call depends on, by name; `math.inf` for all rows, or if unknown.

    With several inputs it is the widest field in any of them, each counted in rows of that input. Vectors and numbers
    have no rows: what depends on nothing else has the field 0.
    """
    shapes = plan.shapes if _symbolic(plan) else _freed(plan)
    rows = {name: shapes[name][0][ROWS] if len(shapes[name][0]) > ROWS else 1 for name in plan.inputs}
    fields: dict[str, dict[str, Field]] = {name: {name: (Fraction(1), Fraction(1))} for name in plan.inputs}
    fields |= {name: {} for name in plan.inputs if len(shapes[name][0]) <= ROWS}
    for call in plan.calls:
        found = fields.setdefault(call.name, {})
        reaches = reach_of(call.entry, call.arguments, len(call.reads))
        for ref, reach in zip(call.reads, reaches, strict=True):
            for source, field in fields[ref.source].items():
                wider = _widened(field, reach, _worth(shapes, ref, rows[source]))
                found[source] = max(found.get(source, wider), wider)
    widest = {name: [field for field, _ in found.values()] for name, found in fields.items()}
    return {name: max(map(_whole, found), default=0) for name, found in widest.items()}


def _widened(field: Field, reach: float, worth: Fraction | float) -> Field:
    """The field of a block with this reach on a value whose rows are worth `worth` rows of the input each.

    If the value was enlarged from coarser rows, the reach may cross their borders, so whole coarse rows are counted.
    """
    width, coarsest = field[0], max(field[1], worth)
    if reach == 1 or math.inf in (reach, worth, width):
        return (width if reach == 1 else math.inf), coarsest
    return width + math.ceil((Fraction(reach) - 1) * worth / coarsest) * coarsest, coarsest


def _worth(shapes: Mapping[str, tuple[Shape, ...]], ref: Ref, rows: Size) -> Fraction | float:
    """How many rows of an input one row of a value is worth, in a large image."""
    shape = shapes[ref.source][ref.index]
    if len(shape) <= ROWS or isinstance(rows, int):
        return math.inf
    try:
        every, rise = period(shape[ROWS], *symbols_of(rows))
    except NotPeriodic:
        return math.inf
    return Fraction(every, rise) if rise > 0 else math.inf


def _symbolic(plan: Plan) -> bool:
    return all(not isinstance(size, int) for shape in plan.inputs.values() for size in shape[ROWS:])


def _freed(plan: Plan) -> dict[str, tuple[Shape, ...]]:
    """The shapes of a graph with fixed input sizes, computed with symbols in their place to find the strides."""
    found: dict[str, tuple[Shape, ...]] = {
        name: ((*shape[:ROWS], *(symbol(f"size_{size}") for size in shape[ROWS:])),)
        for name, shape in plan.inputs.items()
    }
    for call in plan.calls:
        inputs = [found[ref.source][ref.index] for ref in call.reads]
        found[call.name] = shapes_of(call.entry, inputs, call.arguments).outputs
    return found


def _whole(field: Fraction | float) -> float:
    return math.inf if field == math.inf else math.ceil(field)
