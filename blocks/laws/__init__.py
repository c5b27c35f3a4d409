"""What holds a block to its word. In: the name of a block. Out: how often each law was tried, or a law that it breaks.

    from crossband.blocks.laws import check_laws

    def test_my_block():
        check_laws("MyBlock")

Hypothesis draws arguments from the types and bounds of the parameters, and shapes from the contract and its
conditions. What cannot be guessed is given as examples, with the block or here: values of some of its parameters,
and sizes of some axes of its contract, `{"heads": 4, "c": 64, "h": 32}`; the others are drawn. A failure names the
law and the simplest call that breaks it, as Python to be copied. Needs the package hypothesis.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from crossband import registry
from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.laws.holding import (
    Hopeless,
    LawBroken,
    NothingDrawn,
    Refusals,
    chosen,
    hold_drawn,
    nothing_drawn,
    tolerated,
)
from crossband.blocks.laws.laws import LAWS, declares_randomness, measured_reach, runs_as_promised
from crossband.registry import CrossbandError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from crossband.blocks.laws.examples import Example

__all__ = ["LAWS", "LawBroken", "NothingDrawn", "check_laws", "declares_randomness", "measured_reach"]

SLOW = {"export"}  # tried on one example only
BULKY = {"exact"}  # whose examples take so many draws that a simpler one is not worth its search
SEARCHED = 500  # refused inputs among which one is looked for that would run


def check_laws(
    block: str | type[nn.Module],
    *,
    laws: Sequence[str] | None = None,
    examples: Sequence[Mapping[str, Any]] = (),
    shapes: Sequence[Any] = (),
    count: int | None = None,
) -> dict[str, int]:
    """Hold a registered block, by name or class, to its laws: all, or those named. Give how often each was tried.

    `examples` are used instead of those that the block itself gives (`@block(..., examples=)`). `shapes` are the only
    inputs that it is tried on, `[(2, 64, 32, 32)]`; for several inputs `[[(2, 64, 32, 32), (2, 64, 1, 1)]]`. `count`
    is how many examples are drawn for each law; by default what the Hypothesis profile says. A law that a block cannot
    break, since by its contract it refuses nothing or since it has no inner maps, counts 0.

    Raises LawBroken that names the law and the simplest call found that breaks it, and has what the block itself
    raised, if anything, as its cause; NothingDrawn where no example is found; CrossbandError for an unknown law, for
    examples that do not fit the block, or a class that is not the one registered.
    """
    from crossband.blocks.laws import examples as drawn

    entry = _entry_of(block)
    shaped = drawn.input_shapes(entry, shapes)
    given = tuple(examples) or (() if shaped else entry.examples)
    drawn.check_names(entry, given, shaped)
    tried: dict[str, int] = {}
    for name, law in chosen(LAWS, laws).items():
        if (name == "exact" and not drawn.can_refuse(entry)) or (name == "maps" and not entry.inner_maps):
            tried[name] = 0
            continue
        refusals = Refusals()
        strategy = (drawn.misfits if name == "exact" else drawn.examples)(entry, given, shaped, refusals)
        if name == "exact" and isinstance(entry.exact, str):
            tried[name] = _hold_reason(entry, strategy)
        else:
            tried[name] = hold_drawn(name, law, strategy, 1 if name in SLOW else count, shrink=name not in SLOW | BULKY)
        if not tried[name]:
            raise nothing_drawn(entry.name, name, refusals.reasons, _how_to_give(entry))
    return tried


def _entry_of(block: str | type[nn.Module]) -> BlockEntry:
    """The registered block. Raises CrossbandError for a class that only has its name."""
    if not isinstance(block, (str, type)):
        message = f"the laws are of a block, by its name or its class, got {registry.show(block)}"
        hint = f"write `check_laws({type(block).__name__})`" if isinstance(block, nn.Module) else None
        raise CrossbandError(message, hint=hint)
    entry: BlockEntry = registry.blocks[block if isinstance(block, str) else block.__name__]
    if isinstance(block, type) and block is not entry.factory:
        message = f"`{block.__module__}.{block.__name__}` is not a registered block: `{entry.name}` is another class"
        raise CrossbandError(message, hint="register it with `@block`", notes=[f"`{entry.name}` is at {entry.origin}"])
    return entry


def _hold_reason(entry: BlockEntry, drawn: "SearchStrategy[Example]") -> int:
    """Look for refused inputs that would run, as a block with a reason must have. Raises LawBroken if none does."""
    from hypothesis import Phase, find, settings
    from hypothesis.errors import NoSuchExample

    tried = 0

    def runs(example: "Example") -> bool:
        nonlocal tried
        tried += 1
        return runs_as_promised(example)

    profile = settings(max_examples=SEARCHED, phases=[Phase.generate], database=None, suppress_health_check=tolerated())
    try:
        find(drawn, runs, settings=profile)
    except (NoSuchExample, Hopeless):
        if tried:
            message = f"{entry.name} gives a reason to refuse what would run (`exact=`), and refuses no such thing"
            raise LawBroken(f"the law `exact` is broken: {message}") from None
    return tried


def _how_to_give(entry: BlockEntry) -> str:
    from crossband.blocks.laws.examples import named_axes

    names = ", ".join(f"`{name}`" for name in (*named_axes(entry), *entry.parameters))
    return (
        f"give examples, `@block(..., examples=[{{...}}])` or `check_laws({entry.name!r}, examples=[{{...}}])`, "
        f"with values for some of {names}; or the shapes of its inputs, `shapes=[...]`"
    )
