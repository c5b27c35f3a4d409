"""A checked graph as a table: the blocks, outputs and costs of each node; and as facts about the whole."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from crossband.blocks.contracts.sizes import Shape, evaluate
from crossband.graphs.checking.explain import render_shape
from crossband.graphs.language.serial import digest
from crossband.graphs.language.syntax import Node
from crossband.graphs.plans.cost import Cost, cost
from crossband.graphs.plans.image_size import size_text
from crossband.graphs.plans.plan import Plan, Ref
from crossband.graphs.plans.receptive import receptive_fields

HEADINGS = ("node", "blocks", "output", "parameters", "MACs", "field")
RIGHT = HEADINGS[3:]  # columns of numbers


@dataclass(frozen=True)
class Row:
    """One node: its blocks, the values that others read from it, and its costs."""

    node: str
    blocks: str
    shapes: tuple[Shape, ...]
    parameters: int
    macs: int
    field: float


@dataclass(frozen=True)
class Survey:
    """The table and facts of a graph. Costs are for images of the sizes in `numbers`, such as H and W.

    Shapes are formulas, or with `exact` numbers for these sizes.
    """

    plan: Plan
    numbers: Mapping[str, int]
    exact: bool = False

    @cached_property
    def cost(self) -> Cost:
        """Parameters and multiply-accumulates."""
        return cost(self.plan, self.numbers)

    @cached_property
    def rows(self) -> Sequence[Row]:
        """Each node of the graph, in the order in which they run."""
        return _rows(self.plan, self.cost)

    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text, below HEADINGS."""
        return [
            (
                row.node,
                row.blocks,
                ", ".join(map(self.shown, row.shapes)),
                f"{row.parameters:,}" if row.parameters else "",
                _short(row.macs),
                "all" if row.field == math.inf else str(int(row.field) or ""),
            )
            for row in self.rows
        ]

    def facts(self) -> dict[str, str]:
        """Facts about the whole graph, by name; empty ones do not apply."""
        plan, size = self.plan, size_text(self.plan, self.numbers)
        return {
            "parameters": f"{self.cost.parameters:,}",
            "MACs": f"{_short(self.cost.macs) or 0}" + (f" for an image of {size}" if size else ""),
            "sizes": str(plan.sizes),
            "inputs": ", ".join(f"{name} {self.shown(shape)}" for name, shape in plan.inputs.items()),
            "outputs": self._listed(plan.outputs),
            "taps": self._listed(plan.taps),
            "ranges": ", ".join(f"{name} {found}" for name, found in plan.ranges().items()),
            "wrap": ", ".join(wrap.entry.name for wrap in plan.wrap),
            "cite": ", ".join(plan.graph.cite),
            "digest": digest(plan.graph),
        }

    def shown(self, shape: Shape) -> str:
        """A shape as text, without the batch."""
        sizes = [evaluate(size, self.numbers) for size in shape[1:]]
        return render_shape((shape[0], *sizes) if self.exact else shape)

    def _listed(self, refs: Mapping[str, Ref]) -> str:
        return ", ".join(f"{name} {self.shown(self.plan.shape(ref))}" for name, ref in refs.items())


def _rows(plan: Plan, price: Cost) -> list[Row]:
    fields, read = receptive_fields(plan), _read(plan)
    rows = []
    for node, calls in plan.by_node():
        values = read.get(node, [Ref(calls[-1].name)])
        blocks = _blocks(plan.graph.nodes[node])
        shapes = tuple(plan.shape(value) for value in values)
        field = max(fields[value.source] for value in values)
        rows.append(Row(node, blocks, shapes, price.node_parameters.get(node, 0), price.node_macs[node], field))
    return rows


def _read(plan: Plan) -> dict[str, list[Ref]]:
    """The values of each node that are read outside of it."""
    node = {call.name: call.node for call in plan.calls}
    outside = [ref for call in plan.calls for ref in call.reads if node.get(ref.source) != call.node]
    found: dict[str, list[Ref]] = {}
    for ref in dict.fromkeys([*outside, *plan.outputs.values(), *plan.taps.values()]):
        if ref.source in node:
            found.setdefault(node[ref.source], []).append(ref)
    return found


def _blocks(node: Node | None) -> str:
    """The blocks of a node in order, repeated ones as `CrissCross ×2`."""
    assert node is not None  # a checked graph has no removed nodes left
    if isinstance(node.share, str):
        return f"as {node.share}, with its weights"
    names = [step.block + (f" ×{step.repeat}" if step.repeat != 1 else "") for step in node.steps]
    text = ", ".join(names) if len(names) == 1 or node.repeat == 1 else f"({', '.join(names)})"
    return f"{text} ×{node.repeat}" if node.repeat != 1 else text


def _short(number: int) -> str:
    """A large number to three digits, `58.6 G`; nothing for zero."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            value = number / size
            return f"{value:.{max(0, 2 - int(math.log10(value)))}f} {unit}"
    return str(number) if number else ""
