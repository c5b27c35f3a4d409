"""Compare the shapes that outputs promise with the shapes that arrive."""

import re
from collections.abc import Sequence
from dataclasses import replace

from crossband.blocks.contracts.sizes import Condition, Shape, Size
from crossband.graphs.checking.explain import render_shape
from crossband.graphs.checking.scope import SHAPE
from crossband.graphs.checking.state import Found, Walk
from crossband.graphs.language.diagnostics import Reported
from crossband.graphs.language.syntax import ANY_SHAPE, Output
from crossband.graphs.plans.plan import Requirement
from crossband.registry import suggest

OTHER_SIZE = "give a size that differs from that of the inputs a name of its own: `[1, h, w]`"


def kept_output(walk: Walk, output: Output, named: dict[str, Size]) -> tuple[Found | None, Output | None]:
    """Check the promise of an output; return its value, and the output free of expressions, None where it is broken.

    `named` holds sizes by the names that only outputs use: the first output that uses a name defines its size.
    """
    value = _value(walk, output)
    try:
        promise = _promise(walk, output, len(value[1]) if value else 0)
    except Reported:
        return None, None
    if value is None or not _kept(walk, output, promise, value[1], named):
        return None, None
    return value, replace(output, shape=tuple(promise), reads=walk.read_name(str(output.reads)))


def _value(walk: Walk, output: Output) -> Found | None:
    name, place = str(output.reads), output.place
    if name == output.name and name not in walk.flows:  # it names no node and says nothing else

        def hint() -> str:
            return f"{suggest(name, walk.graph.nodes) or 'say which node it is'} (`from:`)"

        walk.report("E020", f"no node is named like the output `{name}`", place and place.on_key(), hint)
        return None
    written = place.written() if place else None
    says = isinstance(written, dict) and "from" in written
    return walk.look_up(name, place and (place.child("from") if says else place.on_key()))


def _promise(walk: Walk, output: Output, rank: int) -> list[int | str]:
    """The promised shape, free of expressions; new names for a shape of `rank` axes if any is promised."""
    place = output.place
    here = place and (place.child("shape") if isinstance(place.written(), dict) else place)
    if output.shape == ANY_SHAPE:
        return [f"{output.name}_{axis}" for axis in range(1, rank)]
    promise: list[int | str] = []
    for number, item in enumerate(output.shape):
        own = here and here.child(number)
        if isinstance(item, str) and item in walk.graph.params and item not in walk.axes:
            hint = f"write `={item}` for its value"
            walk.refuse("E006", f"`{item}` is a param, not a size that an input gives", own, hint, walk.notes)
        derived = isinstance(item, str) and re.search(rf"\b({'|'.join(walk.axes)})\b", item)
        promise.append(walk.scope.size(item, own, OTHER_SIZE if derived else SHAPE))
    return promise


def _kept(walk: Walk, output: Output, promise: Sequence[int | str], shape: Shape, named: dict[str, Size]) -> bool:
    """Whether a shape is the promised one. If that depends on the image size, record a requirement."""
    text = "×".join(map(str, promise)) or "one number"
    message = f"`{output.name}` promises {text}, but `{output.reads}` is {render_shape(shape)}"
    hint = f"change `{output.reads}`, or promise [{', '.join(map(_writable, range(len(shape) - 1), shape[1:]))}]"
    if len(promise) != len(shape) - 1:
        walk.report("E040", message, output.place, hint)
        return False
    for axis, (item, size) in enumerate(zip(promise, shape[1:], strict=True), 1):
        wanted = (
            item if isinstance(item, int) else walk.axes[item] if item in walk.axes else named.setdefault(item, size)
        )
        if size == wanted:
            continue
        condition = Condition(size - wanted, False, message, axis, None, wanted)
        if item in named:
            hint = f"`{item}` is {wanted} in an output above; another size needs another name"
        if not walk.can_hold(condition):
            walk.report("E040", message, output.place, hint)
            return False
        requirement = Requirement(condition, "E040", message, output.place, hint, walk.notes)
        walk.findings.requirements.append(requirement)
    return True


def _writable(axis: int, size: Size) -> str:
    """A size as a promise can be written: a number, a name of the inputs, or else a new name."""
    return str(size) if re.fullmatch(r"\w+", str(size)) else ("c", "h", "w")[min(axis, 2)]
