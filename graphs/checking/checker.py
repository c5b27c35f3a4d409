"""The checker: walk a graph once on symbolic shapes and find every fault in it.

No tensor runs. Channels are inferred, every argument is validated against its schema, every shape follows from the
contracts, and the admissible image sizes are derived. Whatever depends on a fault is unknown, not wrong, so that one
mistake is one message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from crossband import registry
from crossband.blocks.contracts.sizes import Shape, symbol
from crossband.graphs.checking.apply import refuse_shadows
from crossband.graphs.checking.expand import expanded
from crossband.graphs.checking.indices import expressions_of
from crossband.graphs.checking.refused import fixed_sizes, refuse_fixed_sizes, refuse_hopeless
from crossband.graphs.checking.scope import PlaceOf, Scope, check_choices
from crossband.graphs.checking.state import Findings, NodeOutputs, Walk
from crossband.graphs.checking.usage import report_unused
from crossband.graphs.checking.walk import run
from crossband.graphs.language.diagnostics import InvalidFile, Problems, Reported
from crossband.graphs.language.document import YamlValue
from crossband.graphs.language.expressions import is_expression
from crossband.graphs.language.resolve import Resolver, pass_on
from crossband.graphs.language.syntax import Graph, Step
from crossband.graphs.plans.admissible import derive
from crossband.graphs.plans.cost import build_meta
from crossband.graphs.plans.plan import Plan, Ref, Wrap
from crossband.registry import correction, nearest, show

BATCH = symbol("the batch")  # no axis of a file can have this name


def check(source: str | Path | Graph, params: Mapping[str, YamlValue] | None = None) -> Plan:
    """Check a graph, by shipped name, path or as a `Graph`, with other values for some params.

    Raises InvalidFile with every fault found.
    """
    problems = Problems()
    return problems.value(check_into(source, problems, params))


def check_into(
    source: str | Path | Graph,
    problems: Problems,
    params: Mapping[str, YamlValue] | None = None,
    place_of: PlaceOf | None = None,
) -> Plan | None:
    """Like `check`, but add faults to `problems`, and return None if there are any.

    `place_of` says where a param was given: where a graph is right but for what it was given, that is to blame.
    """
    resolver = Resolver(Problems())
    graph = source if isinstance(source, Graph) else resolver.load(str(source))
    findings = Findings(resolver, lineage=dict(graph.lineage) if graph else {})
    plan = None
    if graph and _takes(findings, graph, params or {}, place_of):
        graph = graph.with_params(params or {})
        plan = _plan(findings, graph)
        if plan is None and (fixed := fixed_sizes(graph)):
            free = Findings(Resolver(Problems()))
            _plan(free, fixed.freed(graph))
            refuse_fixed_sizes(findings, free, graph, fixed)
    if plan and plan.wrap and not _wraps(plan, findings.problems):
        plan = None
    found = resolver.problems
    if plan is None and graph and params and place_of and (guilty := _to_blame(found, source, params, place_of)):
        found = guilty
    pass_on(found, problems, findings.origin)
    return plan


def _to_blame(
    found: Problems, source: str | Path | Graph, params: Mapping[str, YamlValue], place_of: PlaceOf
) -> Problems | None:
    """The first fault of a graph at the param that it is due to; None where the graph is wrong without it as well."""
    given = [place for name in params if (place := place_of(name))]
    if any(fault.place in (*given, *(place.on_key() for place in given)) for fault in found):
        return None  # which are told where they are given
    first = next(iter(found))
    for name, value in params.items():
        without = {other: kept for other, kept in params.items() if other != name}
        if check_into(source, Problems(), without) is None:
            continue
        problems = Problems()
        message = f"`{name}` cannot be {show(value)}: {first.message}"
        problems.add("E012", message, place_of(name), first.hint, [("in the graph, here", first.place)])
        return problems
    return None


def _wraps(plan: Plan, problems: Problems) -> bool:
    """Whether the wrappers of a graph accept its network, which only their constructors know; faults are reported."""
    try:
        build_meta(plan)
    except InvalidFile as error:
        pass_on(error.problems, problems, lambda _: ())
        return False
    return True


def _takes(findings: Findings, graph: Graph, params: Mapping[str, YamlValue], place_of: PlaceOf | None = None) -> bool:
    """Whether a graph has these params, and values of their type; faults are reported."""
    good = True
    for name, value in params.items():
        place, usual = place_of(name) if place_of else None, graph.params.get(name)
        if name not in graph.params:
            hint = nearest(name, graph.params, otherwise="it has no params")
            message = f"`{graph.name}` has no param `{name}`"
            findings.problems.add("E011", message, place.on_key() if place else graph.at("params"), hint)
            good = False
        elif _is_number(usual) and not _is_number(value) and not is_expression(value) and value is not None:
            message = f"`{name}` must be a number, got {show(value)}"
            name_of_param = isinstance(value, str) and value.isidentifier() and value == name
            hint = f"write `={value}` for the value of the param" if name_of_param else correction(value, "number")
            hint = hint or f"`{graph.name}` says {show(usual)}"
            findings.problems.add("E012", message, place or graph.at("params", name), hint)
            good = False
    return good


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plan(findings: Findings, graph: Graph) -> Plan | None:
    """The plan of a whole graph; None if it has faults."""
    scope = Scope({}, findings.problems).params(graph.params, lambda name: graph.at("params", name))
    wrong = check_choices(graph, scope.names, lambda name: graph.at("params", name), findings.problems)
    scope = replace(scope, broken=scope.broken | wrong)
    written = graph
    graph = expanded(graph, scope, whole=True)
    inputs = {name: _input(graph, name, scope) for name in graph.inputs}
    axes = {str(size): size for shape in inputs.values() if shape for size in shape[1:] if not isinstance(size, int)}
    flows: dict[str, NodeOutputs | None] = {
        name: {name: (Ref(name), shape)} if shape else None for name, shape in inputs.items()
    }
    wrap = wrappers_of(findings, graph, scope)
    graph = rewritten(graph, wrap)
    plain = {
        name: tuple(size if isinstance(size, int) else str(size) for size in (inputs[name] or ())[1:])
        for name in inputs
    }
    walk = Walk(findings, replace(graph, inputs=plain), scope.with_names(axes), flows, graph.blocks, axes)
    refuse_shadows(walk, graph)
    outputs, resolved = run(walk)
    taps = _taps(walk)
    report_unused(walk, graph, expressions_of(written))
    sizes = derive([requirement.condition for requirement in findings.requirements], list(axes))
    if not findings.problems:
        refuse_hopeless(findings, graph, sizes)
    if findings.problems or graph.partial:
        return None
    modules = tuple(each for each in wrap if not each.rewrites)
    resolved = replace(
        resolved,
        cite=tuple(dict.fromkeys((*graph.cite, *findings.cite))),
        blocks=findings.blocks,
        wrap={each.entry.name: Step(each.entry.name, each.arguments) for each in modules},
        taps={name: walk.read_name(str(target)) for name, target in graph.taps.items()},
    )
    ends = {name: found[0] for name, found in outputs.items() if found}
    shapes = {name: shape for name, shape in inputs.items() if shape}
    return Plan(resolved, shapes, tuple(findings.calls), ends, taps, modules, sizes)


def _input(graph: Graph, name: str, scope: Scope) -> Shape | None:
    """The symbolic shape of an input of the whole graph; None after reporting a fault."""
    place = graph.at("inputs", name)
    axes = graph.inputs[name]
    if axes is None:  # could not be read
        return None
    try:
        items = [scope.size(item, place and place.child(number)) for number, item in enumerate(axes)]
    except Reported:
        return None
    if items and not isinstance(items[0], int):
        rest = "" if len(items) == 1 else ", H, W"
        hint = f"write `[3{rest}]`, or `[=channels{rest}]` with a param"
        what = "length" if len(items) == 1 else "channels"
        message = f"the {what} of `{name}` must be a number, got `{items[0]}`"
        scope.problems.add("E006", message, place and place.child(0), hint)
        return None
    return BATCH, *(size if isinstance(size, int) else symbol(size) for size in items)


def _taps(walk: Walk) -> dict[str, Ref]:
    taps: dict[str, Ref] = {}
    for name, target in walk.graph.taps.items():
        place = walk.graph.at("taps", name)
        if name in walk.graph.outputs:
            walk.report("E041", f"`{name}` is an output already", place and place.on_key(), "rename the tap")
        elif found := walk.look_up(str(target), place, "E041"):
            taps[name] = found[0]
    return taps


def rewritten(graph: Graph, wrap: Sequence[Wrap]) -> Graph:
    """The graph after the wrappers that rewrite graphs."""
    for each in (each for each in wrap if each.rewrites):
        graph = each.entry.factory(graph, **each.arguments)
    return graph


def wrappers_of(findings: Findings, graph: Graph, scope: Scope) -> list[Wrap]:
    """The wrappers of a graph in order; faults are reported."""
    found = []
    for name, step in graph.wrap.items():
        if step is None:
            continue
        if name not in registry.wrappers:
            findings.problems.add("E060", f"no wrapper named `{name}`", step.place, nearest(name, registry.wrappers))
            continue
        place = step.place and step.place.child()
        try:
            entry = registry.wrappers[name]
            found.append(Wrap(entry, scope.arguments(entry, step.arguments, place), step.place))
        except Reported:
            continue
    return found
