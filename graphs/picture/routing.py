"""Run the wires of a picture between its boxes.

Wires are routed on a grid twice as fine as that of the boxes: odd coordinates are the centre lines of rows and
columns, even ones the gaps between them. A wire may follow a centre line if no box and no wire of another value is in
its way; in a gap every value has a track of its own.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from crossband.graphs.picture.layout import Wiring

BUS = 4  # a value with so many readers runs along one line above its row
Knot: TypeAlias = tuple[int, int]  # a crossing of the grid
Spot: TypeAlias = tuple[Knot, bool]  # a knot that a wire covers, and whether it does so vertically
Wire: TypeAlias = tuple[str, str]  # from one box to another
Line: TypeAlias = tuple[bool, int]  # a gap: whether it is vertical, and its coordinate


# ---------------------------------------------------------------------- ways


@dataclass
class Router:
    """Chooses a way for each wire: the simplest free one. Straight wires come first."""

    flow: Wiring
    knots: Mapping[str, Knot]
    taken: dict[Spot, set[Wire]] = field(default_factory=dict)

    def run(self) -> dict[Wire, list[Knot]]:
        """The corners of every wire, its ends included."""
        self.boxes = set(self.knots.values())
        items = self.flow.items
        wires = [(read, name) for name in items for read in dict.fromkeys(items[name].reads) if read in items]
        wires = [(source, target) for source, target in wires if source != target]
        chosen: dict[Wire, list[Knot]] = {}
        for wire in sorted(wires, key=self._order):
            start, end = (self.knots[name] for name in wire)
            main = self.flow.main(wire[1]) == wire[0]
            bus = not main and len(self.flow.readers.get(wire[0], ())) >= BUS
            ways = list(_ways(start, end, main=main, bus=bus))
            chosen[wire] = next((way for way in ways if self._free(wire, way)), ways[-2])
            for spot in spots(chosen[wire]):
                self.taken.setdefault(spot, set()).add(wire)
        return {wire: chosen[wire] for wire in wires}

    def _order(self, wire: Wire) -> tuple[bool, bool, int, Wire]:
        (x, y), (u, v) = (self.knots[name] for name in wire)
        return x != u and y != v, self.flow.main(wire[1]) != wire[0], abs(u - x) + abs(v - y), wire

    def _free(self, wire: Wire, way: Sequence[Knot]) -> bool:
        covered = list(spots(way))
        if any(knot in self.boxes for knot, _ in covered):
            return False
        return all(_agree({*self.taken.get(spot, ()), wire}) for spot in covered)


def _agree(wires: Collection[Wire]) -> bool:
    """Whether wires may overlap: they carry one value, or end in one box."""
    return len({source for source, _ in wires}) == 1 or len({target for _, target in wires}) == 1


def _ways(start: Knot, end: Knot, *, main: bool, bus: bool) -> Iterator[list[Knot]]:
    """The corners of possible ways, best first; the last ones follow only gaps, where there is always room."""
    (x, y), (u, v) = start, end
    down = 1 if v > y else -1
    corners: list[Knot] = [(x, v), (u, y)] if v > y else [(u, y), (x, v)]
    if (y == v and u > x) or x == u:
        yield [start, end]
    if bus:
        yield [start, (x + 1, y), (x + 1, y - 1), (u - 1, y - 1), (u - 1, v), end]
    if u > x and y != v:
        if main:
            yield from ([start, corner, end] for corner in corners)
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
    for other in (level, 2 * y - level):
        yield [start, (x + 1, y), (x + 1, other), (u - 1, other), (u - 1, v), end]
        yield [start, (x, other), (u - 1, other), (u - 1, v), end]


def spots(way: Sequence[Knot]) -> Iterator[Spot]:
    """The spots on centre lines that a way covers, without its ends and without the last step, which has ports."""
    last = last_step(way)
    for start, end in itertools.pairwise(way[:-1] if last else way):
        vertical = start[0] == end[0]
        (x, y), (u, v) = sorted((start, end))
        if (x if vertical else y) % 2 == 0:
            continue
        for step in range((v - y if vertical else u - x) + 1):
            knot = (x, y + step) if vertical else (x + step, y)
            if knot not in (way[0], way[-1]):
                yield knot, vertical


def last_step(way: Sequence[Knot]) -> Spot | None:
    """The spot beside the target at which a way leaves a gap to end there; None for other ways."""
    (x, y), (u, v) = way[-2], way[-1]
    return ((x, y), x == u) if len(way) > 2 and abs(x - u) + abs(y - v) == 1 else None


# ---------------------------------------------------------------------- tracks


def tracks_of(ways: Mapping[Wire, Sequence[Knot]]) -> tuple[dict[tuple[Wire, Line], int], dict[Line, int]]:
    """The track of each wire in each gap that it follows, and how many tracks each gap has."""
    gaps: dict[Line, dict[Wire, tuple[int, int]]] = {}
    for wire, way in ways.items():
        for (x, y), (u, v) in itertools.pairwise(way):
            vertical = x == u
            if (x if vertical else y) % 2 == 0:
                low, high = sorted((y, v) if vertical else (x, u))
                gaps.setdefault((vertical, x if vertical else y), {})[wire] = (low, high)
    tracks: dict[tuple[Wire, Line], int] = {}
    counts: dict[Line, int] = {}
    for line, spans in gaps.items():
        ends: list[list[tuple[int, int]]] = []
        for bundle in _bundles(spans):
            low, high = min(spans[wire][0] for wire in bundle), max(spans[wire][1] for wire in bundle)
            fits = (n for n, used in enumerate(ends) if all(high < start or end < low for start, end in used))
            track = next(fits, len(ends))
            ends[track:track] = [[]] if track == len(ends) else []
            ends[track].append((low, high))
            tracks |= {(wire, line): track for wire in bundle}
        counts[line] = len(ends)
    return tracks, counts


def _bundles(wires: Iterable[Wire]) -> list[list[Wire]]:
    """Group wires that share a track: those of one source or to one target, the largest groups first."""
    left, bundles = list(wires), []
    while left:
        groups: dict[tuple[int, str], list[Wire]] = {}
        for wire in left:
            for side in (1, 0):
                groups.setdefault((side, wire[side]), []).append(wire)
        bundle = max(groups.values(), key=len)
        bundles.append(bundle)
        left = [wire for wire in left if wire not in bundle]
    return bundles
