"""Apply one step to known shapes: as the call of a block, or as the scope inside a local block."""

from collections.abc import Sequence
from typing import NoReturn

from crossband import registry
from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.sizes import Condition, Shape, Size, evaluate, symbols_of
from crossband.graphs.checking.explain import faults, render_shape
from crossband.graphs.checking.scope import Scope, check_choices
from crossband.graphs.checking.state import NodeOutputs, Use, Walk
from crossband.graphs.language.diagnostics import Hint, Reported
from crossband.graphs.language.limits import LARGEST_SIZE, MAX_DIVISIONS, USUAL_SIDE
from crossband.graphs.language.resolve import GRAPHS, shipped
from crossband.graphs.language.sites import label_of
from crossband.graphs.language.syntax import Graph, Notes, Step
from crossband.graphs.plans.plan import Call, Ref, Requirement
from crossband.registry import nearest, show, suggest

LISTED = "`crossband ls blocks` lists them; one of your own comes by `--plugin FILE`"


def call_block(walk: Walk, use: Use, entry: BlockEntry) -> tuple[NodeOutputs, Step]:
    """Call a registered block: record the call and return its outputs, and the step free of expressions."""
    arguments = walk.scope.noted(use.notes).arguments(entry, use.step.arguments, use.arguments_place)
    try:
        result = walk.findings.shapes_of(entry, use.shapes, arguments)
    except ContractError as error:
        walk.refuse("E024", f"{entry.name} {error}", use.place, _inputs_hint(use), use.notes)
    _require(walk, use, result.conditions)
    _refuse_giants(walk, use, result.outputs)
    complete = {**arguments, **result.inferred}
    if (there := walk.findings.modules.setdefault(use.module, complete)) != complete:
        _refuse_sharing(walk, use, [(name, there.get(name), value) for name, value in complete.items()])
    reads = tuple(ref for _, ref, _ in use.inputs)
    walk.findings.calls.append(
        Call(use.call, use.module, use.node, entry, complete, reads, result.outputs, use.place, use.notes)
    )
    outputs = zip(entry.outputs, result.outputs, strict=False)  # a block may give fewer than it has names for
    flow = {name: (Ref(use.call, index), shape) for index, (name, shape) in enumerate(outputs)}
    return flow, Step(entry.name, arguments)


def _refuse_sharing(walk: Walk, use: Use, arguments: Sequence[tuple[str, object, object]]) -> NoReturn:
    """Report weights that would not fit each of their uses; `arguments` have their values there and here."""
    name, found, wanted = next(each for each in arguments if each[1] != each[2])
    inferred = name in registry.blocks[use.step.block].inferred
    if node := use.shares:
        what = f"{found} channels" if inferred else f"`{name}` {show(found)}"
        message = f"`{node.name}` cannot share the weights of `{node.share}`: {use.step.block} has {what} there"
        message += f", here {wanted if inferred else show(wanted)}"
        walk.refuse("E030", message, node.place and node.place.child("share"), use.found, node.notes)
    change = "its channels" if inferred else f"`{name}`"
    message = f"{use.step.block} is shared, but {change} would change from one use to the next"
    walk.refuse("E030", message, use.place, use.found, use.notes)


def check_alone(walk: Walk, step: Step, notes: Notes) -> None:
    """Report faults in the name and arguments of a step whose inputs are unknown."""
    place = step.place and step.place.child()
    try:
        if block := walk.local_blocks.get(step.block):
            params_given(walk, Use(step, (), "", "", "", notes), block, notes)
        elif step.block in registry.blocks:
            walk.scope.noted(notes).arguments(registry.blocks[step.block], step.arguments, place)
        elif not GRAPHS.find(step.block, step.place and step.place.folder):
            refuse_unknown(walk, step, notes)
    except Reported:
        return


def refuse_unknown(walk: Walk, step: Step, notes: Notes) -> NoReturn:
    """Report that no block, local block or graph has this name."""
    name = step.block.removesuffix(".yaml").removesuffix(".yml")
    hint: Hint = lambda: suggest(name, [*walk.local_blocks, *registry.blocks, *shipped()], few=0) or LISTED  # noqa: E731
    if name != step.block and GRAPHS.find(name, step.place and step.place.folder):
        hint = f"write `{name}`: a graph is used as a block by its name"
    failures = tuple((failure, None) for failure in registry.plugin_failures)
    walk.refuse("E010", f"no block named `{step.block}`", step.place, hint, (*notes, *failures))


def refuse_shadows(walk: Walk, graph: Graph) -> None:
    """Report local blocks that have the name of a registered one."""
    for name in (name for name in graph.blocks if label_of(name) in registry.blocks):
        place = graph.blocks[name] and graph.at("blocks", name)
        message = f"`{label_of(name)}` is a registered block, a local block cannot have its name"
        walk.report("E016", message, place and place.on_key(), "take another name")


