"""One step on known shapes: the call it becomes, or the scope of the local block it enters."""

from collections.abc import Sequence
from typing import NoReturn

from crossband import registry
from crossband.blocks.contract import ContractError
from crossband.blocks.shapes import shapes_of
from crossband.blocks.sizes import Condition, Size
from crossband.graphs.explain import condition_fault, render_shape
from crossband.graphs.plan import Call, Ref, Requirement
from crossband.graphs.resolve import find, shipped
from crossband.graphs.state import Flow, Use, Walk
from crossband.graphs.syntax import Graph, Notes, Step
from crossband.graphs.values import Invalid, Scope
from crossband.registry import Entry, near


def call_block(walk: Walk, use: Use, entry: Entry) -> tuple[Flow, Step]:
    """One call of a registered block."""
    arguments = walk.scope.arguments(entry, use.step.arguments, use.arguments_place)
    try:
        result = shapes_of(entry, use.shapes, arguments)
    except ContractError as error:
        walk.refuse("E024", f"{entry.name} {error}", use.place, use.found, use.notes)
    _require(walk, use, result.conditions)
    complete = {**arguments, **result.inferred}
    if walk.findings.modules.setdefault(use.module, complete) != complete:
        message = f"{entry.name} is shared, but its channels would change from one use to the next"
        walk.refuse("E030", message, use.place, use.found, use.notes)
    reads = tuple(ref for _, ref, _ in use.inputs)
    walk.findings.calls.append(
        Call(use.call, use.module, use.node, entry, complete, reads, result.outputs, use.place, use.notes)
    )
    outputs = zip(entry.facts["outputs"], result.outputs, strict=True)
    flow = {name: (Ref(use.call, index), shape) for index, (name, shape) in enumerate(outputs)}
    return flow, Step(entry.name, arguments)


def check_alone(walk: Walk, step: Step, notes: Notes) -> None:
    """Report what is wrong with a step whose inputs are unknown: its name and its arguments."""
    try:
        if step.block in registry.blocks and step.block not in walk.local_blocks:
            walk.scope.arguments(registry.blocks[step.block], step.arguments, step.place and step.place.child())
        elif step.block not in walk.local_blocks and not find(step.block, walk.folder):
            refuse_unknown(walk, step, notes)
    except Invalid:
        return


def refuse_unknown(walk: Walk, step: Step, notes: Notes) -> NoReturn:
    """Report that no block, local block or graph has this name."""
    matches = near(step.block, [*walk.local_blocks, *registry.blocks, *shipped()])
    hint = f"did you mean `{matches[0]}`?" if matches else "`crossband ls blocks` lists them"
    failures = tuple((failure, None) for failure in registry.plugin_failures)
    walk.refuse("E010", f"no block named `{step.block}`", step.place, hint, (*notes, *failures))


def params_given(walk: Walk, use: Use, graph: Graph, notes: Notes) -> Scope:
    """The params of a local block or graph, those given worked out where it is used."""
    place = use.arguments_place
    unknown = [name for name in use.step.arguments if name not in graph.params]
    for name in unknown:
        matches = near(name, graph.params)
        hint = f"did you mean `{matches[0]}`?" if matches else f"it has {', '.join(graph.params) or 'none'}"
        here = place and place.child(name).on_key()
        walk.findings.problems.add("E011", f"`{graph.name}` has no param `{name}`", here, hint, use.notes)
    if unknown:
        raise Invalid
    given = {name: walk.scope.value(value, place and place.child(name)) for name, value in use.step.arguments.items()}
    return Scope({}, walk.findings.problems, notes).params({**graph.params, **given}, graph.at("params"))


def bind_inputs(walk: Walk, use: Use, graph: Graph, scope: Scope) -> Scope:
    """The scope of a local block: its params, and its axes by what comes in."""
    if len(use.inputs) != len(graph.inputs):
        wanted = ", ".join(f"`{name}`" for name in graph.inputs)
        walk.refuse(
            "E024", f"`{graph.name}` takes {wanted}, got {len(use.inputs)} inputs", use.place, use.found, use.notes
        )
    axes: dict[str, Size] = {}
    conditions = []
    for number, (name, shape) in enumerate(zip(graph.inputs, use.shapes, strict=True)):
        place, written = graph.at("inputs", name), graph.inputs[name]
        if len(written) != len(shape) - 1:
            message = f"`{graph.name}` takes `{name}` with {len(written)} axes, got {render_shape(shape)}"
            walk.refuse("E024", message, use.place, use.found, use.notes)
        for axis, (item, size) in enumerate(zip(written, shape[1:], strict=True), 1):
            wanted = scope.value(item, place and place.child(axis - 1))
            wanted = axes.setdefault(wanted, size) if isinstance(wanted, str) else wanted
            if size != wanted:
                reason = f"`{name}` must have {wanted}, got {size}"
                conditions.append(Condition(size - wanted, False, reason, axis, number, wanted))
    _require(walk, use, conditions)
    return scope.with_names(axes)


def _require(walk: Walk, use: Use, conditions: Sequence[Condition]) -> None:
    """Report the conditions that certainly fail; keep those that depend on the image size."""
    reads = [(name, shape) for name, _, shape in use.inputs]
    failed = False
    for condition in conditions:
        code, message, hint = condition_fault(condition, use.step.block, reads)
        if condition.certain is False:
            walk.findings.problems.add(code, message, use.place, hint, use.notes)
            failed = True
        else:
            walk.findings.requirements.append(Requirement(condition, code, message, use.place, hint, use.notes))
    if failed:
        raise Invalid
