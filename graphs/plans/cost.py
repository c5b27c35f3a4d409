"""The cost of a graph: parameters and multiply-accumulates of each node, computed on the meta device."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from crossband.blocks.contracts.sizes import evaluate
from crossband.graphs.plans.assembly import assemble
from crossband.graphs.plans.plan import Plan

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode


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


def count_parameters(plan: Plan) -> int:
    """The number of learned values of a network."""
    return sum(parameter.numel() for parameter in build_meta(plan).parameters())


def cost(plan: Plan, sizes: Mapping[str, int]) -> Cost:
    """The cost of a graph for one image, with these numbers for the symbols of its inputs, such as H and W.

    Weights that several nodes share count for the first. A wrapper's second pass is not counted.
    """
    from torch.utils.flop_counter import FlopCounterMode  # slow to import, and seldom needed

    inner = build_meta(replace(plan, wrap=())).eval()
    assert isinstance(inner, fx.GraphModule)
    inputs = [
        torch.empty(1, *(int(evaluate(size, sizes)) for size in shape[1:]), device="meta")
        for shape in plan.inputs.values()
    ]
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        counter = _Counter(inner, counted)
        counter.run(*inputs)
    parameters, macs = dict[str, int](), dict[str, int]()
    owner = {call.module: call.node for call in reversed(plan.calls)}
    for module, node in owner.items():
        own = sum(parameter.numel() for parameter in inner.get_submodule(module).parameters())
        parameters[node] = parameters.get(node, 0) + own
    for call, flops in zip(plan.calls, counter.flops, strict=True):  # the calls of the code are those of the plan
        macs[call.node] = macs.get(call.node, 0) + flops // 2
    return Cost(count_parameters(plan), sum(macs.values()), parameters, macs)


class _Counter(fx.Interpreter):
    """Runs a network call by call and records the floating-point operations of each."""

    def __init__(self, network: fx.GraphModule, counter: "FlopCounterMode") -> None:
        super().__init__(network)
        self.counter = counter
        self.flops: list[int] = []

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one block and record its operations."""
        before = self.counter.get_total_flops()
        result = super().call_module(target, args, kwargs)
        self.flops.append(self.counter.get_total_flops() - before)
        return result
