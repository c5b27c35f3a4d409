"""Which band the images of a network stand for: the one that the recipe says, or else the one that its losses teach.

A critic that learns to tell real images of a band from those of a network teaches the network to make that band; so
does a loss that compares them, pixel by pixel, with images that they were not computed from. A network that is taught
two bands by critics, since it fuses them, stands for none that is known. What is taught depends on what a network is
given: one that translates both ways may do so. A loss that holds an output to its own input, as a cycle does, teaches
nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crossband.recipes.language.experiment import CheckedTerm
from crossband.recipes.language.flow import Value
from crossband.recipes.language.meaning import Meanings
from crossband.registry import functions

Key = tuple[str, str, tuple[str | None, ...]]  # a network, its output, and the bands that it is given


@dataclass
class Standing:
    """The bands of the values of a recipe, as far as they are known."""

    values: Meanings
    taught: dict[Key, set[str]] = field(default_factory=dict)

    @classmethod
    def by_critics(cls, values: Meanings, terms: Sequence[CheckedTerm]) -> "Standing":
        """What a recipe says, and what its critics teach; inner values come first, since outer ones depend on them."""
        found = cls(values)
        judged = [pair for term in terms for row in term.rows for pair in _judged(term, [each.value for each in row])]
        for value, band in sorted(judged, key=lambda pair: len(str(pair[0]))):
            found.learn(value, band)
        return found

    def learn(self, value: Value, band: str) -> None:
        """Note that a value is taught to be of a band, if a network makes it."""
        if band in self.values.bands and (key := self.key(value)):
            self.taught.setdefault(key, set()).add(band)

    def band(self, value: Value) -> str | None:
        """The band that a value stands for; None for scores and features, several bands, and what is not known."""
        if value.kind == "name":
            return value.name if value.name in self.values.bands else None
        key = self.key(value)
        if key is None:
            bands = {self.band(operand) for operand in value.operands} if value.kind == "call" else {None}
            return bands.pop() if len(bands) == 1 else None
        if said := self.values.recipe.networks[key[0]].gives:
            return said
        alike = [bands for (name, output, _), bands in self.taught.items() if (name, output) == key[:2]]
        bands = self.taught.get(key) or set[str]().union(*alike)
        return next(iter(bands)) if len(bands) == 1 else None

    def key(self, value: Value) -> Key | None:
        """The network and the output that make a value, with the bands that the network is given."""
        call = value.operands[0] if value.kind == "part" else value
        plan = self.values.plans.get(call.name) if call.kind == "call" else None
        output = value.name if value.kind == "part" else next(iter(plan.outputs)) if plan else ""
        if plan is None or output not in plan.outputs:  # a tap is no image
            return None
        return call.name, output, tuple(self.band(operand) for operand in call.operands)


def _judged(term: CheckedTerm, row: Sequence[Value]) -> Iterator[tuple[Value, str]]:
    """The values that the loss of a critic sets against images of a band, each with that band."""
    named: Mapping[str, Value] = dict(zip(term.entry.inputs, row, strict=True))
    if {"real", "fake"} <= named.keys():
        yield from _opposite(named["real"], named["fake"])


def _opposite(real: Value, fake: Value) -> Iterator[tuple[Value, str]]:
    """Where two calls that are alike have an image in one and something made in the other: that, and the image."""
    while fake.kind == "call" and fake.name in functions and len(fake.operands) == 1 and fake.name != real.name:
        fake = fake.operands[0]  # out of a pool
    if real.kind == "name":
        yield fake, real.name
    elif (real.kind, real.name, len(real.operands)) == (fake.kind, fake.name, len(fake.operands)):
        for one, other in zip(real.operands, fake.operands, strict=True):
            yield from _opposite(one, other)