def params_given(walk: Walk, use: Use, graph: Graph, notes: Notes) -> Scope:
    """The scope of params inside a local block or graph; arguments are worked out in the scope where it is used."""
    place = use.arguments_place
    good = True
    given = {}
    for name, value in use.step.arguments.items():
        here = place and place.child(name)
        if name not in graph.params:
            hint = nearest(name, graph.params, otherwise="it has no params")
            message = f"`{use.step.block}` has no param `{name}`"
            walk.findings.problems.add("E011", message, here and here.on_key(), hint, use.notes)
            good = False
            continue
        try:
            given[name] = walk.scope.noted(use.notes).value(value, here)
        except Reported:
            good = False
    if not good:
        raise Reported
    scope = Scope(given, walk.findings.problems, notes)
    own = {name: value for name, value in graph.params.items() if name not in given}
    inside = scope.params(own, lambda name: graph.at("params", name))
    if check_choices(graph, given, lambda name: place and place.child(name), walk.findings.problems, use.notes):
        raise Reported
    return inside


def bind_inputs(
    walk: Walk, use: Use, graph: Graph, scope: Scope
) -> tuple[dict[str, Size], dict[str, tuple[int | str, ...]], Scope]:
    """The sizes that the inputs of a local block name, the inputs free of expressions, and the scope inside."""
    if len(use.inputs) != len(graph.inputs):
        wanted = " and ".join(f"`{name}`" for name in graph.inputs)
        message = f"`{use.step.block}` takes {len(graph.inputs)} inputs, {wanted}, got {len(use.inputs)}"
        walk.refuse("E024", message.replace(" 1 inputs", " 1 input"), use.place, _inputs_hint(use), use.notes)
    axes: dict[str, Size] = {}
    written: dict[str, tuple[int | str, ...]] = {}
    conditions: list[Condition] = []
    for number, (name, shape) in enumerate(zip(graph.inputs, use.shapes, strict=True)):
        place = graph.at("inputs", name)
        axes_of = graph.inputs[name]
        if axes_of is None:
            raise Reported  # it could not be read, which is reported
        written[name] = tuple(scope.size(item, place and place.child(axis)) for axis, item in enumerate(axes_of))
        if len(written[name]) != len(shape) - 1:
            form = ", ".join(map(str, written[name]))
            message = f"`{use.step.block}` takes `{name}` as [{form}], got {render_shape(shape)}"
            walk.refuse("E024", message, use.place, _inputs_hint(use), use.notes)
        for axis, (item, size) in enumerate(zip(written[name], shape[1:], strict=True), 1):
            wanted = axes.setdefault(item, size) if isinstance(item, str) else item
            if size != wanted:
                reason = f"`{name}` must have {wanted}, got {size}"
                conditions.append(Condition(size - wanted, False, reason, axis, number, wanted))
    _require(walk, use, conditions)
    return axes, written, scope.with_names(axes)


def _require(walk: Walk, use: Use, conditions: Sequence[Condition]) -> None:
    """Report conditions that no image size meets; record those that depend on the image size."""
    reads = [(name, shape) for name, _, shape in use.inputs]
    refused = [condition for condition in conditions if not walk.can_hold(condition)]
    if refused:
        for code, message, hint in faults(refused, use.step.block, reads):
            walk.findings.problems.add(code, message, use.place, hint, use.notes)
        raise Reported
    for condition in (condition for condition in conditions if condition.certain is None):
        [(code, message, hint)] = faults([condition], use.step.block, reads)
        walk.findings.requirements.append(Requirement(condition, code, message, use.place, hint, use.notes))


def _refuse_giants(walk: Walk, use: Use, shapes: Sequence[Shape]) -> None:
    """Report sizes that no memory holds, or that are too involved to be checked: both are typing errors."""
    for size in (size for shape in shapes for size in shape[1:]):
        if not isinstance(size, int) and size.depth > MAX_DIVISIONS:
            message = f"{use.step.block}: more than {MAX_DIVISIONS} changes of size in a row cannot be checked"
        elif evaluate(size, dict.fromkeys(symbols_of(size), USUAL_SIDE)) > LARGEST_SIZE:
            message = (
                f"{use.step.block}: its output would be larger than {LARGEST_SIZE} for an image of {USUAL_SIDE} pixels"
            )
        else:
            continue
        walk.refuse("E032", message, use.place, use.found, use.notes)


def _inputs_hint(use: Use) -> str:
    axes = {len(shape) for shape in use.shapes}
    makes = "; `TimeEmbedding` makes a vector of a number" * (1 in axes)
    makes += "; `Broadcast` makes a map of a vector" * (2 in axes)
    return f"{use.found}{makes}; say `from:` for what it reads" if use.inputs else "say `from:` for what it reads"
