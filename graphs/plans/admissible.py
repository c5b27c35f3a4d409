"""Which image sizes pass through a graph: derived from the contracts, exact, in milliseconds.

Each condition is quasi-linear in the height or the width (see `crossband.blocks.contracts.sizes`), so whether it holds
repeats with a period. Checking whole numbers until the pattern repeats, plus one period, therefore decides it for
every size. Written by hand because no library solves conditions with floor divisions for all sizes at once.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crossband.blocks.contracts.sizes import (
    Condition,
    Dim,
    Floor,
    Largest,
    NotPeriodic,
    Product,
    Size,
    evaluate,
    period,
    symbols_of,
)
from crossband.graphs.plans.joint import closest

LIMIT = 1 << 16  # sizes looked at; no image side is larger
USUAL = 1024  # a size large enough for conditions that only small images fail
TIES = 4  # joint conditions to list on one line
SMALLEST = 8  # pixels of the smallest side that counts as an image
FEW = 6  # sizes or residues to list at most


@dataclass(frozen=True)
class AxisRule:
    """The admissible sizes along one axis: some `small` ones, and from `start` on those with these residues."""

    name: str
    period: int = 1
    residues: tuple[int, ...] = (0,)
    start: int = 1
    small: tuple[int, ...] = ()

    def admits(self, size: int) -> bool:
        """Whether this size is admissible along this axis."""
        return size in self._small or (size >= self.start and size % self.period in self._residues)

    @cached_property
    def _small(self) -> frozenset[int]:
        return frozenset(self.small)

    @cached_property
    def _residues(self) -> frozenset[int]:
        return frozenset(self.residues)

    @property
    def minimum(self) -> int | None:
        """The smallest admissible size; None if there is none."""
        return self.at_least(1)

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

    def nearest(self, size: int) -> int | None:
        """The admissible size nearest to `size`, the larger of two; None if there is none."""
        both = [other for other in (self.at_least(size), self.at_most(size)) if other is not None]
        return min(both, key=lambda other: abs(other - size), default=None)

    def within(self, low: int, high: int) -> np.ndarray:
        """The admissible sizes from `low` to `high`."""
        sizes = np.arange(max(low, 1), high + 1)
        regular = (sizes >= self.start) & np.isin(sizes % self.period, self.residues)
        return sizes[regular | np.isin(sizes, self.small)]

    def __str__(self) -> str:
        if self.empty:
            return "none"
        return " or ".join(filter(None, [self._few(), self._rule()])) or "any"

    def _few(self) -> str:
        """The small sizes, neighbours as a range: `1 to 4 or 6`."""
        runs: list[list[int]] = []
        for size in self.small:
            if runs and size == runs[-1][-1] + 1:
                runs[-1].append(size)
            else:
                runs.append([size])
        if len(runs) > FEW:
            return f"{len(self.small)} sizes from {self.small[0]} to {self.small[-1]}"
        return " or ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else " or ".join(map(str, run)) for run in runs)

    def _rule(self) -> str:
        """The residues, and the smallest size they apply to if that is not obvious."""
        if not self.residues:
            return ""
        first = min(self.start + (residue - self.start) % self.period for residue in self.residues)
        floor = f"at least {first}" if first > min(residue or self.period for residue in self.residues) else ""
        if self.period == 1:
            return floor
        if self.residues == (0,):
            rule = f"multiples of {self.period}"
        elif (self.period, self.residues) == (2, (1,)):
            rule = "odd numbers"
        elif len(self.residues) <= FEW:
            rule = f"{', '.join(map(str, self.residues[:-1]))}{' or ' * (len(self.residues) > 1)}{self.residues[-1]}"
            rule += f" modulo {self.period}"
        else:
            rule = f"{len(self.residues)} of every {self.period} sizes"
        return ", ".join(filter(None, [rule, floor]))


@dataclass(frozen=True, repr=False)
class SizeRule:
    """The admissible sizes of a graph's inputs. `joint` conditions tie several axes together."""

    axes: Mapping[str, AxisRule]
    joint: tuple[Condition, ...] = ()

    def admits(self, **sizes: int) -> bool:
        """Whether these sizes, one per symbol of the inputs, pass through the graph."""
        alone = all(self.axes[name].admits(size) for name, size in sizes.items() if name in self.axes)
        return alone and all(bool(condition.holds(sizes)) for condition in self._known(sizes))

    def nearest(self, **sizes: int) -> dict[str, int]:
        """The admissible sizes nearest to these; these sizes if there are none."""
        alone = {name: self._axis(name).nearest(size) for name, size in sizes.items()}
        return self._together(sizes, alone, upwards=False)

    def padded(self, **sizes: int) -> dict[str, int]:
        """The smallest admissible sizes not below these, to which `fit: pad` pads; these sizes if there are none."""
        alone = {name: self._axis(name).at_least(size) for name, size in sizes.items()}
        return self._together(sizes, alone, upwards=True)

    @property
    def possible(self) -> bool:
        """Whether some image size meets every condition."""
        if any(axis.at_least(SMALLEST) is None for axis in self.axes.values()):
            return False
        usual = {name: axis.nearest(USUAL) or USUAL for name, axis in self.axes.items()}
        return self.admits(**usual) or self.admits(**self.padded(**dict.fromkeys(self.axes, SMALLEST)))

    @property
    def multiple(self) -> int:
        """The multiple that every admissible size must be of; 1 if there is no such simple rule."""
        return math.lcm(*(axis.period if axis.residues == (0,) else 1 for axis in self.axes.values()))

    @property
    def minimum(self) -> int:
        """The smallest size that is admissible along every axis."""
        return max((axis.minimum or 1 for axis in self.axes.values()), default=1)

    def _axis(self, name: str) -> AxisRule:
        return self.axes.get(name, AxisRule(name))

    def _known(self, sizes: Mapping[str, int]) -> list[Condition]:
        """The joint conditions on these axes."""
        return [condition for condition in self.joint if symbols_of(condition.size) <= sizes.keys()]

    def _together(self, sizes: Mapping[str, int], alone: Mapping[str, int | None], *, upwards: bool) -> dict[str, int]:
        """`alone`, the best sizes along each axis by itself, or the best ones that also meet the joint conditions."""
        found = {name: size if (own := alone[name]) is None else own for name, size in sizes.items()}
        conditions = self._known(sizes)
        if None in alone.values() or all(bool(condition.holds(found)) for condition in conditions):
            return found
        rules = {name: self._axis(name).within for name in sizes}
        return closest(sizes, rules, conditions, upwards=upwards) or found

    def __repr__(self) -> str:
        return f"<SizeRule {self}>"

    def __str__(self) -> str:
        by_rule: dict[str, list[str]] = {}
        for axis in self.axes.values():
            by_rule.setdefault(str(axis), []).append(axis.name)
        parts = [f"{' and '.join(names)}: {rule}" for rule, names in by_rule.items()]
        reasons = [condition.reason.partition(", but")[0].removeprefix("it needs ") for condition in self.joint]
        ties = list(dict.fromkeys(f"together {reason}" for reason in reasons))
        if len(ties) > TIES:  # of many inputs, such as the features of another network
            ties = [f"{len(ties)} conditions tie them together"]
        return "; ".join([*parts, *ties]) or "fixed"


