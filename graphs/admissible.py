"""Which image sizes pass through a graph: derived from the contracts, exact, in milliseconds.

Each condition is quasi-linear in the height or the width (see `crossband.blocks.sizes`), so whether it
holds repeats with a period. Checking whole numbers up to where the pattern settles, plus one period,
therefore decides it for every size.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossband.blocks.sizes import Condition, Dim, Floor, Largest, NotPeriodic, Product, Size, evaluate, period

LIMIT = 1 << 16  # sizes looked at; no image side is larger


@dataclass(frozen=True)
class AxisRule:
    """The admissible sizes along one axis: some `small` ones, and from `start` on those with these residues."""

    name: str
    period: int = 1
    residues: tuple[int, ...] = (0,)
    start: int = 1
    small: tuple[int, ...] = ()

    def admits(self, size: int) -> bool:
        """Whether this size passes, as far as this axis goes."""
        return size in self.small or (size >= self.start and size % self.period in self.residues)

    @property
    def minimum(self) -> int | None:
        """The smallest admissible size; None where there is none."""
        return min([*self.small, *self._first()], default=None)

    @property
    def empty(self) -> bool:
        """Whether no size is admissible."""
        return not self.residues and not self.small

    def at_least(self, size: int) -> int | None:
        """The smallest admissible size that is not below `size`."""
        start = max(size, self.start)
        later = [start + (residue - start) % self.period for residue in self.residues]
        return min([*(other for other in self.small if other >= size), *later], default=None)

    def at_most(self, size: int) -> int | None:
        """The largest admissible size that is not above `size`."""
        earlier = [size - (size - residue) % self.period for residue in self.residues]
        found = [other for other in self.small if other <= size] + [other for other in earlier if other >= self.start]
        return max(found, default=None)

    def _first(self) -> list[int]:
        return [self.start + (residue - self.start) % self.period for residue in self.residues]

    def __str__(self) -> str:
        if self.empty:
            return "none"
        if self.residues == tuple(range(self.period)):
            rule = ""
        elif self.residues == (0,):
            rule = f"multiples of {self.period}"
        else:
            rule = f"{' or '.join(map(str, self.residues))} modulo {self.period}" if self.residues else ""
        first = min(self._first(), default=None)
        few = ", ".join(map(str, self.small))
        floor = (
            f"at least {first}" if first is not None and first > (self.period if self.residues == (0,) else 1) else ""
        )
        return " or ".join(filter(None, [few, ", ".join(filter(None, [rule, floor]))])) or "any"


@dataclass(frozen=True)
class SizeRule:
    """The admissible sizes of a graph's inputs. `joint` conditions tie several axes together."""

    axes: Mapping[str, AxisRule]
    joint: tuple[Condition, ...] = ()

    def admits(self, **sizes: int) -> bool:
        """Whether these sizes, one per symbol of the inputs, pass through the graph."""
        alone = all(self.axes[name].admits(size) for name, size in sizes.items() if name in self.axes)
        values = {name: np.int64(size) for name, size in sizes.items()}
        known = [condition for condition in self.joint if condition.size.symbols <= values.keys()]  # type: ignore[union-attr]
        return alone and all(bool(condition.holds(values)) for condition in known)

    def nearest(self, **sizes: int) -> dict[str, int]:
        """The admissible sizes closest to these, along each axis by itself."""
        return {name: self._nearest(name, size) for name, size in sizes.items()}

    def padded(self, **sizes: int) -> dict[str, int]:
        """The smallest admissible sizes not below these: what `fit: pad` pads to."""
        return {
            name: self.axes[name].at_least(size) or size if name in self.axes else size for name, size in sizes.items()
        }

    def _nearest(self, name: str, size: int) -> int:
        if name not in self.axes:
            return size
        both = [self.axes[name].at_most(size), self.axes[name].at_least(size)]
        return min((other for other in both if other is not None), key=lambda other: abs(other - size), default=size)

    @property
    def multiple(self) -> int:
        """The multiple that every axis keeps to; 1 where any size or no such simple rule holds."""
        return math.lcm(*(axis.period if axis.residues == (0,) else 1 for axis in self.axes.values()))

    @property
    def minimum(self) -> int:
        """The smallest size that is admissible along every axis."""
        return max((axis.minimum or 1 for axis in self.axes.values()), default=1)

    def __str__(self) -> str:
        by_rule: dict[str, list[str]] = {}
        for axis in self.axes.values():
            by_rule.setdefault(str(axis), []).append(axis.name)
        parts = [f"{' and '.join(names)}: {rule}" for rule, names in by_rule.items()]
        joint = [f"together {condition.reason.partition(', but')[0]}" for condition in self.joint]
        return "; ".join([*parts, *dict.fromkeys(joint)]) or "fixed"


