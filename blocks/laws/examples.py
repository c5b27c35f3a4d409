"""Examples of a block for its laws: arguments, input shapes and tensors drawn by Hypothesis.

Needs the package hypothesis, which the library itself does not.
"""

import ast
import itertools
import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
import torch
from hypothesis import Phase, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import NUMBER, ContractError, Result
from crossband.blocks.contracts.shapes import images_of, shapes_of
from crossband.blocks.contracts.sizes import Condition, NotPeriodic, symbol
from crossband.blocks.laws.holding import Refusals
from crossband.blocks.laws.values import arguments
from crossband.registry import CrossbandError, suggest

Shapes = tuple[tuple[int, ...], ...]
Form = tuple[tuple[str | int, ...], ...]
Guess = tuple[Mapping[str, Any], dict[str, Any]]
"""What an example fixes, and arguments with it."""
SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 16, 17)
SIZES = ((2,), (1, 2, 3, 4, 6, 8, 16), SIDES)  # of the batch, the channels, and every axis behind them
LARGER = (*SIDES, 20, 24, 25, 32, 33, 48, 64, 96, 128)  # tried where the usual ones are refused by a shape function
USUAL = [st.sampled_from(sizes) for sizes in SIZES]
NUMBERS = st.integers(1, 3)  # of inputs, where any number is taken
FURTHER = st.sampled_from([2, 2, 0, 1])  # axes for the `*name` of a contract: most often those of an image
CHANGES = st.sampled_from(["none", "a single pixel", "one axis", "one axis"])  # of inputs that are to be refused
SEEDS = st.integers(0, 1 << 32)
ATTEMPTS = 20  # before one draw is given up
PATIENCE = 4  # attempts before sizes are looked for that fit hard conditions
SEARCHED = 500  # combinations of sizes among which they are looked for
LARGEST = 1 << 22  # numbers in an input that is found so
SPREAD = 8  # times the smallest input that is found


