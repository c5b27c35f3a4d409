"""Symbolic sizes: whole-number expressions in the unknown height and width of an image.

A contract is evaluated on these, so that a whole graph is checked for every image size at once.
Expressions keep a normal form (a sum of multiples of symbols and floor divisions), hence equal sizes
are usually equal objects, and `(H // 2) // 2` is `H // 4`. Plain `int` in, plain `int` out: the same
arithmetic serves real shapes. Every expression built here is *quasi-linear*: there is a period P with
size(n + P) == size(n) + rise, which makes the rule for admissible image sizes exact.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, TypeAlias, Union

import numpy as np

Size: TypeAlias = Union[int, "Dim"]
Shape: TypeAlias = tuple[Size, ...]


class NotPeriodic(ValueError):
    """An expression, for example a product of two sizes, has no period in one symbol."""


@dataclass(frozen=True)
class Symbol:
    """An unknown whole number of at least 1, such as the height `H` of an image."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Floor:
    """`numerator // divisor` that does not simplify further."""

    numerator: "Dim"
    divisor: int

    def __str__(self) -> str:
        top, k = self.numerator, self.divisor
        if top.constant == k - 1:
            return f"⌈{_group(top - top.constant)}/{k}⌉"
        return f"{_group(top)}/{k}" if top.constant == 0 and len(top.terms) == 1 else f"⌊({top})/{k}⌋"


@dataclass(frozen=True)
class Largest:
    """The larger of two sizes."""

    left: "Dim"
    right: "Dim"

    def __str__(self) -> str:
        return f"max({self.left}, {self.right})"


@dataclass(frozen=True)
class Product:
    """The product of two unknown sizes."""

    left: "Dim"
    right: "Dim"

    def __str__(self) -> str:
        return f"{_group(self.left)}·{_group(self.right)}"


Atom: TypeAlias = Symbol | Floor | Largest | Product


