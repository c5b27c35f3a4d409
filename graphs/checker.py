"""The checker: walks a graph once on symbolic shapes and finds everything that is wrong with it.

No tensor runs. Channels are inferred, every argument is held to its schema, every shape follows from
the contracts, and the admissible image sizes come out. What is found broken makes what depends on it
unknown, not wrong, so that one mistake is one message.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import crossband.blocks  # noqa: F401  registers the blocks
from crossband import registry
from crossband.blocks.sizes import Shape, Size, symbol, symbols_of
from crossband.graphs.admissible import derive, possible
from crossband.graphs.diagnostics import Problems
from crossband.graphs.plan import Plan, Ref, Wrap
from crossband.graphs.resolve import Library
from crossband.graphs.state import Findings, Flow, Walk
from crossband.graphs.syntax import Graph, Step, Value
from crossband.graphs.values import Invalid, Scope
from crossband.graphs.walk import report_unused, run
from crossband.registry import near

BATCH = symbol("batch")


def check(source: str | Path | Graph, params: Mapping[str, Value] | None = None) -> Plan:
    """Check a graph, by shipped name, path or as a `Graph`, with other values for some params.

    Raises InvalidFile with every fault found.
    """
    problems = Problems()
    plan = check_into(source, problems, params)
    problems.raise_if_any()
    assert plan is not None
    return plan


def check_into(
    source: str | Path | Graph, problems: Problems, params: Mapping[str, Value] | None = None
) -> Plan | None:
    """As `check`, but faults are added to `problems`, and the answer is None where there are any."""
    library = Library(problems)
    before = len(problems)
    graph = source if isinstance(source, Graph) else library.load(str(source))
    if graph is None:
        return None
    for name in (name for name in params or {} if name not in graph.params):
        matches = near(name, graph.params)
        hint = f"did you mean `{matches[0]}`?" if matches else f"it has {', '.join(graph.params) or 'none'}"
        problems.add("E011", f"`{graph.name}` has no param `{name}`", graph.at("params"), hint)
    return _plan(Findings(library), graph.with_params(params or {})) if len(problems) == before else None


def _plan(findings: Findings, graph: Graph) -> Plan | None:
    """The plan of a whole graph, or None where something is wrong."""
    before = len(findings.problems)
    try:
        scope = Scope({}, findings.problems).params(graph.params, graph.at("params"))
        inputs = {name: _input(findings, graph, name, scope) for name in graph.inputs}
    except Invalid:
        return None
    _refuse_shadows(findings, graph)
    flows: dict[str, Flow | None] = {name: {name: (Ref(name), shape)} for name, shape in inputs.items()}
    walk = Walk(findings, graph, scope, flows, graph.blocks)
    outputs, resolved = run(walk)
    taps = _taps(findings, graph, walk)
    report_unused(walk)
    wrap = _wrap(findings, graph, scope)
    _report_impossible(findings)
    names = list(dict.fromkeys(name for shape in inputs.values() for size in shape[1:] for name in symbols_of(size)))
    sizes = derive((requirement.condition for requirement in findings.requirements), names)
    if len(findings.problems) == before and (empty := [axis.name for axis in sizes.axes.values() if axis.empty]):
        findings.problems.add("E033", f"no {empty[0]} passes through `{graph.name}`", graph.at("nodes"))
    if len(findings.problems) > before:
        return None
    wraps = {each.entry.name: Step(each.entry.name, each.arguments) for each in wrap}
    resolved = replace(resolved, blocks=findings.blocks, wrap=wraps, taps=graph.taps)
    ends = {name: found[0] for name, found in outputs.items() if found}
    return Plan(resolved, inputs, tuple(findings.calls), ends, taps, tuple(wrap), sizes)


def _input(findings: Findings, graph: Graph, name: str, scope: Scope) -> Shape:
    """The symbolic shape of an input of the whole graph."""
    place = graph.at("inputs", name)
    sizes: list[Size] = [BATCH]
    for number, item in enumerate(graph.inputs[name]):
        size = scope.value(item, place and place.child(number))
        if number == 0 and not isinstance(size, int):
            hint = "write `[3, H, W]`, or `[=channels, H, W]` with a param"
            findings.problems.add("E006", f"the channels of `{name}` must be a number, got `{size}`", place, hint)
            raise Invalid
        if isinstance(size, int) and size < 1:
            findings.problems.add("E006", f"a size of `{name}` must be at least 1, got {size}", place)
            raise Invalid
        sizes.append(size if isinstance(size, int) else symbol(str(size)))
    return tuple(sizes)


def _refuse_shadows(findings: Findings, graph: Graph) -> None:
    for name in (name for name in graph.blocks if name in registry.blocks):
        place = graph.at("blocks", name)
        findings.problems.add("E016", f"`{name}` is a registered block", place and place.on_key(), "take another name")


def _taps(findings: Findings, graph: Graph, walk: Walk) -> dict[str, Ref]:
    taps: dict[str, Ref] = {}
    for name, target in graph.taps.items():
        if name in graph.outputs:
            findings.problems.add("E041", f"`{name}` is an output already", graph.at("taps", name), "rename the tap")
        elif found := walk.look_up(str(target), graph.at("taps", name), "E041"):
            taps[name] = found[0]
    return taps


def _wrap(findings: Findings, graph: Graph, scope: Scope) -> list[Wrap]:
    found = []
    for name, step in graph.wrap.items():
        if step is None:
            continue
        if name not in registry.wrappers:
            matches = near(name, registry.wrappers)
            hint = f"did you mean `{matches[0]}`?" if matches else f"choose from {', '.join(registry.wrappers)}"
            findings.problems.add("E060", f"no wrapper named `{name}`", step.place, hint)
            continue
        place = step.place and step.place.child()
        try:
            entry = registry.wrappers[name]
            found.append(Wrap(entry, scope.arguments(entry, step.arguments, place), step.place))
        except Invalid:
            continue
    return found


def _report_impossible(findings: Findings) -> None:
    """Conditions on the image size that no size meets are mistakes, not rules."""
    for requirement in findings.requirements:
        if not possible(requirement.condition):
            hint = requirement.hint
            findings.problems.add(requirement.code, requirement.message, requirement.place, hint, requirement.notes)