def derive(conditions: Iterable[Condition], names: Sequence[str]) -> SizeRule:
    """The rule that holds exactly where every condition does."""
    wanted = list(dict.fromkeys(condition for condition in conditions if condition.certain is None))
    alone: dict[str, list[Condition]] = {name: [] for name in names}
    joint: list[Condition] = []
    for condition in wanted:
        used = condition.size.symbols if isinstance(condition.size, Dim) else frozenset()
        alone[next(iter(used))].append(condition) if len(used) == 1 else joint.append(condition)
    return SizeRule({name: _axis_rule(name, conditions) for name, conditions in alone.items()}, tuple(joint))


def possible(condition: Condition) -> bool:
    """Whether some image size meets a condition, the others aside."""
    used = sorted(condition.size.symbols) if isinstance(condition.size, Dim) else []
    if len(used) != 1:
        return condition.certain is not False
    return not _axis_rule(used[0], [condition]).empty


def _axis_rule(name: str, conditions: Sequence[Condition]) -> AxisRule:
    if not conditions:
        return AxisRule(name)
    patterns = [_pattern(condition, name) for condition in conditions]
    common = math.lcm(*(pattern[0] for pattern in patterns))
    settled = max(pattern[1] for pattern in patterns)
    settled = math.ceil(settled / common) * common
    sizes = np.arange(1, min(settled + 2 * common, LIMIT) + 1)
    known: dict[Any, Any] = {}
    good = np.logical_and.reduce([np.broadcast_to(c.holds({name: sizes}, known), sizes.shape) for c in conditions])
    return _summary(name, good, common)


def _pattern(condition: Condition, name: str) -> tuple[int, int]:
    """The period of a condition, and a size from which on it repeats."""
    try:
        p, rise = period(condition.size, name)
    except NotPeriodic:  # a square: beyond the limit nothing is promised
        return 1, LIMIT
    base = _settled(condition.size, name)
    if rise == 0:
        return p, base
    window = np.arange(base + 1, base + p + 1)
    worst = int(np.max(np.abs(evaluate(condition.size, {name: window}))))
    return p, base + p * (worst // abs(rise) + 1)  # by then the rise has decided it


def _settled(size: Size, name: str) -> int:
    """A size beyond which every maximum inside has chosen its side for good."""
    if isinstance(size, int) or name not in size.symbols:
        return 0
    found = 0
    for atom, _ in size.terms:
        match atom:
            case Floor(numerator, _):
                found = max(found, _settled(numerator, name))
            case Largest(left, right):
                difference = left - right
                found = max(found, _settled(left, name), _settled(right, name))
                found = max(found, _pattern(Condition(difference, True, ""), name)[1])
            case Product(left, right):
                found = max(found, _settled(left, name), _settled(right, name))
    return found


def _summary(name: str, good: np.ndarray, common: int) -> AxisRule:
    """The shortest rule for a table of sizes 1, 2, ... whose last `common` entries repeat for ever."""
    tail = good[-common:]
    p = next(p for p in range(1, common + 1) if common % p == 0 and bool(np.all(tail == np.roll(tail, p))))
    residues = sorted({int(index + 1) % p for index in range(len(good) - p, len(good)) if good[index]})
    regular = np.isin(np.arange(1, len(good) + 1) % p, residues) if residues else np.zeros(len(good), bool)
    odd = np.flatnonzero(regular != good)  # where the small sizes differ from the rule
    start = int(odd[-1]) + 2 if len(odd) else 1
    small = tuple(int(index) + 1 for index in np.flatnonzero(good[: start - 1]))
    if residues and not small:
        start = int(np.flatnonzero(good)[0]) + 1
    return AxisRule(name, p, tuple(residues), start, small)
