"""The cost of a graph: parameters and multiply-accumulates of each node, computed on the meta device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from crossband.blocks.contracts.sizes import evaluate
from crossband.graphs.plans.assembly import assemble, reported
from crossband.graphs.plans.plan import Plan


@dataclass(frozen=True, repr=False)
class Cost:
    """Parameters of a network, and multiply-accumulates (MACs) for one image, in total and by node.

    MACs are those of convolutions and matrix products, half of what torch counts as floating-point
    operations; the rest (normalisation, activations, sums, Fourier transforms) is left out.
    """

    parameters: int
    macs: int
    node_parameters: Mapping[str, int]
    node_macs: Mapping[str, int]

    def __repr__(self) -> str:
        return f"<Cost: {self.parameters:,} parameters, {self.macs:,} MACs, {len(self.node_macs)} nodes>"


def build_meta(plan: Plan) -> nn.Module:
    """Build the network of a plan on the meta device: shapes without values, and no time spent on drawing weights."""
    with torch.device("meta"):
        return assemble(plan)


def meta_blocks(plan: Plan) -> dict[str, nn.Module]:
    """A block on the meta device for each module of a plan, by name, in eval. Modules that are alike share one.

    Raises InvalidFile for what only the constructor of a block finds.
    """
    alike: dict[tuple[str, str], nn.Module] = {}
    found: dict[str, nn.Module] = {}
    with torch.device("meta"):
        for name, call in {call.module: call for call in reversed(plan.calls)}.items():
            key = call.entry.name, repr(call.arguments)
            if key not in alike:
                with reported("E012", call.place, call.notes):
                    alike[key] = call.entry.factory(**call.arguments).eval()
            found[name] = alike[key]
    return found


def count_parameters(plan: Plan) -> int:
    """The number of learned values of a network."""
    return sum(map(_learned, [build_meta(plan)] if plan.wrap else meta_blocks(plan).values()))


def _learned(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def cost(plan: Plan, sizes: Mapping[str, int]) -> Cost:
    """The cost of a graph for one image, with these numbers for the symbols of its inputs, such as H and W.

    Weights that several nodes share count for the first. A wrapper's second pass is not counted.
    """
    blocks = meta_blocks(plan)
    shapes = {
        name: [(1, *(int(evaluate(size, sizes)) for size in shape[1:])) for shape in given]
        for name, given in plan.shapes.items()
    }
    owner = {call.module: call.node for call in reversed(plan.calls)}
    parameters, macs = dict.fromkeys(owner.values(), 0), dict[str, int]()
    for module, node in owner.items():
        parameters[node] += _learned(blocks[module])
    counted: dict[tuple[Any, ...], int] = {}  # calls of blocks that are alike, with inputs of the same sizes
    for call in plan.calls:
        block, inputs = blocks[call.module], tuple(shapes[ref.source][ref.index] for ref in call.reads)
        if (key := (block, inputs)) not in counted:
            counted[key] = _operations(block, inputs)
        macs[call.node] = macs.get(call.node, 0) + counted[key] // 2
    total = count_parameters(plan) if plan.wrap else sum(parameters.values())
    return Cost(total, sum(macs.values()), parameters, macs)


def _operations(block: nn.Module, shapes: Sequence[tuple[int, ...]]) -> int:
    """The floating-point operations of a block on the meta device, for inputs of these shapes."""
    from torch.utils.flop_counter import FlopCounterMode  # slow to import, and seldom needed

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(*(torch.empty(shape, device="meta") for shape in shapes))
    return counter.get_total_flops()
