"""Scales: how often the image is halved on the way to each part, and its size there in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from crossband.blocks.contracts.block import BlockEntry
from crossband.blocks.contracts.contract import ContractError
from crossband.blocks.contracts.shapes import shapes_of
from crossband.blocks.contracts.sizes import Shape, Size, evaluate, period, symbols_of
from crossband.graphs.checking.explain import render_shape
from crossband.graphs.plans.admissible import SizeRule

LARGE = 4096  # value of an unknown height or width when scales are compared
FINEST = 20  # halvings that a guess can follow
LONGEST = 7  # characters of an axis in a label; a longer one is rounded

Guess = tuple[BlockEntry | None, Mapping[str, Any]]  # a step of a node that could not be checked


def level_of(shape: Shape, whole: float) -> int:
    """How often an image of `whole` pixels is halved to give this shape."""
    return round(math.log2(whole / area(shape)) / 2)


def area(shape: Shape) -> float:
    """The number of pixels of a feature map, or of tokens; 1 for a vector."""
    sizes = shape[2:] if len(shape) > 3 else shape[1:2] if len(shape) == 3 else ()
    return math.prod(max(1.0, float(_at(size, LARGE))) for size in sizes)


def guessed_level(levels: Sequence[int], steps: Sequence[Guess]) -> int:
    """Guess the level of an unchecked node from the levels of its inputs; a step that fails does not change it."""
    shapes: list[Shape] = [(1, 64, *(2 ** max(0, FINEST - level),) * 2) for level in levels or [0]]
    for entry, arguments in steps:
        if entry is None:
            shapes = shapes[:1]
            continue
        known = {n: v for n, v in arguments.items() if n in entry.parameters and not entry.parameters[n].fault(v)}
        missing = {n: 64 for n, p in entry.parameters.items() if p.required and n not in known}
        try:
            shapes = [shapes_of(entry, shapes, {**missing, **known}).outputs[0]]
        except (ContractError, TypeError, ArithmeticError):  # reported elsewhere; a guess is enough for a picture
            shapes = shapes[:1]
    return round(FINEST - math.log2(max(1, _at(shapes[0][-1], 1))))


def band_words(level: int, image: Shape) -> str:
    """The approximate size of the image at a level: `H/4×W/4`."""
    sizes = image[2:] if len(image) > 3 else image[1:]
    if level >= math.log2(LARGE) and any(symbols_of(size) for size in sizes):
        return "1×1"
    return "×".join(_scaled(size, level) for size in sizes)


def _scaled(size: Size, level: int) -> str:
    factor = 2 ** abs(level)
    if isinstance(size, int):
        return str(size // factor if level > 0 else size * factor)
    return str(size) if level == 0 else f"{size}/{factor}" if level > 0 else f"{factor}·{size}"


def label(shape: Shape, rule: SizeRule | None) -> str:
    """A shape for a wire: simplified if that is exact for all sizes that `rule` admits, rounded (`~H/8`) if long."""
    axes = [_axis(size, rule) for size in shape[1:]]
    return "×".join(axes) if axes else render_shape(shape)


def _axis(size: Size, rule: SizeRule | None) -> str:
    text = render_shape((1, size))
    names = symbols_of(size)
    if isinstance(size, int) or len(names) != 1 or text in names:
        return text
    [name] = names
    ratio = LARGE / max(1, _at(size, LARGE))
    near = 2.0 ** round(math.log2(ratio))
    plain = name if near == 1 else f"{name}/{near:g}" if near > 1 else f"{1 / near:g}·{name}"
    if rule and name in rule.axes and (axis := rule.axes[name]).residues == (0,):
        span = math.lcm(period(size, name)[0], axis.period)
        if all(_at(size, n) * near == n for n in range(span * LARGE, span * (LARGE + 1), axis.period)):
            return plain
    return text if len(text) <= LONGEST else f"~{plain}"


def _at(size: Size, number: int) -> Any:
    return evaluate(size, dict.fromkeys(symbols_of(size), number))
