"""Ranges: between which numbers the values of a tensor lie.

A block declares the range of what comes out, given those of what goes in, with `@block(..., range=)`: a fixed one
(`Range(0, 1)` of a sigmoid), `hull` where values are only chosen or averaged (pooling, resizing, joining), or a
function of the ranges of its inputs and of its arguments. A range holds in eval, for all weights that training may
find; where nothing bounds the values it is `ANY`. Graphs derive the ranges of their outputs along their calls, as
they derive shapes, and a law holds each block to its range by running it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add, mul
from typing import Any, TypeAlias

from crossband.registry import CrossbandError, summary


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, both included; without an end that is left out.

    Ranges, and plain numbers, are added and multiplied: the result holds whatever such values may give, each input
    taken by itself. As text: `[0, 1]`, `at least 0`, `at most 1`, `any`. Raises CrossbandError if it is empty.
    """

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high or self.low == math.inf or self.high == -math.inf:
            raise CrossbandError(
                f"no number is in the range from {self.low} to {self.high}", hint="give the lower end first"
            )

    def __str__(self) -> str:
        match (math.isinf(self.low), math.isinf(self.high)):
            case (False, False):
                return f"[{_short(self.low)}, {_short(self.high)}]"
            case (False, True):
                return f"at least {_short(self.low)}"
            case (True, False):
                return f"at most {_short(self.high)}"
            case _:
                return "any"

    @property
    def bounded(self) -> bool:
        """Whether it has both ends."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def holds(self, other: "Range", tolerance: float = 0.0) -> bool:
        """Whether every number of the other range is in this one, or not further outside of it than `tolerance`."""
        return self.low - tolerance <= other.low and other.high <= self.high + tolerance

    def __or__(self, other: "Range") -> "Range":
        """The smallest range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def __add__(self, other: "Range | float") -> "Range":
        other = _range(other)
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Range | float") -> "Range":
        other = _range(other)
        ends = [a * b if a and b else 0.0 for a, b in product((self.low, self.high), (other.low, other.high))]
        return Range(min(ends), max(ends))  # without nan for 0 times inf

    __radd__ = __add__
    __rmul__ = __mul__

    def rising(self, function: Callable[[float], float]) -> "Range":
        """What a function that never falls makes of it; it is asked of both ends, which may be infinite."""
        return Range(function(self.low), function(self.high))

    def as_pair(self) -> list[float | None]:
        """Both ends for JSON, None where there is none."""
        return [end if math.isfinite(end) else None for end in (self.low, self.high)]


ANY = Range()
UNIT = Range(0, 1)
SIGNED = Range(-1, 1)
POSITIVE = Range(0)
"""0 and above."""

RangeFunction: TypeAlias = Callable[..., Range | tuple[Range, ...]]
Declared: TypeAlias = Range | tuple[Range, ...] | RangeFunction | None


def hull(*inputs: Range, **_: Any) -> Range:
    """That of the inputs, taken together."""
    low, high = min(each.low for each in inputs), max(each.high for each in inputs)
    return Range(low, high)


def of_first(x: Range, *_: Range, **__: Any) -> Range:
    """That of the first input."""
    return x


def added(*inputs: Range, **_: Any) -> Range:
    """The sum of those of the inputs."""
    return reduce(add, inputs)


def multiplied(*inputs: Range, **_: Any) -> Range:
    """The product of those of the inputs."""
    return reduce(mul, inputs)


def towards_zero(x: Range, **_: Any) -> Range:
    """Between 0 and the ends of that of the input."""
    return x * UNIT


def range_text(declared: Declared) -> str:
    """What a block declares of its range, in words."""
    if callable(declared):
        return summary(declared.__doc__ or "") or "a function of the ranges of its inputs"
    return ", ".join(map(str, declared if isinstance(declared, tuple) else (declared or ANY,)))


def _range(value: Range | float) -> Range:
    return value if isinstance(value, Range) else Range(value, value)


def _short(end: float) -> str:
    """A whole number in full, any other to four digits."""
    return f"{end:.0f}" if end == round(end) else f"{end:.4g}"