def derive(conditions: Iterable[Condition], names: Sequence[str]) -> SizeRule:
    """Derive the rule that admits exactly the sizes that meet every condition."""
    alone: dict[str, dict[tuple[Size, bool], Condition]] = {name: {} for name in names}
    joint: dict[tuple[Size, bool], Condition] = {}
    for condition in (condition for condition in conditions if condition.certain is None):
        used = symbols_of(condition.size)
        group = alone.setdefault(next(iter(used)), {}) if len(used) == 1 else joint
        group.setdefault((condition.size, condition.at_least), condition)
    axes = {name: _axis_rule(name, _strictest(own.values())) for name, own in alone.items()}
    least = {name: axis.minimum or 1 for name, axis in axes.items()}
    kept = [each for each in joint.values() if not _implied(each, least)]
    return SizeRule(axes, tuple(kept))


def _strictest(conditions: Iterable[Condition]) -> list[Condition]:
    """The conditions without those that another one implies, as `H - 2 >= 0` is by `H - 4 >= 0`."""
    found: dict[object, Condition] = {}
    for each in conditions:
        size = each.size
        key = (size.terms, "at least") if each.at_least and isinstance(size, Dim) else (size, each.at_least)
        other = found.setdefault(key, each)
        if each.at_least and isinstance(size, Dim) and isinstance(other.size, Dim):
            found[key] = each if size.constant < other.size.constant else other
    return list(found.values())