@dataclass(frozen=True)
class Dim:
    """A sum of multiples of atoms, plus a constant. Made by `symbol` and arithmetic, never by hand."""

    terms: tuple[tuple[Atom, int], ...]
    constant: int = 0

    @cached_property
    def _hash(self) -> int:
        return hash((self.terms, self.constant))

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Size) -> Size:
        if isinstance(other, int):
            return Dim(self.terms, self.constant + other)
        merged = dict(self.terms)
        for atom, factor in other.terms:
            merged[atom] = merged.get(atom, 0) + factor
        return _sum(merged, self.constant + other.constant)

    def __mul__(self, other: Size) -> Size:
        if isinstance(other, int):
            return _sum({atom: factor * other for atom, factor in self.terms}, self.constant * other)
        left, right = sorted((self, other), key=str)
        return Dim(((Product(left, right), 1),))

    def __floordiv__(self, k: int) -> Size:
        if not isinstance(k, int) or k < 1:
            raise NotPeriodic(f"a size can be divided by a whole number of at least 1, not by {k}")
        whole = {atom: factor // k for atom, factor in self.terms if factor % k == 0}
        rest = {atom: factor for atom, factor in self.terms if factor % k}
        outside, inside = divmod(self.constant, k)
        match list(rest.items()):
            case []:
                return _sum(whole, outside)
            case [(Floor(numerator, divisor), 1)]:  # (x // a + d) // k == (x + a * d) // (a * k)
                floor = Floor(_dim(numerator + divisor * inside), divisor * k)
            case _:
                floor = Floor(_dim(_sum(rest, inside)), k)
        return _dim(_sum(whole, outside)) + Dim(((floor, 1),))

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + other * -1

    def __rsub__(self, other: int) -> Size:
        return self * -1 + other

    def __mod__(self, k: int) -> Size:
        return self - self // k * k

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        parts = [_term(atom, factor) for atom, factor in self.terms]
        if self.constant or not parts:
            parts.append(str(self.constant))
        return "+".join(parts).replace("+-", "-")

    @cached_property
    def depth(self) -> int:
        """How deep floor divisions, maxima and products are nested."""
        return max((_depth(atom) for atom, _ in self.terms), default=0)

    @cached_property
    def least(self) -> float:
        """A lower bound of this size, given that every unknown is at least 1."""
        return self.constant + sum(
            factor * (_atom_bound(atom) if factor > 0 else _atom_ceiling(atom)) for atom, factor in self.terms
        )

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The names of the unknowns this size depends on."""
        return frozenset(name for atom, _ in self.terms for name in _symbols(atom))


def symbol(name: str) -> Dim:
    """The unknown size called `name`."""
    return Dim(((Symbol(name), 1),))


def ceil_div(size: Size, k: int) -> Size:
    """`size / k` rounded up."""
    return (size + (k - 1)) // k


def largest(left: Size, right: Size) -> Size:
    """The larger of two sizes."""
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    if isinstance(difference := left - right, int):
        return left if difference >= 0 else right
    return Dim(((Largest(_dim(left), _dim(right)), 1),))


def smallest(left: Size, right: Size) -> Size:
    """The smaller of two sizes."""
    return -largest(-left, -right)


def symbols_of(size: Size) -> frozenset[str]:
    """The names of the unknowns that `size` depends on: none for a number."""
    return size.symbols if isinstance(size, Dim) else frozenset()


def evaluate(size: Size, values: Mapping[str, Any], known: dict[Any, Any] | None = None) -> Any:
    """Evaluate `size` with numbers, or NumPy arrays of them, for its symbols. `known` keeps values of shared parts."""
    if isinstance(size, int):
        return size
    known = {} if known is None else known
    if size not in known:
        known[size] = size.constant + sum(factor * _evaluate_atom(atom, values, known) for atom, factor in size.terms)
    return known[size]


def _evaluate_atom(atom: Atom, values: Mapping[str, Any], known: dict[Any, Any]) -> Any:
    match atom:
        case Symbol(name):
            return values[name]
        case Floor(numerator, divisor):
            return evaluate(numerator, values, known) // divisor
        case Largest(left, right):
            return np.maximum(evaluate(left, values, known), evaluate(right, values, known))
        case Product(left, right):
            return evaluate(left, values, known) * evaluate(right, values, known)


def period(size: Size, name: str) -> tuple[int, int]:
    """`(P, rise)` with size(n + P) == size(n) + rise in the symbol `name`, for n large enough to settle every maximum.

    Raises NotPeriodic if a product of two sizes makes that impossible.
    """
    if isinstance(size, int) or name not in size.symbols:
        return 1, 0
    parts = [(*_atom_period(atom, name), factor) for atom, factor in size.terms]
    common = reduce(math.lcm, (p for p, _, _ in parts), 1)
    return common, sum(factor * rise * (common // p) for p, rise, factor in parts)


def _atom_period(atom: Atom, name: str) -> tuple[int, int]:
    match atom:
        case Symbol():
            return 1, int(atom.name == name)
        case Floor(numerator, divisor):
            p, rise = period(numerator, name)
            times = divisor // math.gcd(rise, divisor) if rise else 1
            return p * times, rise * times // divisor
        case Largest(left, right):
            (p, rise), (q, other) = period(left, name), period(right, name)
            common = math.lcm(p, q)
            return common, max(rise * (common // p), other * (common // q))
        case Product(left, right):
            (p, rise), (q, other) = period(left, name), period(right, name)
            if rise or other:
                raise NotPeriodic(f"{atom} grows with the square of {name}")
            return math.lcm(p, q), 0


def lower_bound(size: Size) -> float:
    """A lower bound of `size`, given that every unknown is at least 1."""
    if isinstance(size, int):
        return size
    return size.least


def _atom_bound(atom: Atom) -> float:
    match atom:
        case Symbol():
            return 1
        case Floor(numerator, divisor):
            bound = lower_bound(numerator)
            return bound if math.isinf(bound) else bound // divisor  # -inf // k would be nan
        case Largest(left, right):
            return max(lower_bound(left), lower_bound(right))
        case Product(left, right):
            bounds = lower_bound(left), lower_bound(right)
            return bounds[0] * bounds[1] if min(bounds) >= 0 else -math.inf


def _atom_ceiling(atom: Atom) -> float:
    """An upper bound of an atom."""
    match atom:
        case Floor(numerator, divisor):
            ceiling = -lower_bound(-numerator)
            return ceiling if math.isinf(ceiling) else ceiling // divisor
        case Largest(left, right):
            return max(-lower_bound(-left), -lower_bound(-right))
        case _:
            return math.inf


@dataclass(frozen=True)
class Condition:
    """A requirement on a size: `size == 0`, or `size >= 0` if `at_least` is set.

    `reason` says it in the user's terms, and `hint` what would be right, where that is known. If an input of a
    block must have a certain size, `axis` is the position of that size (1 is channels), `input` the number of the
    input from 0 and `wanted` the size.
    """

    size: Size
    at_least: bool
    reason: str
    axis: int | None = None
    input: int | None = None
    wanted: Size | None = None
    hint: str | None = None

    @property
    def certain(self) -> bool | None:
        """True or False where the condition has no unknown left, None where it depends on the image size."""
        if isinstance(self.size, int):
            return self.size >= 0 if self.at_least else self.size == 0
        return True if self.at_least and lower_bound(self.size) >= 0 else None

    def holds(self, values: Mapping[str, Any], known: dict[Any, Any] | None = None) -> Any:
        """Whether it holds for these numbers, or arrays of numbers."""
        size = evaluate(self.size, values, known)
        return size >= 0 if self.at_least else size == 0


def _sum(terms: Mapping[Atom, int], constant: int) -> Size:
    kept = {atom: factor for atom, factor in terms.items() if factor}
    return Dim(tuple(sorted(kept.items(), key=lambda term: str(term[0]))), constant) if kept else constant


def _dim(size: Size) -> Dim:
    return size if isinstance(size, Dim) else Dim((), size)


def _group(size: Size) -> str:
    plain = isinstance(size, int) or (len(size.terms) == 1 and not size.constant)
    return str(size) if plain else f"({size})"


def _depth(atom: Atom) -> int:
    match atom:
        case Symbol():
            return 0
        case Floor(numerator, _):
            return 1 + numerator.depth
        case Largest(left, right) | Product(left, right):
            return 1 + max(left.depth, right.depth)


def _term(atom: Atom, factor: int) -> str:
    """Write a multiple of an atom: `smallest` as `min`, and twice `H/2` as `2·⌊H/2⌋`, since 2·H/2 would read as H."""
    text = str(atom)
    if factor < 0 and isinstance(atom, Largest) and min(map(lower_bound, (-atom.left, -atom.right))) > -math.inf:
        factor, text = -factor, f"min({-atom.left}, {-atom.right})"
    if isinstance(atom, Floor) and not text.startswith(("⌊", "⌈")) and factor != 1:
        text = f"⌊{text}⌋"
    return text if factor == 1 else f"{factor}·{text}"


def _symbols(atom: Atom) -> Iterator[str]:
    match atom:
        case Symbol(name):
            yield name
        case Floor(numerator, _):
            yield from numerator.symbols
        case Largest(left, right) | Product(left, right):
            yield from left.symbols | right.symbols
