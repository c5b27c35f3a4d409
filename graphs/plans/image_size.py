"""Whether images of one size pass through a graph, and the nearest size that does."""

from collections.abc import Mapping

from crossband.blocks.contracts.sizes import Dim, evaluate
from crossband.graphs.language.diagnostics import Place, Problems
from crossband.graphs.plans.plan import Plan


def symbols_at(plan: Plan, height: int, width: int) -> dict[str, int]:
    """The values of the symbols of a graph's inputs, such as H and W, for images of this size."""
    found: dict[str, int] = {}
    for shape in plan.inputs.values():
        for size, side in zip(shape[2:], (height, width), strict=False):
            if isinstance(size, Dim):
                found |= dict.fromkeys(size.symbols, side)
    return found


def nearest(plan: Plan, height: int, width: int) -> dict[str, int]:
    """The values of the symbols for the nearest admissible size."""
    return plan.sizes.nearest(**symbols_at(plan, height, width))


def usual(plan: Plan) -> dict[str, int]:
    """The values of the symbols for the admissible size nearest to 256x256: the default size for costs."""
    return nearest(plan, 256, 256)


def size_text(plan: Plan, numbers: Mapping[str, int]) -> str:
    """The size of the first image among the inputs as `512x640`; empty if there is none."""
    return "x".join(str(evaluate(size, numbers)) for size in (plan.image or ())[2:])


def refuse_size(plan: Plan, height: int, width: int, problems: Problems, place: Place | None = None) -> bool:
    """Report E034, with the sizes that pass, if images of this size do not pass; return whether it was reported."""
    numbers = symbols_at(plan, height, width)
    inputs = [zip(shape[2:], (height, width), strict=False) for shape in plan.inputs.values()]
    fixed = all(evaluate(size, numbers) == side for sides in inputs for size, side in sides)
    if fixed and plan.sizes.admits(**numbers):
        return False
    closest = nearest(plan, height, width)
    hint = f"; nearest: {size_text(plan, closest)}" if plan.sizes.admits(**closest) else ""
    problems.add("E034", f"{height}x{width} does not pass through `{plan.graph.name}`", place, f"{plan.sizes}{hint}")
    return True