@dataclass(frozen=True)
class Example:
    """A block with arguments, input shapes, and what it says of them: as a rule, that it takes them."""

    entry: BlockEntry
    arguments: Mapping[str, Any]
    shapes: Shapes
    result: Result

    def __str__(self) -> str:
        """The call in Python, to be copied: `Conv(c=1, out=2)(torch.randn(2, 1, 4, 4))`."""
        options = ", ".join(f"{name}={value!r}" for name, value in {**self.result.inferred, **self.arguments}.items())
        inputs = ", ".join(f"torch.randn{shape}" for shape in self.shapes)
        return f"{self.entry.name}({options})({inputs})"

    def module(self, seed: int = 0) -> nn.Module:
        """The block, its weights drawn with this seed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self.entry.factory(**self.result.inferred, **self.arguments)

    def tensors(self, seed: int = 1, batch: int | None = None) -> list[Tensor]:
        """Normal random inputs, of another batch size where one is given."""
        generator = torch.Generator().manual_seed(seed)
        return [torch.randn(batch or shape[0], *shape[1:], generator=generator) for shape in self.shapes]


def examples(
    entry: BlockEntry, given: Sequence[Mapping[str, Any]], shaped: Sequence[Shapes], refusals: Refusals
) -> st.SearchStrategy[Example]:
    """Examples that a block takes. Each of `given` fixes some of its parameters and axes, of `shaped` all shapes."""
    guesses, numbers = _guesses(entry, given), _numbers(entry)

    @st.composite
    def taken(draw: st.DrawFn) -> Example:
        for attempt in range(1, ATTEMPTS + 1):
            fixed, options = draw(guesses)
            if problems := _problems(entry, options):
                refusals.reasons.update(problems)
                continue
            form = form_of(entry, fixed.get(NUMBER) or draw(numbers), draw(FURTHER))
            shapes = draw(st.sampled_from(shaped)) if shaped else _shapes(draw, entry, form, fixed)
            accepted = _accepts(entry, shapes, options, refusals)
            if not (accepted or shaped or attempt % PATIENCE) and (fitting := _fitting(form, entry, fixed, options)):
                shapes, accepted = draw(st.sampled_from(fitting)), True
            if accepted:
                refusals.in_a_row = 0
                return Example(entry, options, shapes, shapes_of(entry, shapes, options))
        refusals.give_up()

    return taken()


def misfits(
    entry: BlockEntry, given: Sequence[Mapping[str, Any]], shaped: Sequence[Shapes], refusals: Refusals
) -> st.SearchStrategy[Example]:
    """Inputs of the form of a block that it refuses: one axis differs from where it should agree, or a condition fails.

    Not those that torch would broadcast, 1 where another size is wanted: every contract refuses them on purpose.
    """
    guesses, numbers = _guesses(entry, given), _numbers(entry)
    if asking := _asking(entry, given):
        guesses |= st.sampled_from(asking)

    @st.composite
    def refused(draw: st.DrawFn) -> Example:
        for _ in range(ATTEMPTS):
            fixed, options = draw(guesses)
            form = form_of(entry, fixed.get(NUMBER) or draw(numbers), draw(FURTHER))
            change = draw(CHANGES)
            single = {axis: 1 for pattern in form for axis in pattern[2:]} if change == "a single pixel" else {}
            shapes = draw(st.sampled_from(shaped)) if shaped else _shapes(draw, entry, form, {**single, **fixed})
            for candidate in _one_axis_changed(shapes, draw(SEEDS)) if change == "one axis" else [shapes]:
                try:
                    result = shapes_of(entry, candidate, options)
                except ContractError as error:
                    refusals.reasons.add(error.message)
                    continue
                if not all(_broadcasts(entry, candidate, condition) for condition in result.conditions):
                    refusals.in_a_row = 0
                    return Example(entry, options, candidate, result)
        refusals.give_up()

    return refused()


def _guesses(entry: BlockEntry, given: Sequence[Mapping[str, Any]]) -> st.SearchStrategy[Guess]:
    return st.one_of([st.tuples(st.just(fixed), arguments(entry, fixed)) for fixed in given or ({},)])


def _numbers(entry: BlockEntry) -> st.SearchStrategy[int]:
    """How many inputs: one to three where any number is taken."""
    return NUMBERS if _takes_any_number(entry) else st.just(1)


def _takes_any_number(entry: BlockEntry) -> bool:
    return entry.contract.variadic if entry.contract else bool(entry.shape) and images_of(entry.shape) is None


def can_refuse(entry: BlockEntry) -> bool:
    """Whether a block refuses any inputs of its form: it has conditions, or axes that must agree or may vanish.

    It does if it asks anything of inputs each of whose axes is another unknown, with any of some drawn arguments.
    """
    return bool((entry.contract and entry.contract.where) or _asking(entry, ()))


def _asking(entry: BlockEntry, given: Sequence[Mapping[str, Any]]) -> list[Guess]:
    """Those of some drawn arguments with which a block asks something of its inputs: the same ones at each call."""
    found: list[Guess] = []

    @settings(max_examples=50, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @hypothesis.given(_guesses(entry, given))
    def ask(guess: Guess) -> None:
        if _asks_something(entry, guess[1]):
            found.append(guess)

    ask()
    return found


def _asks_something(entry: BlockEntry, options: Mapping[str, Any]) -> bool:
    form = form_of(entry, 2)
    known = {*entry.inferred} if entry.contract else {pattern[1] for pattern in form}
    shapes = [
        tuple(11 * number + at if axis in known else symbol(f"n{number}{at}") for at, axis in enumerate(pattern))
        for number, pattern in enumerate(form, 1)
    ]
    try:
        return bool(shapes_of(entry, shapes, options).conditions)
    except ContractError:
        return True


def named_axes(entry: BlockEntry) -> tuple[str, ...]:
    """The names of the axes that an example may fix, in their order."""
    number = (NUMBER,) if _takes_any_number(entry) else ()
    return (*dict.fromkeys(axis for pattern in form_of(entry) for axis in pattern if isinstance(axis, str)), *number)


def check_names(entry: BlockEntry, given: Sequence[Mapping[str, Any]], shaped: Sequence[Shapes]) -> None:
    """Raise CrossbandError where an example fixes what is neither a parameter nor an axis of the block.

    Beside given shapes no example may fix an axis.
    """
    axes = named_axes(entry)
    for name in (name for example in given for name in example if name not in entry.parameters):
        if name not in axes:
            hint = suggest(name, (*axes, *entry.parameters))
            raise CrossbandError(f"an example of {entry.name} gives `{name}`, which it does not have", hint=hint)
        if shaped:
            raise CrossbandError(
                f"an example of {entry.name} gives the axis `{name}`, and `shapes=` gives all axes",
                hint="leave one of them out",
            )


def input_shapes(entry: BlockEntry, shapes: Sequence[Any]) -> list[Shapes]:
    """The shapes of all inputs, once for each example; for a block of one input its shape alone may be given.

    Raises CrossbandError for what are no such shapes.
    """
    found = [(each,) if _is_shape(each) else each for each in shapes]
    for each in found:
        if not (isinstance(each, Sequence) and each and all(map(_is_shape, each))):
            number = len(form_of(entry, 2))
            one = str((2, 8, 16, 16)) if number == 1 else f"[{', '.join(['(2, 8, 16, 16)'] * number)}]"
            raise CrossbandError(f"`shapes=` of {entry.name} gives {each!r}, no shapes", hint=f"write `shapes=[{one}]`")
    return [tuple(map(tuple, each)) for each in found]


def _is_shape(value: object) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(type(size) is int and size > 0 for size in value)


def form_of(entry: BlockEntry, number: int = 1, further: int = 2) -> Form:
    """The axes of its inputs: as its contract says, with so many inputs where it takes any number; else of images.

    `further` is how many axes a `*name` stands for.
    """
    if contract := entry.contract:
        patterns = contract.inputs * (number if contract.variadic else 1)
        return tuple(tuple(each for axis in pattern for each in _further(axis, further)) for pattern in patterns)
    taken = images_of(entry.shape) if entry.shape else len(entry.inferred)
    images = max(1, len(entry.inferred), number if taken is None else taken)
    channels = [*entry.inferred, *(f"c{at}" for at in range(1, images + 1))]
    return tuple(("b", channel, "h", "w") for channel in channels[:images])


def _further(axis: str | int, number: int) -> tuple[str | int, ...]:
    """The axis, or so many in the place of a `*name`."""
    if isinstance(axis, str) and axis.startswith("*"):
        return tuple(f"{axis[1:]}{at}" for at in range(1, number + 1))
    return (axis,)


def _shapes(draw: st.DrawFn, entry: BlockEntry, form: Form, fixed: Mapping[Any, Any]) -> Shapes:
    """Shapes of a form, in which axes of one name have one size."""
    free: Collection[str] = entry.contract.free if entry.contract else ()
    sizes: dict[str, int] = {}
    shapes = []
    for pattern in form:
        shape = []
        for place, axis in enumerate(pattern):
            if isinstance(axis, str) and (axis not in sizes or axis in free):
                sizes[axis] = fixed.get(axis) or draw(USUAL[min(place, 2)])
            shape.append(sizes[axis] if isinstance(axis, str) else axis)
        shapes.append(tuple(shape))
    return tuple(shapes)


def _problems(entry: BlockEntry, options: Mapping[str, Any]) -> list[str]:
    """The conditions on arguments alone that do not hold."""
    return entry.contract.argument_problems({**entry.defaults, **options}) if entry.contract else []


def _accepts(entry: BlockEntry, shapes: Shapes, options: Mapping[str, Any], refusals: Refusals) -> bool:
    """Whether a block takes inputs of these shapes."""
    try:
        conditions = shapes_of(entry, shapes, options).conditions
    except ContractError as error:  # no such inputs for a block without a contract
        refusals.reasons.add(error.message)
        return False
    refusals.reasons.update(condition.reason for condition in conditions)
    return not conditions


def _fitting(form: Form, entry: BlockEntry, fixed: Mapping[str, Any], options: Mapping[str, Any]) -> list[Shapes]:
    """Small shapes that hard conditions admit, of sizes near the numbers that the conditions and arguments have.

    For each choice of the axes that must be known, the conditions are asked of many sizes of the others at once.
    """
    if not entry.contract:
        return _found(form, entry, options) if entry.shape else []
    near = _near(entry, options)
    places = {axis: place for pattern in form for place, axis in enumerate(pattern) if isinstance(axis, str)}
    pools = {axis: sorted({*SIZES[min(place, 2)], *(near if place else ())}) for axis, place in places.items()}
    pools |= {axis: [size] for axis, size in fixed.items() if axis in pools}
    known = [axis for axis in pools if axis in entry.inferred]
    rng = np.random.default_rng(0)
    others = {axis: rng.choice(pool, SEARCHED) for axis, pool in pools.items() if axis not in known}
    smallest = np.argsort(np.prod([*others.values(), np.ones(SEARCHED)], axis=0), kind="stable")
    found: set[Shapes] = set()
    for sizes in itertools.islice(itertools.product(*(pools[axis] for axis in known)), SEARCHED):
        chosen = dict(zip(known, sizes, strict=True))
        unknown = [tuple(chosen.get(axis, symbol(axis)) if isinstance(axis, str) else axis for axis in p) for p in form]
        try:
            conditions = shapes_of(entry, unknown, options).conditions
        except (ContractError, NotPeriodic):
            continue
        admitted = np.full(SEARCHED, True)
        for condition in conditions:
            admitted &= condition.holds(others)
        for at in smallest[admitted[smallest]][:5]:
            filled = {**chosen, **{axis: int(values[at]) for axis, values in others.items()}}
            found.add(tuple(tuple(filled[axis] if isinstance(axis, str) else axis for axis in p) for p in form))
    volumes = {shapes: max(map(math.prod, shapes)) for shapes in found}
    largest = min(LARGEST, SPREAD * min(volumes.values(), default=0))
    return [shapes for shapes in sorted(found, key=lambda shapes: volumes[shapes])[:20] if volumes[shapes] <= largest]


def _found(form: Form, entry: BlockEntry, options: Mapping[str, Any]) -> list[Shapes]:
    """Shapes that a shape function takes, of somewhat larger sizes: it can only be asked for one after the other."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(SEARCHED):
        sizes = {axis: int(rng.choice(LARGER)) for pattern in form for axis in pattern} | {"b": 2}
        shapes = tuple(tuple(sizes[axis] for axis in pattern) for pattern in form)
        if _accepts(entry, shapes, options, Refusals()):
            found.append(shapes)
    return sorted(found)[:20]


