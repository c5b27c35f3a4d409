"""Whether the weights of a network fit into memory, known before any of them is allocated."""

import torch

from crossband.graphs.language.diagnostics import InvalidFile, Problems
from crossband.graphs.plans.cost import meta_blocks
from crossband.graphs.plans.memory import memory_at_hand
from crossband.graphs.plans.plan import Plan

ELSEWHERE = "make it narrower, or build it on a machine with more memory"


def weight_bytes(plan: Plan) -> dict[str, int]:
    """The bytes of what each module of a plan keeps, its weights and buffers.

    Raises InvalidFile for what only the constructor of a block finds.
    """
    return {
        name: sum(each.nbytes for each in (*block.parameters(), *block.buffers()))
        for name, block in meta_blocks(plan).items()
    }


def shortage(plan: Plan) -> str | None:
    """Why the weights of a plan do not fit into the memory at hand, with both numbers; None where they do."""
    return _shortage(plan, weight_bytes(plan))


def _shortage(plan: Plan, weights: dict[str, int]) -> str | None:
    needed, free = sum(weights.values()), memory_at_hand(torch.get_default_device())
    if free is None or needed <= free:
        return None
    sizes = f"`{plan.graph.name}` takes {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are at hand"
    return f"the weights do not fit into memory: {sizes}"


def refuse_without_room(plan: Plan) -> None:
    """Raise InvalidFile where the weights of a plan do not fit into memory, at the block that has most of them."""
    weights = weight_bytes(plan)
    if message := _shortage(plan, weights):
        largest = max(plan.calls, key=lambda call: weights[call.module])
        note = f"`{largest.node}` has {weights[largest.module] / 1e9:,.1f} GB of them", None
        problems = Problems()
        problems.add("E032", message, largest.place, ELSEWHERE, [note, *largest.notes])
        raise InvalidFile(problems)
