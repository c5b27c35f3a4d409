"""The words for shapes that do not fit: what was expected, what was found, what would be right."""

from collections.abc import Sequence

from crossband.blocks.sizes import Condition, Shape, Size


def render_shape(shape: Shape) -> str:
    """A shape without its batch, as `64×H/2×W/2`."""
    return "×".join(_factor(size) for size in shape[1:])


def condition_fault(
    condition: Condition, block: str, reads: Sequence[tuple[str, Shape]]
) -> tuple[str, str, str | None]:
    """Code, message and hint for a condition of `block` that its inputs, by name and shape, do not meet."""
    inputs = ", ".join(f"`{name}` is {render_shape(shape)}" for name, shape in reads)
    if condition.input is None:
        code = "E031" if condition.axis is not None else "E032"
        return code, f"{block}: {condition.reason}", inputs
    name, shape = reads[condition.input]
    found = shape[condition.axis or 0]
    if condition.axis == 1:
        message = f"{block} needs {condition.wanted} channels from `{name}`, which has {found}"
        return (
            "E030",
            message,
            f"{inputs}; `{{Conv: {{out: {condition.wanted}, kernel: 1}}}}` on `{name}` makes them agree",
        )
    side = {2: "height", 3: "width"}.get(condition.axis or 0, f"axis {condition.axis}")
    message = f"{block} needs the {side} {condition.wanted} from `{name}`, which has {found}"
    return "E031", message, f"{inputs}; `ResizeTo` or `UpCat` brings the first of two to the size of the second"


def _factor(size: Size) -> str:
    text = str(size)
    return f"({text})" if "+" in text or "-" in text[1:] else text
