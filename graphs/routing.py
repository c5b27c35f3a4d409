"""How the wires of a picture run between its boxes, and where in pixels everything comes to stand.

Wires are drawn on a grid twice as fine as that of the boxes: odd coordinates are the centre lines of rows
and columns, even ones the gaps between them. A wire may follow a centre line where no box and no wire of
another value is in its way; in a gap every value has a track of its own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crossband.graphs.layout import Cell, Item, place

TRACK = 13.0  # pixels between two wires in one gap
GAP_X, GAP_Y = 46.0, 34.0  # least gap between columns and between rows
PORT = 9.0  # pixels from the centre of a side to where a second wire ends
Point = tuple[float, float]
Knot = tuple[int, int]
Wire = tuple[str, str]  # from one box to another


@dataclass(frozen=True)
class Box:
    """Where an item stands, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Band:
    """The rows of one scale."""

    level: int
    top: float
    bottom: float


@dataclass(frozen=True)
class Layout:
    """Boxes by name, the corners of each wire, where to write the shape of each value, and the bands."""

    boxes: Mapping[str, Box]
    wires: Mapping[Wire, Sequence[Point]]
    labels: Mapping[str, tuple[Point, bool]]  # by source; whether the wire there is vertical
    bands: Sequence[Band]
    width: float
    height: float


def arrange(items: Sequence[Item], label_widths: Mapping[str, float]) -> Layout:
    """Place the boxes, run the wires and give everything its pixels, the top left corner being (0, 0).

    `label_widths` are the pixels that the shape of each value takes.
    """
    cells = place(items)
    rows = {row: number for number, row in enumerate(sorted({cell.row for cell in cells.values()}))}
    first = min((cell.column for cell in cells.values()), default=0)
    knots = {name: (2 * (cell.column - first) + 1, 2 * rows[cell.row] + 1) for name, cell in cells.items()}
    paths = _Router(knots, _wires(items)).run()
    tracks = _Tracks(paths)
    return _Metric({item.name: item for item in items}, cells, knots, paths, tracks, label_widths).layout()


def _wires(items: Sequence[Item]) -> list[Wire]:
    names = {item.name for item in items}
    wires = [(read, item.name) for item in items for read in dict.fromkeys(item.reads)]
    return [(read, name) for read, name in wires if read in names and read != name]


# ---------------------------------------------------------------------- ways


@dataclass
class _Router:
    """Chooses a way for each wire: the simplest that is free, those that are straight first."""

    knots: Mapping[str, Knot]
    wires: Sequence[Wire]
    taken: dict[tuple[Knot, bool], set[Wire]] = field(default_factory=dict)

    def run(self) -> dict[Wire, list[Knot]]:
        self.boxes = set(self.knots.values())
        chosen: dict[Wire, list[Knot]] = {}
        for wire in sorted(self.wires, key=self._order):
            start, end = (self.knots[name] for name in wire)
            chosen[wire] = next(way for way in _ways(start, end) if self._free(wire, way))
            for spot in _spots(chosen[wire]):
                self.taken.setdefault(spot, set()).add(wire)
        return {wire: chosen[wire] for wire in self.wires}

    def _order(self, wire: Wire) -> tuple[bool, int, Wire]:
        (x, y), (u, v) = (self.knots[name] for name in wire)
        return x != u and y != v, abs(u - x) + abs(v - y), wire

    def _free(self, wire: Wire, way: Sequence[Knot]) -> bool:
        if any(spot in self.boxes for spot, _ in _spots(way, ends=False)):
            return False
        return all(_agree({*self.taken.get(spot, ()), wire}) for spot in _spots(way))


def _agree(wires: set[Wire]) -> bool:
    """Whether wires may lie on one another: they carry one value, or end in one box."""
    return len({source for source, _ in wires}) == 1 or len({target for _, target in wires}) == 1


def _ways(start: Knot, end: Knot) -> Iterator[list[Knot]]:
    """The corners of possible ways, best first. The last one follows gaps only and is always free."""
    (x, y), (u, v) = start, end
    down = 1 if v > y else -1
    if (y == v and u > x) or x == u:
        yield [start, end]
    if u > x and y != v:
        corners: list[Knot] = [(x, v), (u, y)] if v > y else [(u, y), (x, v)]
        if u - x == 2:
            yield from ([start, corner, end] for corner in corners[: 1 if abs(v - y) == 2 else 0])
        yield [start, (u - 1, y), (u - 1, v), end]
        yield [start, (x + 1, y), (x + 1, v), end]
        yield from ([start, corner, end] for corner in corners)
    if x == u:
        yield [start, (x + 1, y), (x + 1, v), end]
    if y != v:
        yield [start, (x, v - down), (u, v - down), end]
        yield [start, (x, y + down), (u, y + down), end]
    level = y - 1 if v <= y else y + 1
    if y == v:
        yield [start, (x + 1, y), (x + 1, level), (u, level), end]
    yield [start, (x + 1, y), (x + 1, level), (u - 1, level), (u - 1, v), end]


def _spots(way: Sequence[Knot], *, ends: bool = True) -> Iterator[tuple[Knot, bool]]:
    """The knots on centre lines that a way covers, each with whether it does so vertically."""
    for (x, y), (u, v) in zip(way, way[1:], strict=False):
        vertical = x == u
        if (x if vertical else y) % 2 == 0:
            continue
        low, high = sorted((y, v) if vertical else (x, u))
        for step in range(low, high + 1):
            knot = (x, step) if vertical else (step, y)
            if knot not in (way[0], way[-1]) and (ends or knot not in way):
                yield knot, vertical
