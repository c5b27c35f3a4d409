"""What outputs promise, held against what arrives."""

from collections.abc import Sequence
from dataclasses import replace

from crossband.blocks.sizes import Condition, Shape, Size, symbol
from crossband.graphs.explain import render_shape
from crossband.graphs.plan import Requirement
from crossband.graphs.state import Found, Walk
from crossband.graphs.syntax import Output, Value
from crossband.graphs.values import Invalid


def kept_output(walk: Walk, output: Output) -> tuple[Found | None, Output | None]:
    """The value of an output, held to the shape it promises, and the output free of expressions."""
    place = output.place
    from_place = place and (place.child("from") if isinstance(place.written(), dict) else place.on_key())
    value = walk.look_up(str(output.reads), from_place)
    try:
        promise = _promise(walk, output)
    except Invalid:
        return None, None
    if value is None or not _kept(walk, output, promise, value[1]):
        return None, None
    known = [walk.scope.names.get(item, item) if isinstance(item, str) else item for item in promise]
    shape = tuple(size if isinstance(size, int) else item for size, item in zip(known, promise, strict=True))
    return value, replace(output, shape=shape)


def _promise(walk: Walk, output: Output) -> list[Value]:
    place = output.place
    here = place and (place.child("shape") if isinstance(place.written(), dict) else place)
    return [walk.scope.value(item, here and here.child(number)) for number, item in enumerate(output.shape)]


def _kept(walk: Walk, output: Output, promise: Sequence[Value], shape: Shape) -> bool:
    """Whether a shape is what an output promises; where that depends on the image, it becomes a requirement."""
    text = "×".join(map(str, promise))
    message = f"`{output.name}` promises {text}, but `{output.reads}` is {render_shape(shape)}"
    if len(promise) != len(shape) - 1:
        walk.report("E040", message, output.place, f"a promise has {len(shape) - 1} axes here, batch aside")
        return False
    for axis, (item, size) in enumerate(zip(promise, shape[1:], strict=True), 1):
        wanted = _axis(walk, item)
        if wanted is None or size == wanted:
            continue
        condition = Condition(size - wanted, False, message, axis)
        if condition.certain is False:
            walk.report("E040", message, output.place, f"change `{output.reads}`, or what is promised")
            return False
        requirement = Requirement(condition, "E040", message, output.place, None, walk.notes)
        walk.findings.requirements.append(requirement)
    return True


def _axis(walk: Walk, item: Value) -> Size | None:
    """The size that an item of a promise stands for; None for a name that no input binds, which is free."""
    if isinstance(item, int):
        return item
    if item in walk.scope.names:
        return walk.scope.names[item]
    bound = {name for shape in walk.graph.inputs.values() for name in shape}
    return symbol(item) if item in bound else None