def _near(entry: BlockEntry, options: Mapping[str, Any]) -> set[int]:
    """Numbers in the conditions and arguments of a block, their products, and those next to them or twice them."""
    conditions = entry.contract.where if entry.contract else ()
    written = [node for _, condition in conditions for node in ast.walk(condition)]
    numbers = {node.value for node in written if isinstance(node, ast.Constant) and isinstance(node.value, int)}
    numbers |= {value for value in {**entry.defaults, **options}.values() if type(value) is int}
    numbers |= {one * other for one, other in itertools.combinations(numbers, 2)}
    return {size for n in numbers for size in (n - 1, n, n + 1, 2 * n, 3 * n) if 1 <= size <= LARGEST}


def _one_axis_changed(shapes: Shapes, seed: int) -> list[Shapes]:
    """The shapes with one axis of one input another size, in any order: few of them may be refused.

    For every other seed those come first whose size is that of the axis in another input: they are likely to run.
    """
    changed = [
        (size not in elsewhere, (*shapes[:number], (*shape[:axis], size, *shape[axis + 1 :]), *shapes[number + 1 :]))
        for number, shape in enumerate(shapes)
        for axis, own in enumerate(shape)
        for elsewhere in [{other[axis] for other in shapes if len(other) > axis}]
        for size in {*SIDES, *elsewhere} - {own}
    ]
    random.Random(seed).shuffle(changed)
    if seed % 2:
        changed.sort(key=lambda each: each[0])
    return [each for _, each in changed]


def _broadcasts(entry: BlockEntry, shapes: Shapes, condition: Condition) -> bool:
    """Whether torch would take the input that a condition is about, by repeating it."""
    if entry.contract is None or condition.input is None or condition.axis is None:
        return False
    pattern = entry.contract.inputs[0 if entry.contract.variadic else condition.input]
    axis = pattern[min(condition.axis, len(pattern) - 1)]  # one behind a `*name` is the last
    return isinstance(axis, str) and 1 in (condition.wanted, shapes[condition.input][condition.axis])
