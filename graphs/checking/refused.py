"""Report fixed image sizes that do not pass through a graph, and graphs through which no size passes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crossband.blocks.contracts.sizes import symbols_of
from crossband.graphs.checking.scope import Scope
from crossband.graphs.checking.state import Findings
from crossband.graphs.language.diagnostics import Problems, Reported
from crossband.graphs.language.syntax import Graph, Notes
from crossband.graphs.plans.admissible import SMALLEST, SizeRule, derive
from crossband.graphs.plans.plan import Requirement

SIZE_CODES = ("E031", "E032", "E040")


def refuse_hopeless(findings: Findings, graph: Graph, sizes: SizeRule) -> None:
    """Report E033 if no image passes, with the requirements that exclude each other."""
    if sizes.possible:
        return
    place = graph.at("nodes")
    empty = [axis for axis in sizes.axes.values() if axis.at_least(SMALLEST) is None]
    if not empty:  # only height and width together have no size
        message = f"no image passes through `{graph.name}`: {sizes}"
        findings.problems.add("E033", message, place and place.on_key(), "change what asks for this")
        return
    which = " and no ".join(axis.name for axis in empty)
    only = "" if all(axis.empty for axis in empty) else f", only {empty[0]}"
    notes = _clash(findings.requirements, empty[0].name)
    hint = "these two exclude each other" if len(notes) > 1 else "change what asks for this"
    message = f"no {which} passes through `{graph.name}`{only}"
    findings.problems.add("E033", message, place and place.on_key(), hint, notes)


def _clash(requirements: Sequence[Requirement], name: str) -> Notes:
    """Two requirements that exclude each other, as notes; or the last of the first few that do so together."""

    def excluded(some: Sequence[Requirement]) -> bool:
        return derive([each.condition for each in some], [name]).axes[name].at_least(SMALLEST) is None

    ours = [each for each in requirements if symbols_of(each.condition.size) == {name}]
    count = next(count for count in range(1, len(ours) + 1) if excluded(ours[:count]))
    last = ours[count - 1]
    pairs = ([each, last] for each in ours[: count - 1] if excluded([each, last]))
    return tuple((each.message, each.place) for each in next(pairs, [last]))


@dataclass(frozen=True)
class Fixed:
    """The heights and widths that inputs fix: for each input and axis, its number, and a new name for it."""

    numbers: Mapping[tuple[str, int], int]
    names: Mapping[tuple[str, int], str]

    def freed(self, graph: Graph) -> Graph:
        """The graph with the names in place of the numbers."""
        inputs = {
            name: shape and tuple(self.names.get((name, axis), item) for axis, item in enumerate(shape))
            for name, shape in graph.inputs.items()
        }
        return replace(graph, inputs=inputs)


def fixed_sizes(graph: Graph) -> Fixed | None:
    """The sizes that the inputs of a graph fix; None if they fix none."""
    scope = Scope({}, Problems()).params(graph.params)
    numbers: dict[tuple[str, int], int] = {}
    for name, shape in graph.inputs.items():
        for axis, item in enumerate((shape or ())[1:], 1):
            try:
                size = scope.size(item, None)
            except Reported:
                continue
            if isinstance(size, int) and size >= SMALLEST:
                numbers[name, axis] = size
    names = {(name, axis): f"{('height', 'width')[axis > 1]}{number}" for (name, axis), number in numbers.items()}
    return Fixed(numbers, names) if numbers else None


def refuse_fixed_sizes(findings: Findings, free: Findings, graph: Graph, fixed: Fixed) -> None:
    """Replace faults that are caused by a fixed size alone by one E034.

    `findings` are those of the graph as written, `free` those of the same graph with sizes left open. Faults of both
    are faults of the graph itself.
    """
    conditions = [
        each.condition
        for each in free.requirements
        if not (each.code == "E040" and isinstance(each.condition.wanted, int))  # an output promises that number too
    ]
    rule = derive(conditions, list(dict.fromkeys(fixed.names.values())))
    bad = {
        key: number
        for key, number in fixed.numbers.items()
        if not rule.axes[fixed.names[key]].admits(number) and not rule.axes[fixed.names[key]].empty
    }
    if not bad:
        return
    lasting = {(each.code, each.place) for each in free.problems}
    gone = [each for each in findings.problems if each.code in SIZE_CODES and (each.code, each.place) not in lasting]
    problems = Problems()
    for each in findings.problems:
        if each not in gone:
            problems.take(each)
    notes = tuple((each.message, each.place) for each in gone[:1])
    for (name, axis), number in bad.items():
        place, side = graph.at("inputs", name), ("height", "width")[axis > 1]
        own = rule.axes[fixed.names[name, axis]]
        message = f"the {side} {number} of `{name}` does not pass through `{graph.name}`"
        hint = f"{own}; nearest: {own.nearest(number)}"
        problems.add("E034", message, place and place.child(axis), hint, notes)
    findings.resolver.problems = problems
