"""A checked recipe: what to build, what to compute and in which order. `checker` makes it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from crossband.graphs.plans.plan import Plan
from crossband.recipes.kinds.loss import LossEntry
from crossband.recipes.language.flow import Value
from crossband.recipes.language.meaning import Meaning
from crossband.recipes.language.ramps import Ramp
from crossband.recipes.language.syntax import Phase, Recipe, Term
from crossband.registry import functions


@dataclass(frozen=True, repr=False)
class CheckedTerm:
    """A checked term: `weight` times the sum of the loss over `rows`, each of which is a tuple of inputs."""

    term: Term
    entry: LossEntry
    rows: tuple[tuple[Meaning, ...], ...]

    @cached_property
    def calls(self) -> tuple[tuple[Value, ...], ...]:
        """The rows as values to compute."""
        return tuple(tuple(each.value for each in row) for row in self.rows)

    @property
    def path(self) -> tuple[str, ...]:
        """The place of its inputs in the recipe."""
        return (*self.term.path, self.term.loss)

    def __repr__(self) -> str:
        inputs, several = ", ".join(map(str, self.term.inputs)), len(self.calls) > 1
        return f"<CheckedTerm {self.term.loss}({inputs}){f', {len(self.calls)} calls' * several}>"

    def learned_from(self) -> Iterator[Value]:
        """Its inputs that get a gradient: not constants, and not the image in which a score is differentiated."""
        constant = {*self.entry.constant, *(self.entry.inputs[1:] if self.entry.differentiates else ())}
        for call in self.calls:
            yield from (value for name, value in zip(self.entry.inputs, call, strict=True) if name not in constant)


@dataclass(frozen=True, repr=False)
class CheckedPhase:
    """A checked phase."""

    phase: Phase
    losses: Mapping[str, CheckedTerm]

    def __repr__(self) -> str:
        return f"<CheckedPhase {self.phase.name}: trains {', '.join(self.phase.train)} by {', '.join(self.losses)}>"

    def inputs(self) -> Iterator[Value]:
        """The inputs of all its losses."""
        yield from (value for loss in self.losses.values() for call in loss.calls for value in call)

    def calls(self) -> frozenset[Value]:
        """Every call in its losses."""
        return frozenset(part for value in self.inputs() for part in value.walk() if part.kind == "call")

    def learns_by(self, value: Value, networks: Mapping[str, Any]) -> frozenset[str]:
        """The networks that it trains by what a loss makes of a value."""
        trained = reaches(value, networks) & {*self.phase.train}
        read = (each for loss in self.losses.values() for each in loss.learned_from() if value in each.walk())
        return frozenset[str]().union(*(trained & reaches(each, networks) for each in read))


@dataclass(frozen=True)
class Turn:
    """One turn of a phase in a step.

    Of the calls that it uses, those computed `again`, since a network behind them was updated, and those `kept` as
    they were before that.
    """

    phase: CheckedPhase
    again: frozenset[Value]
    kept: frozenset[Value]


@dataclass(frozen=True, repr=False)
class Experiment:
    """A recipe that passed every check: what to build, what to compute, and in which order."""

    recipe: Recipe
    plans: Mapping[str, Plan]
    taps: Mapping[str, tuple[str, ...]]
    phases: tuple[CheckedPhase, ...]
    result: Value
    kept: frozenset[Value]
    bands: Mapping[str, int]
    flow: Mapping[str, Meaning] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Experiment: {self.recipe!r}>"


def turns(phases: Sequence[CheckedPhase], kept: frozenset[Value], networks: Mapping[str, Any]) -> Iterator[Turn]:
    """What the phases of a step see of each other, turn by turn: a value is computed anew once it is out of date.

    Of the turns of a phase that is repeated, two are given.
    """
    made: set[Value] = set()
    outdated: set[Value] = set()
    stale: set[Value] = set()
    for phase, number in ((each, number) for each in phases for number in range(min(each.phase.repeat, 2))):
        if number and phase.phase.fresh:  # other images: nothing is left of what was made of those before
            made, outdated, stale = set(), set(), set()
        used = phase.calls()
        yield Turn(phase, used & outdated, used & stale)
        made, outdated = made | used, outdated - used
        late = {call for call in made if depends(call, networks) & {*phase.phase.train}}
        stale |= late & kept
        outdated |= late - kept


def unfinished(recipe: Recipe, per_epoch: int | None = None) -> list[str]:
    """Which weights of losses are still on their way when training ends, in words: no mistake, but to be told."""
    length, unit = (recipe.steps, "steps") if recipe.steps else (recipe.epochs or 0, "epochs")
    return [
        f"the loss `{name}`: {short}"
        for phase in recipe.phases
        for name, term in phase.terms.items()
        if isinstance(term.weight, Ramp) and (short := term.weight.falls_short(length, unit, per_epoch))
    ]


def call_of(value: Value) -> Value:
    """The call that a value is the result of, or a part of the result."""
    return value.operands[0] if value.kind == "part" else value


def depends(value: Value, networks: Mapping[str, Any]) -> frozenset[str]:
    """The networks that compute a value: when one of them is updated, the value is out of date."""
    return frozenset(part.name for part in value.walk() if part.kind == "call" and part.name in networks)


def reaches(value: Value, networks: Mapping[str, Any]) -> frozenset[str]:
    """The networks that get a gradient from a value: those that it depends on, except behind a pool."""
    if value.kind == "call" and value.name in functions and functions[value.name].detaches:
        return frozenset()
    below = frozenset[str]().union(*(reaches(operand, networks) for operand in value.operands))
    return below | {value.name} if value.kind == "call" and value.name in networks else below
