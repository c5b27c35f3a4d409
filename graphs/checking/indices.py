"""What says which nodes there are, and how often a step is applied: conditions, counts and indices."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from crossband.graphs.checking.scope import Scope
from crossband.graphs.language.diagnostics import Place, Reported
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.expressions import names_in
from crossband.graphs.language.limits import MAX_REPEAT
from crossband.graphs.language.names import expressions_in, has_index
from crossband.graphs.language.syntax import Graph, Node, Step
from crossband.registry import show


def expressions_of(graph: Graph) -> list[YamlValue]:
    """The expressions that say which nodes there are, for a search of the names they use."""
    found: list[YamlValue] = []
    for each in (graph, *graph.patches):
        inserted = [insertion.node for insertion in each.insert.values()]
        nodes = [node for node in (*each.nodes.values(), *inserted) if node]
        steps = [step for node in nodes for step in node.steps]
        outputs = [output for output in each.outputs.values() if output]
        names = [*each.nodes, *each.outputs, *each.taps, *each.keep, *map(str, each.taps.values())]
        names += [read for node in nodes for read in (*(node.reads or ()), str(node.share))]
        names += [str(output.reads) for output in outputs] + [insertion.anchor for insertion in each.insert.values()]
        names += [str(item) for output in outputs for item in output.shape]
        found += expressions_in(names)
        found += [value for part in (*nodes, *steps) for value in (part.when, part.repeat)]
        found += [value for step in steps for value in step.arguments.values()]
        found += [item for output in outputs for item in output.shape]
        found += [value for node in nodes for value in (node.amends or {}).values()]
    return found


def is_dynamic(graph: Graph) -> bool:
    """Whether the nodes of a graph are known only once params have values."""
    return bool(graph.patches) or any(map(_is_dynamic, graph.nodes.values())) or _named_by_index(graph)


def _is_dynamic(node: Node | None) -> bool:
    if node is None:
        return False
    several = any(" or " in read or has_index(read) for read in node.reads or ())
    indexed = node.index or any(step.index for step in node.steps) or has_index(str(node.share))
    return bool(has_index(node.name) or node.when is not True or several or indexed)


def _named_by_index(graph: Graph) -> bool:
    ends = [*graph.outputs, *(str(output.reads) for output in graph.outputs.values() if output)]
    return any(has_index(name) or " or " in name for name in (*ends, *graph.taps, *map(str, graph.taps.values())))


def condition(scope: Scope, value: YamlValue, place: Place | None) -> bool:
    """Whether what stands after `if` is true. Raises Reported after reporting a fault."""
    found = scope.value(value, place)
    if not isinstance(found, bool):
        hint = "compare it, as in `if: =depth > 3`"
        message = f"`if` must be true or false, got {show(found)}"
        scope.problems.add("E006", message, place, hint, scope.notes)
        raise Reported
    return found


def repetitions(scope: Scope, value: YamlValue, place: Place | None) -> int:
    """The number that `repeat` gives. Raises Reported after reporting a fault."""
    count = scope.whole(value, place)
    if not isinstance(count, int) or not 0 <= count <= MAX_REPEAT:
        message = f"`repeat` must be a whole number from 0 to {MAX_REPEAT}, got {show(count)}"
        scope.problems.add("E006", message, place, None, scope.notes)
        raise Reported
    return int(count)  # a comparison such as `'en5' in places` counts as 0 or 1


def with_values(step: Step, scope: Scope, indices: Mapping[str, int]) -> Step:
    """The step with every value that uses an index worked out. Raises Reported after reporting a fault."""
    place = step.place and step.place.child()

    def known(value: Any, here: Place | None) -> Any:
        return scope.value(value, here) if names_in(value) & indices.keys() else value

    if not indices:
        return step
    arguments = {name: known(value, place and place.child(name)) for name, value in step.arguments.items()}
    return replace(step, arguments=arguments, repeat=known(step.repeat, step.place), when=known(step.when, step.place))


def reads_place(node: Node, number: int) -> Place | None:
    """The place where a node says what it reads: its `from`, or its own name if it has none."""
    if node.place is None:
        return None
    raw = node.place.written()
    written = raw.get("from") if isinstance(raw, dict) else None
    if written is None:
        return node.place.on_key()
    number = node.origins[number] if node.origins else number
    return node.place.child("from", number) if isinstance(written, list) else node.place.child("from")
