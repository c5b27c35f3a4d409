"""Messages for shapes that do not fit: expected, found, and a hint."""

from collections.abc import Sequence

from crossband.blocks.contracts.sizes import Condition, Shape, Size

FEW = 16  # names of a trail that are shown
MOST = 3  # faults of one block to report: more of them have one cause
LONG = 40  # characters of a size


def render_shape(shape: Shape) -> str:
    """A shape without its batch, as `64×H/2×W/2`; a number for each image has no more axes."""
    if len(shape) == 1:
        return "one number"
    return "×".join(_factor(size) for size in shape[1:])


def shapes_in_words(reads: Sequence[tuple[str, Shape]]) -> str:
    """Values and their shapes: `en5` is 512×H/16×W/16."""
    few = reads if len(reads) <= 2 * MOST else reads[:MOST]
    more = [f"and {len(reads) - MOST} more"] if len(few) < len(reads) else []
    return ", ".join([*(f"`{name}` is {render_shape(shape)}" for name, shape in few), *more])


def trail(names: Sequence[str], between: str) -> str:
    """Names joined by `between`; of many names the middle is left out."""
    few = names if len(names) <= FEW else [*names[:MOST], None, *names[-MOST:]]
    return between.join(f"`{name}`" if name else "..." for name in few)


def faults(
    conditions: Sequence[Condition], block: str, reads: Sequence[tuple[str, Shape]]
) -> list[tuple[str, str, str | None]]:
    """Code, message and hint for each condition of `block` that its inputs, by name and shape, do not meet.

    The height and the width of one input make one fault, and so do all empty outputs.
    """
    inputs = shapes_in_words(reads)
    found: dict[object, tuple[str, str, str | None]] = {}
    for condition in conditions:
        if len(found) > MOST:
            break
        if condition.input is None:
            empty = condition.axis is not None
            hint = f"{inputs}; {condition.hint}" if condition.hint else inputs
            found.setdefault("empty" if empty else condition.reason, ("E032", f"{block}: {condition.reason}", hint))
        elif condition.axis == 1:
            name = reads[condition.input][0]
            found[condition.input, 1] = _channels(condition, block, name, reads[condition.input][1], inputs)
        else:
            both = [each for each in conditions if each.input == condition.input and each.axis != 1]
            found[condition.input, 2] = _sides(both, block, reads, inputs)
    return list(found.values())[:MOST]


def _channels(condition: Condition, block: str, name: str, shape: Shape, inputs: str) -> tuple[str, str, str | None]:
    message = f"{block} needs {condition.wanted} channels from `{name}`, which has {shape[1]}"
    made = (
        f"Linear: {{out: {condition.wanted}}}" if len(shape) == 2 else f"Conv: {{out: {condition.wanted}, kernel: 1}}"
    )
    hint = f"`{{{made}}}` on `{name}` makes them agree"
    return "E030", message, f"{inputs}; {hint}"


def _sides(
    conditions: Sequence[Condition], block: str, reads: Sequence[tuple[str, Shape]], inputs: str
) -> tuple[str, str, str | None]:
    """The fault in the height, the width or both of one input."""
    name, shape = reads[conditions[0].input or 0]
    words = {2: "height", 3: "width"}
    side = "size" if len(conditions) > 1 else words.get(conditions[0].axis or 0, f"axis {conditions[0].axis}")
    wanted = "×".join(_factor(each.wanted or 0) for each in conditions)
    found = "×".join(_factor(shape[each.axis or 0]) for each in conditions)
    hint = "`ResizeTo` or `UpCat` brings the first of two to the size of the second"
    if all(each.wanted == 1 for each in conditions):
        hint = f"`GlobalPool` on `{name}` makes it so"
    elif len(reads) > 1 and found == "×".join("1" * len(conditions)):
        hint = f"`Broadcast` in front repeats `{name}` over the pixels of a map"
    elif len(reads) < 2:
        hint = "a strided `Conv`, a pool or `Resize` changes sizes"
    return "E031", f"{block} needs the {side} {wanted} from `{name}`, which has {found}", f"{inputs}; {hint}"


def _factor(size: Size) -> str:
    text = str(size)
    if len(text) > LONG:
        return f"{text[:LONG]}..."
    return f"({text})" if "+" in text or "-" in text[1:] else text
