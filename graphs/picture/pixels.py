"""The position of everything in a picture, in pixels: boxes, the corners of wires, labels, bands."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from crossband.graphs.picture.layout import Cell, Item, Wiring, place
from crossband.graphs.picture.routing import Knot, Router, Spot, Wire, last_step, spots, tracks_of
from crossband.graphs.picture.svg import Point

TRACK = 13.0  # pixels between two wires in one gap
GAP_X, GAP_Y = 46.0, 34.0  # smallest gap between columns and between rows
PORT = 6.0  # pixels from the centre of a side to the end of a second wire


@dataclass(frozen=True)
class Box:
    """The position and size of an item, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> Point:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Band:
    """The rows of one scale."""

    level: int
    top: float
    bottom: float


@dataclass(frozen=True)
class Layout:
    """Boxes by name, the corners of each wire, the position of the shape of each value, and the bands."""

    boxes: Mapping[str, Box]
    wires: Mapping[Wire, Sequence[Point]]
    labels: Mapping[str, Point]  # by source; the beginning of the text
    bands: Sequence[Band]
    width: float
    height: float


def arrange(items: Sequence[Item], label_widths: Mapping[str, float]) -> Layout:
    """Place the boxes, run the wires and compute all positions in pixels from the top left corner.

    `label_widths` are the widths of the shapes of values, in pixels, by the names of their sources.
    """
    if not items:
        return Layout({}, {}, {}, [], 0, 0)
    flow = Wiring({item.name: item for item in items})
    cells = place(flow)
    rows = {row: number for number, row in enumerate(sorted({cell.row for cell in cells.values()}))}
    first = min((cell.column for cell in cells.values()), default=0)
    knots = {name: (2 * (cell.column - first) + 1, 2 * rows[cell.row] + 1) for name, cell in cells.items()}
    ways = Router(flow, knots).run()
    return _Metric(flow.items, cells, knots, ways, label_widths).layout()


