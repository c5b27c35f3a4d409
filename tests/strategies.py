"""Strategies shared by the tests: blocks and symbolic sizes."""

from hypothesis import strategies as st

from crossband import registry
from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.sizes import Size, ceil_div, largest, smallest, symbol


def entries() -> st.SearchStrategy[BlockEntry]:
    """Any registered block."""
    return st.sampled_from(list(registry.blocks)).map(lambda name: registry.blocks[name])


@st.composite
def formulas(draw: st.DrawFn, depth: int = 4) -> tuple[Size, str]:
    """A symbolic size in `h` and `w`, and the same formula as Python text."""
    kind = draw(st.sampled_from(["number", "symbol", "add", "scale", "divide", "ceil", "remainder", "max", "min"]))
    if depth == 0 or kind in ("number", "symbol"):
        name = draw(st.sampled_from("hw"))
        number = draw(st.integers(-5, 5))
        return (symbol(name), name) if kind != "number" else (number, f"({number})")
    left, text = draw(formulas(depth - 1))
    if kind in ("add", "max", "min"):
        right, other = draw(formulas(depth - 1))
        return {
            "add": lambda: (left + right, f"({text} + {other})"),
            "max": lambda: (largest(left, right), f"max({text}, {other})"),
            "min": lambda: (smallest(left, right), f"min({text}, {other})"),
        }[kind]()
    k = draw(st.integers(1, 6))
    return {
        "scale": lambda: (left * (k - 3), f"({text} * {k - 3})"),
        "divide": lambda: (left // k, f"({text} // {k})"),
        "ceil": lambda: (ceil_div(left, k), f"(-(-{text} // {k}))"),
        "remainder": lambda: (left % k, f"({text} % {k})"),
    }[kind]()
