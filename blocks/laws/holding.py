"""Hold a thing to a law: draw examples of it, count them, and say which law is broken by which example and how.

The laws of blocks, losses, metrics and data sources are all held here. Needs the package hypothesis.
"""

import contextlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from crossband.registry import CrossbandError, suggest

if TYPE_CHECKING:
    from hypothesis import HealthCheck
    from hypothesis.strategies import SearchStrategy

HOPELESS = 10  # draws in a row without an example

Law = Callable[[Any], None]
"""A function of one example that raises where the law is broken; its docstring is the law in one sentence."""


class LawBroken(AssertionError):
    """A registered thing breaks a law: which, on what example, and how."""


class NothingDrawn(CrossbandError):
    """A law cannot be tried, since no example of the thing could be drawn."""


class Hopeless(BaseException):
    """Too many draws in a row without an example. Of an Exception, Hypothesis would look for a simpler one."""


@dataclass
class Refusals:
    """Why a thing refused what was drawn for it, and how many draws in a row gave no example."""

    reasons: set[str] = field(default_factory=set)
    in_a_row: int = 0

    def give_up(self) -> NoReturn:
        """End a draw that gave no example. Raises Hopeless where many before gave none."""
        from hypothesis import reject

        self.in_a_row += 1
        if self.in_a_row >= HOPELESS:
            raise Hopeless
        reject()


class Broken(Exception):
    """How a law is broken; whoever holds it to the law adds which law and on what."""


def require(holds: bool, what: str) -> None:
    """Break the law that is being tried, with these words, unless something holds."""
    if not holds:
        raise Broken(what)


def chosen(laws: Mapping[str, Law], names: Sequence[str] | None) -> dict[str, Law]:
    """The laws of these names, all where none are given. Raises CrossbandError on an unknown name."""
    if isinstance(names, str):
        raise CrossbandError(f"the names of laws are a list, got `{names}`", hint=f'write `laws=["{names}"]`')
    for name in names or ():
        if name not in laws:
            raise CrossbandError(f"there is no law `{name}`", hint=suggest(name, laws))
    return {name: laws[name] for name in names or laws}


def hold(name: str, law: Law, example: Any) -> None:
    """Try a law on one example. Raises LawBroken, with what the thing itself raised, if anything, as its cause."""
    try:
        law(example)
    except Exception as error:
        what = str(error) if isinstance(error, Broken) else repr(error)
        sentence = inspect.cleandoc(law.__doc__ or "").rstrip(".").replace("\n", " ")
        raise LawBroken(f"the law `{name}` ({sentence}) is broken by {example}: {what}") from error


def tolerated() -> "list[HealthCheck]":
    """What Hypothesis need not mind: examples are large, take time, and are refused until one fits."""
    from hypothesis import HealthCheck

    return [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def hold_drawn(name: str, law: Law, examples: "SearchStrategy[Any]", count: int | None, *, shrink: bool = True) -> int:
    """Try a law on so many examples, by default as many as the Hypothesis profile says; give how many they were.

    They are 0 where none can be drawn. Raises LawBroken.
    """
    from hypothesis import Phase, Verbosity, given, settings
    from hypothesis.errors import Unsatisfiable

    tried = 0

    def each(example: Any) -> None:
        nonlocal tried
        tried += 1
        hold(name, law, example)

    profile = settings(
        max_examples=count or settings.default.max_examples,  # type: ignore[union-attr]
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        deadline=None,
        database=None,  # Hypothesis would replay the failures of one thing on all others
        report_multiple_bugs=False,  # one broken law is one LawBroken
        verbosity=Verbosity.quiet,  # which names its example
        suppress_health_check=tolerated(),
    )
    with contextlib.suppress(Unsatisfiable, Hopeless):
        profile(given(examples)(each))()
    return tried


def nothing_drawn(thing: str, law: str, refusals: Collection[str], hint: str) -> NothingDrawn:
    """The error for a law of which no example could be drawn, with a few of the reasons."""
    message = f"the law `{law}` was not tried on {thing}: no example could be drawn"
    return NothingDrawn(message, hint=hint, notes=sorted(refusals, key=len)[:3])
