"""What a graph costs: parameters and multiply-accumulates of each node, without running it on numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from crossband.blocks.sizes import evaluate
from crossband.graphs.builder import build
from crossband.graphs.plan import Plan


@dataclass(frozen=True)
class Cost:
    """Parameters of a network, and multiply-accumulates (MACs) for one image, in all and by node.

    MACs are those of convolutions and matrix products, half of what torch counts as floating-point
    operations; the rest (normalisation, activations, sums, Fourier transforms) is left out.
    """

    parameters: int
    macs: int
    node_parameters: Mapping[str, int]
    node_macs: Mapping[str, int]


def build_meta(plan: Plan) -> nn.Module:
    """The network of a plan on the meta device: shapes without numbers, and no time spent on drawing weights."""
    with torch.device("meta"):
        return build(plan)


def cost(plan: Plan, sizes: Mapping[str, int]) -> Cost:
    """The cost of a graph for one image, with these numbers for the symbols of its inputs, such as H and W.

    Weights that several nodes share count for the first. A wrapper's second pass is not counted.
    """
    inner = build_meta(replace(plan, wrap=()))
    assert isinstance(inner, fx.GraphModule)
    inputs = [
        torch.empty(1, *(int(evaluate(size, sizes)) for size in shape[1:]), device="meta")
        for shape in plan.inputs.values()
    ]
    counter = _Counter(inner)
    with torch.no_grad():
        counter.run(*inputs)
    parameters, macs = dict[str, int](), dict[str, int]()
    owner = {call.module: call.node for call in reversed(plan.calls)}
    for module, node in owner.items():
        own = sum(parameter.numel() for parameter in inner.get_submodule(module).parameters())
        parameters[node] = parameters.get(node, 0) + own
    for call, flops in zip(plan.calls, counter.flops, strict=True):  # the calls of the code are those of the plan
        macs[call.node] = macs.get(call.node, 0) + flops // 2
    whole = inner if not plan.wrap else build_meta(plan)
    total = sum(parameter.numel() for parameter in whole.parameters())
    return Cost(total, sum(macs.values()), parameters, macs)


class _Counter(fx.Interpreter):
    """Runs a network call by call and counts the floating-point operations of each."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network)
        self.flops: list[int] = []

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One block."""
        with FlopCounterMode(display=False) as counter:
            result = super().call_module(target, args, kwargs)
        self.flops.append(counter.get_total_flops())
        return result