@dataclass
class _Metric:
    """Translates the grid to pixels."""

    items: Mapping[str, Item]
    cells: Mapping[str, Cell]
    knots: Mapping[str, Knot]
    ways: Mapping[Wire, Sequence[Knot]]
    label_widths: Mapping[str, float]

    def layout(self) -> Layout:
        self.tracks, self.counts = tracks_of(self.ways)
        self.leading = self._leading()
        self.passing = {spot for way in self.ways.values() for spot in spots(way)}
        self.crowd: dict[Spot, list[Wire]] = {}
        for wire, way in self.ways.items():
            if last := last_step(way):
                self.crowd.setdefault(last, []).append(wire)
        self.widths: dict[tuple[int, str], float] = {}
        for name, item in self.items.items():
            column = self.knots[name][0], item.kind
            self.widths[column] = max(self.widths.get(column, 0), item.width)
        self.columns, self.rows = self._extents(0), self._extents(1)
        self.xs = self._along(self.columns, self._column_gap)
        self.ys = self._along(self.rows, self._row_gap)
        self.boxes = {name: self._box(name) for name in self.items}
        wires = {wire: self._points(wire) for wire in self.ways}
        labels = {name: self._label(wires[wire]) for name, wire in self.leading.items()}
        return Layout(self.boxes, wires, labels, self._bands(), self.xs[-1][1], self.ys[-1][1])

    def _leading(self) -> dict[str, Wire]:
        """The wire of each source that carries its shape: a vertical one, which has room beside it, if there is one."""
        leading: dict[str, Wire] = {}
        for wire in self.ways:
            if wire[0] in self.label_widths and (wire[0] not in leading or self._vertical(wire)):
                leading.setdefault(wire[0], wire) if not self._vertical(wire) else leading.update({wire[0]: wire})
        return leading

    def _vertical(self, wire: Wire) -> bool:
        way = self.ways[wire]
        return way[0][0] == way[1][0]

    def _extents(self, axis: int) -> list[float]:
        """The width of each column, or the height of each row."""
        sizes: dict[int, float] = {}
        for name, knot in self.knots.items():
            size = self.items[name].height if axis else self.items[name].width
            sizes[knot[axis]] = max(sizes.get(knot[axis], 0), size)
        return [sizes.get(place, 0) for place in range(1, max(sizes, default=0) + 1, 2)]

    def _along(
        self, extents: Sequence[float], gap: Callable[[int, int], tuple[float, float]]
    ) -> list[tuple[float, float]]:
        """The first and last pixel of each grid line; gaps alternate with rows or columns."""
        lines: list[tuple[float, float]] = []
        at = 0.0
        for number in range(len(extents) + 1):
            before, after = gap(2 * number, len(extents))
            lines.append((at + before, at + after))
            at += after
            if number < len(extents):
                lines.append((at, at + extents[number]))
                at += extents[number]
        return lines

    def _column_gap(self, line: int, count: int) -> tuple[float, float]:
        """The offset of the first track in a gap between columns, and the width of the gap, with labels and arrows."""
        tracks = TRACK * self.counts.get((True, line), 0)
        if line == 0:
            return 0, tracks
        before = {n: wire for n, wire in self.leading.items() if self.knots[n][0] == line - 1}
        beside = [self.label_widths[n] + 12 for n, wire in before.items() if not self._vertical(wire)]
        below = [
            self.label_widths[n] + 10 - self.columns[line // 2 - 1] / 2
            for n, wire in before.items()
            if self._vertical(wire)
        ]
        label = max([GAP_X / 2 - 6, *beside, *(below if tracks else ())])
        if line == 2 * count:
            return max([10.0, *below]), max([0.0, *below]) + (tracks and tracks + 10)
        return label, max(GAP_X, label + tracks + 16)

    def _row_gap(self, line: int, count: int) -> tuple[float, float]:
        tracks = TRACK * self.counts.get((False, line), 0)
        if line in (0, 2 * count):
            return 8, tracks and tracks + 8
        return (GAP_Y - tracks) / 2 if tracks < 10 else 20, max(GAP_Y, tracks + 40)

    def _box(self, name: str) -> Box:
        """Centred in its cell; nodes of one column are equally wide."""
        item, (x, y) = self.items[name], self.knots[name]
        (left, right), (top, bottom) = self.xs[x], self.ys[y]
        width = self.widths[x, item.kind]
        return Box((left + right - width) / 2, (top + bottom - item.height) / 2, width, item.height)

    def _points(self, wire: Wire) -> list[Point]:
        """The corners of a wire in pixels, from the edge of one box to the edge of the other."""
        way = self.ways[wire]
        points = [self._point(wire, way, number) for number in range(1, len(way) - 1)]
        source, target = (self.boxes[name] for name in wire)
        port = self._port(wire)
        start, end = (self._point(wire, way, number) for number in (0, -1))
        if points and port:
            vertical = way[-1][0] == way[-2][0]
            end = (end[0] + port, end[1]) if vertical else (end[0], end[1] + port)
            points[-1] = (end[0], points[-1][1]) if vertical else (points[-1][0], end[1])
        corners = [start, *points, end]
        corners[0] = _edge(source, corners[0], corners[1])
        corners[-1] = _edge(target, corners[-1], corners[-2])
        return corners

    def _point(self, wire: Wire, way: Sequence[Knot], number: int) -> Point:
        x, y = way[number]
        return self._pixel(wire, True, x, self.xs), self._pixel(wire, False, y, self.ys)

    def _pixel(self, wire: Wire, vertical: bool, line: int, lines: Sequence[tuple[float, float]]) -> float:
        first, last = lines[line]
        if line % 2:
            return (first + last) / 2
        return first + TRACK * (self.tracks.get((wire, (vertical, line)), 0) + 0.5)

    def _port(self, wire: Wire) -> float:
        """The distance from the centre of a side at which a wire from a gap ends: not 0 if others are in the way."""
        way = self.ways[wire]
        last = last_step(way)
        if last is None or ({target for _, target in self.crowd[last]} == {wire[1]} and last not in self.passing):
            return 0
        (gap, vertical), end, before = last, way[-1], way[-3]
        item = self.items[wire[1]]
        near, room = (PORT, 2 * PORT)[gap > end], (item.width if vertical else item.height) / 2 - 4
        return math.copysign(min(near, room), before[0] - gap[0] if vertical else before[1] - gap[1])

    @staticmethod
    def _label(points: Sequence[Point]) -> Point:
        """The position of a shape beside the beginning of a wire."""
        (x, y), (u, v) = points[0], points[1]
        if x == u:
            return x + 7, y + math.copysign(min(abs(v - y) / 2, 15), v - y) + 3.5
        return x + 6, y - 6

    def _bands(self) -> list[Band]:
        """The rows of each scale, one band reaching up to the next."""
        spans: dict[int, tuple[float, float]] = {}
        for name, cell in self.cells.items():
            top, bottom = self.ys[self.knots[name][1]]
            low, high = spans.get(cell.band, (top, bottom))
            spans[cell.band] = min(low, top), max(high, bottom)
        ordered = sorted(spans.items())
        edges = [(above[1][1] + below[1][0]) / 2 for above, below in pairwise(ordered)]
        tops, bottoms = [0.0, *edges], [*edges, self.ys[-1][1]]
        return [Band(level, top, bottom) for (level, _), top, bottom in zip(ordered, tops, bottoms, strict=True)]


def _edge(box: Box, inside: Point, outside: Point) -> Point:
    """The point at which a horizontal or vertical line from inside a box leaves it."""
    if inside[0] == outside[0]:
        return inside[0], box.y + box.height if outside[1] > inside[1] else box.y
    return (box.x + box.width if outside[0] > inside[0] else box.x), inside[1]
