"""Check that a recipe makes sense: values lie in the ranges that are asked for, and what is compared shows one scene.

Only what is surely wrong is refused. A value has a range for sure if it is that of the images, or one of the two that
images are known by, [0, 1] and [-1, 1]; wider or open ones, of sums or of plain convolutions, may well be used in part.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from crossband.blocks.contracts.ranges import SIGNED, UNIT, Range, hull
from crossband.graphs.language.document import Place
from crossband.recipes.kinds.function import FunctionEntry
from crossband.recipes.kinds.loss import LOGITS, WORDS
from crossband.recipes.language.experiment import CheckedPhase, CheckedTerm
from crossband.recipes.language.flow import Value
from crossband.recipes.language.meaning import Meaning, Meanings, Path
from crossband.recipes.language.standing import Standing
from crossband.registry import functions

ENDS = {UNIT: "Sigmoid", SIGNED: "Tanh"}  # the blocks that give images of a range
ONE_RANGE = "bring both to one range: `unit(...)` makes [0, 1] of [-1, 1]"


def check_sense(values: Meanings, phases: Sequence[CheckedPhase], result: Meaning) -> Standing:
    """Report what contradicts itself in a recipe that is right in all else: what its losses compare, its `result`.

    Returns which band each value stands for.
    """
    terms = [term for phase in phases for term in phase.losses.values()]
    standing = Standing.by_critics(values, terms)
    check = _Sense(values, terms, result, standing)
    check.scenes()
    check.bands()
    check.ranges()
    return standing


class _Operand(NamedTuple):
    """What a network is given: as it is written and where, and what that means."""

    written: Value
    path: Path
    given: Meaning


@dataclass
class _Sense:
    values: Meanings
    terms: Sequence[CheckedTerm]
    result: Meaning
    standing: Standing

    # ------------------------------------------------------------------ scenes

    def scenes(self) -> None:
        """Report the first term that compares different scenes pixel by pixel, with the others as its notes."""
        found = [(term, pair) for term in self.terms if (pair := self.strangers(term))]
        if not found:
            return
        (first, (one, other)), *more = found
        message = f"{self.origin(first, one)}; it cannot be compared pixel by pixel with {self.text(first, other)}"
        hint = "compare what shows one scene, as a cycle does, or let a critic judge it"
        if self.values.recipe.pairing == "unpaired":
            hint += "; if the images are aligned, say `pairing: paired` in `task`"
        notes = [(f"`{term.path[-2]}` does so, too", self.values.recipe.at(*term.path)) for term, _ in more]
        self.values.problems.add("E083", message, self.values.recipe.at(*first.path), hint, notes)

    def strangers(self, term: CheckedTerm) -> tuple[int, int] | None:
        """Two inputs of a term that it compares pixel by pixel, an image among them, and that share no scene."""
        if not term.entry.is_aligned(term.term.arguments):
            return None
        for row in term.rows:
            for one, other in combinations(range(len(row)), 2):
                images = self.standing.band(row[one].value) or self.standing.band(row[other].value)
                if images and not row[one].scenes & row[other].scenes:
                    known = {number: row[number].scenes <= self.values.bands.keys() for number in (one, other)}
                    made = {number: row[number].value.kind != "name" for number in (one, other)}
                    first, second = sorted((one, other), key=lambda number: (known[number], not made[number]))
                    return first, second
        return None

    def origin(self, term: CheckedTerm, number: int) -> str:
        """Where an input of a term comes from."""
        scenes = term.rows[0][number].scenes
        known = [f"`{band}`" for band in sorted(scenes & self.values.bands.keys())]
        text = self.text(term, number)
        if self.values.recipe.pairing == "paired" or not known:
            return f"{text} remembers other images than those of the step"
        if term.rows[0][number].value.kind == "name":
            return f"{text} is unpaired"
        return f"{text} comes from unpaired {' and '.join(known)}"

    # ------------------------------------------------------------------ bands

    def bands(self) -> None:
        """Report images of one band that are held to another, and a result that is not what the task asks for."""
        recipe, problems = self.values.recipe, self.values.problems
        for term, value, band in self.held():
            stands = self.standing.band(value)
            if stands and stands != band:
                message = f"`{value}` stands for `{stands}`, and `{term.entry.name}` compares it with `{band}`"
                hint = f"compare it with `{stands}`{self.said(value, band)}"
                problems.add("E082", message, recipe.at(*term.path), hint)
                return
        for _, value, band in self.held():
            self.standing.learn(value, band)
        output = recipe.evaluate.output
        name = output or next(iter(recipe.resolved["flow"]))
        place = recipe.at("evaluate", "output") if output else recipe.at("flow", name)
        other = "name another value of the flow by `evaluate.output`"
        stands = self.standing.band(self.result.value)
        if not {*recipe.sources} & {part.name for part in self.result.value.walk() if part.kind == "name"}:
            message = f"the result `{name}` is not computed from `{recipe.source}`, which the task translates"
            problems.add("E082", message, place, other)
        elif stands not in (None, recipe.target):
            message = f"the result `{name}` stands for `{stands}`, and the task makes `{recipe.target}`"
            problems.add("E082", message, place, other + self.said(self.result.value, recipe.target))

    def held(self) -> Iterator[tuple[CheckedTerm, Value, str]]:
        """The values that losses hold, pixel by pixel, to images of a band that they were not computed from."""
        for term in (term for term in self.terms if term.entry.is_aligned(term.term.arguments)):
            for row in term.rows:
                bands = [each.value.name for each in row if each.value.kind == "name"]
                made = [each.value for each in row if self.standing.key(each.value)]
                yield from (
                    (term, value, band)
                    for value in made
                    for band in bands
                    if band not in {part.name for part in value.walk() if part.kind == "name"}
                )

    def said(self, value: Value, band: str) -> str:
        """The hint for a network that does give a band, though its losses seem to teach another."""
        key = self.standing.key(value)
        return f"; if `{key[0]}` does give `{band}`, say `gives: {band}` of it" if key else ""

    # ------------------------------------------------------------------ ranges

    @property
    def images(self) -> Range:
        """The range of the images."""
        return Range(*self.values.recipe.data.range)

    def ranges(self) -> None:
        """Report networks whose images are not in the range of the data; if there are none, all else."""
        if not self.networks():
            for term in self.terms:
                if not self.taken(term):
                    self.alike(term)
            self.calls()

    def differ(self, one: Range, other: Range) -> bool:
        """Whether values of these ranges are surely not meant for each other."""
        exact = {UNIT, SIGNED, self.images}
        if one in exact and other in exact:
            return one != other
        return (other in exact and not one.holds(other)) or (one in exact and not other.holds(one))

    def networks(self) -> bool:
        """Report networks that make images of another range than the data have, and say whether there are any."""
        made = list(self.made())
        right = {self.network(each.value) for each in made if each.range == self.images}
        wrong: dict[Range, dict[str, Value]] = {}
        for each in made:
            if (name := self.network(each.value)) and self.differ(each.range, self.images):
                wrong.setdefault(each.range, {}).setdefault(name, each.value)
        for range, found in wrong.items():
            [name, *others], several = found, len(found) > 1
            end, names = self.end(name, found[name]), " and ".join(f"`{name}`" for name in found)
            gives = f"end{'' if several else 's'} in `{end}`," if end else "give" if several else "gives"
            message = f"{names} {gives} {range}, and the images are {self.images}"
            alone = bool(right - {name, *others})
            hints = [] if alone else [f"say `data.range: {_list(range if range in ENDS else UNIT)}`"]
            hints += [f"take a graph that ends in `{ENDS[self.images]}`"] if self.images in ENDS else []
            self.values.problems.add("E081", message, self.blamed(name, alone=alone), ", or ".join(hints) or None)
        return bool(wrong)

    def made(self) -> Iterator[Meaning]:
        """The values of networks that are used as images: as the result, and where they meet images of the data."""
        if self.network(self.result.value):
            yield self.result
        met = [row for term in self.terms if term.entry.is_aligned(term.term.arguments) for row in term.rows]
        fed = [tuple(each.given for each in operands) for operands in self.slots().values()]
        for values in [*met, *fed]:
            if any(each.value.kind == "name" for each in values):
                yield from (each for each in values if self.network(each.value))

    def blamed(self, network: str, *, alone: bool) -> Place:
        """The place of the fault where a network and the data disagree: what was said last, or a network alone."""
        layers = self.values.recipe.layers
        data, graph = layers.rank(("data", "range")), layers.rank(("networks", network, "graph"))
        if data is None or alone or (graph is not None and graph < data):
            return self.values.recipe.at("networks", network, "graph")
        return self.values.recipe.at("data", "range")

    def taken(self, term: CheckedTerm) -> bool:
        """Report inputs of a term that are not in the range that its loss takes, and say whether there are any."""
        entry, declared = term.entry, term.entry.ranges(term.term.arguments)
        for row in term.rows:
            wrong = [
                (number, wanted)
                for number, (name, each) in enumerate(zip(entry.inputs, row, strict=True))
                if (wanted := declared.get(name)) and self.differ(each.range, wanted)
            ]
            if not wrong:
                continue
            (first, wanted), found = wrong[0], row[wrong[0][0]].range
            names = [self.text(term, number) for number, _ in wrong if row[number].range == found]
            are = f"{' and '.join(dict.fromkeys(names))} {'is' if len(names) == 1 else 'are'} {found}"
            if wanted == LOGITS and "logits" in entry.parameters:
                message = f"`{entry.name}` takes logits, which fall below 0, and {are}"
                hint = f"say `logits: false` beside `{entry.name}`, or leave out the activation at the end"
            else:
                message, hint = f"`{entry.name}` takes values in {wanted}, and {are}", self.cure(term, first, found)
            self.values.problems.add("E081", message, self.values.recipe.at(*term.path), hint)
            return True
        return False

    def cure(self, term: CheckedTerm, number: int, found: Range) -> str:
        """How an input in the range `found` is made fit for its loss."""
        word = next((word for word, range in WORDS.items() if range == found), None)
        if word and "range" in term.entry.parameters:
            return f"say `range: {word}` beside `{term.entry.name}`"
        if found == SIGNED:
            return f"`unit` makes [0, 1] of [-1, 1]: `unit({term.term.inputs[number]})`"
        return "say `data.range: [0, 1]`"

    def alike(self, term: CheckedTerm) -> None:
        """Report a term that compares images of two ranges."""
        for row in term.rows if term.entry.is_aligned(term.term.arguments) else ():
            for one, other in combinations(range(len(row)), 2):
                if self.differ(row[one].range, row[other].range):
                    texts = ", ".join(f"{self.text(term, each)} is {row[each].range}" for each in (one, other))
                    message = f"`{term.entry.name}` compares values of two ranges: {texts}"
                    self.values.problems.add("E081", message, self.values.recipe.at(*term.path), ONE_RANGE)
                    return

    def calls(self) -> None:
        """Report calls of functions on values in other ranges than they take, and networks that see two ranges."""
        for call, use in self.values.uses.items():
            entry: FunctionEntry | None = functions.get(call.name)
            for written, each in zip(use.written.operands, use.given, strict=True):
                if entry and entry.takes and self.differ(each.range, entry.takes):
                    message = f"`{entry.name}` takes values in {entry.takes}, `{written}` is {each.range}"
                    hint = f"`unit({written})` makes [0, 1] of [-1, 1]" if each.range == SIGNED else None
                    place = self.values.recipe.at(*use.path).within(written.offset, written.length)
                    self.values.problems.add("E081", message, place, hint)
        for (network, _), operands in self.slots().items():
            one, *others = sorted(operands, key=lambda operand: operand.given.range != self.images)
            for other in (each for each in others if self.differ(one.given.range, each.given.range)):
                texts = ", ".join(f"`{each.written}` is {each.given.range}" for each in (one, other))
                message = f"`{network}` is given images of two ranges: {texts}"
                place = self.values.recipe.at(*other.path).within(other.written.offset, other.written.length)
                self.values.problems.add("E081", message, place, ONE_RANGE)
                return

    def slots(self) -> dict[tuple[str, int], list["_Operand"]]:
        """All that each input of each network is given, in the order of the recipe."""
        found: dict[tuple[str, int], list[_Operand]] = {}
        for call, use in self.values.uses.items():
            operands = zip(use.written.operands, use.given, strict=True)
            for number, (written, given) in enumerate(operands if call.name in self.values.plans else ()):
                found.setdefault((call.name, number), []).append(_Operand(written, use.path, given))
        return found

    def network(self, value: Value) -> str | None:
        """The network that a value is an output of, as it is or through functions that keep its range."""
        match value.kind:
            case "part":
                return value.operands[0].name
            case "call" if value.name in self.values.plans:
                return value.name
            case "call" if len(value.operands) == 1 and not functions[value.name].gives:
                return self.network(value.operands[0])
        return None

    def end(self, network: str, value: Value) -> str | None:
        """What gives an output its range: the last block that does not only choose or average, or its activation."""
        while value.kind == "call" and value.name != network:
            [value] = value.operands
        plan = self.values.plans[network]
        if plan is None or plan.wrap:
            return None
        name = value.name if value.kind == "part" else next(iter(plan.outputs))
        ref, calls = plan.outputs.get(name) or plan.taps[name], {call.name: call for call in plan.calls}
        while call := calls.get(ref.source):
            if call.entry.range is not hull or len(call.reads) != 1:
                activation = call.arguments.get("activation", "none")
                return call.entry.name if activation == "none" else activation
            ref = call.reads[0]
        return None

    def text(self, term: CheckedTerm, number: int) -> str:
        """An input of a term as it is written."""
        return f"`{term.term.inputs[number]}`"


def _list(range: Range) -> str:
    """A range with both ends as YAML writes it."""
    return f"[{range.low:g}, {range.high:g}]"