def _implied(condition: Condition, least: Mapping[str, int]) -> bool:
    """Whether a condition always holds because it holds for the smallest admissible sizes."""
    known = symbols_of(condition.size) <= least.keys()
    return known and condition.at_least and _grows(condition.size) and bool(condition.holds(least))


def _grows(size: Size) -> bool:
    """Whether a size never falls as the image grows, so that a bound met by the smallest image is met by all."""
    if isinstance(size, int):
        return True
    inner = [part for atom, _ in size.terms for part in vars(atom).values() if isinstance(part, Dim)]
    return all(factor > 0 for _, factor in size.terms) and all(map(_grows, inner))


def possible(condition: Condition) -> bool:
    """Whether some image meets a condition, taken alone.

    Two sizes that both grow with the image must be equal for arbitrarily large images: half of the size equals the
    whole one for an image of one pixel, but that is a mistake and not a rule.
    """
    used = symbols_of(condition.size)
    if len(used) != 1:
        return condition.certain is not False
    [name] = used
    if condition.at_least and condition.holds({name: LIMIT}):
        return True  # a large image meets it
    rule = _axis_rule(name, [condition])
    wanted = condition.wanted
    if isinstance(wanted, Dim) and isinstance(condition.size + wanted, Dim):
        return bool(rule.residues)
    return rule.at_least(SMALLEST) is not None


def _axis_rule(name: str, conditions: Sequence[Condition]) -> AxisRule:
    if not conditions:
        return AxisRule(name)
    patterns = [_pattern(condition, name) for condition in conditions]
    common = math.lcm(*(pattern[0] for pattern in patterns))
    settled = max(pattern[1] for pattern in patterns)
    sizes = np.arange(1, min(settled + 2 * common, LIMIT) + 1)
    known: dict[Any, Any] = {}
    good = np.ones(len(sizes), bool)
    for condition in conditions:
        good &= condition.holds({name: sizes}, known)
        if len(known) * len(sizes) > LIMIT * 64:
            known = {}  # shared parts save time, unless they fill the memory
    return _summary(name, good, common)


def _pattern(condition: Condition, name: str) -> tuple[int, int]:
    """The period of a condition, and a size from which on it repeats; (1, LIMIT) if that is not known."""
    try:
        p, rise = period(condition.size, name)
    except NotPeriodic:  # a square
        return 1, LIMIT
    base = _settled(condition.size, name)
    if rise == 0:
        return p, base
    if p > LIMIT:
        return 1, LIMIT
    window = np.arange(base + 1, base + p + 1)
    worst = int(np.max(np.abs(evaluate(condition.size, {name: window}))))
    return 1, base + p * (worst // abs(rise) + 1)  # from there on the rise decides


def _settled(size: Size, name: str) -> int:
    """A size beyond which the same operand of every maximum inside is always the larger one."""
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
    """The shortest rule for a table of sizes 1, 2, ... whose last `common` entries repeat forever."""
    if 2 * common > len(good):  # the table ends before the pattern repeats: a list
        return AxisRule(name, 1, (), len(good) + 1, tuple(int(index) + 1 for index in np.flatnonzero(good)))
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
