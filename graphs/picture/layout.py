"""Place the boxes of a picture on a grid: rows by spatial scale, columns by progress through the network.

The *spine* is the longest path from an input to the first output. It goes down where the image becomes smaller and up
where it grows, which gives a U-shaped network its U; within one scale it runs to the right. Other boxes are placed
around the spine where they block no straight wire. If paths upwards leave the way down at several scales, as in
UNet++, they are placed side by side instead, the shortest first. All coordinates are whole numbers on a grid; see
`crossband.graphs.picture.pixels` for pixels.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import NamedTuple

RUN = 5  # columns of a run at one scale before it continues on the next line


@dataclass(frozen=True)
class Item:
    """A box to place: its size in pixels, its scale (0 is the size of the image, 1 half of it), its inputs."""

    name: str
    width: float
    height: float
    level: int
    reads: tuple[str, ...] = ()
    kind: str = "node"  # or "input", "output"


class Cell(NamedTuple):
    """A cell of the grid. A band holds the boxes of one scale, in one or more lanes."""

    band: int
    lane: int
    column: int

    @property
    def row(self) -> tuple[int, int]:
        """Band and lane."""
        return self.band, self.lane


def place(flow: "Wiring") -> dict[str, Cell]:
    """Give each item a cell of its own."""
    return _line(flow) if flow.is_chain and not flow.rises(flow.spine) else _Placing(flow).place()


@dataclass
class Wiring:
    """The connections between one or more items. Cycles are cut where the search closes them."""

    items: Mapping[str, Item]
    reads: dict[str, list[str]] = field(default_factory=dict)
    readers: dict[str, list[str]] = field(default_factory=dict)
    rank: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.items:
            self._visit(name)
        for name in self.rank:
            for read in self.reads[name]:
                self.readers.setdefault(read, []).append(name)
        self.spine = self.path(self.items)

    def _visit(self, start: str) -> None:
        """Rank `start` and its ancestors: without recursion, because a chain may be a thousand nodes long."""
        trail = {} if start in self.rank else {start: self._known(start)}
        while trail:
            name = next(reversed(trail))
            read = next(trail[name], None)
            if read is None:
                del trail[name]
                self.rank[name] = 1 + max((self.rank[each] for each in self.reads[name]), default=-1)
            elif read in self.rank:
                self.reads[name].append(read)
            elif read not in trail:
                trail[name] = chain([read], trail[name])
                trail[read] = self._known(read)

    def _known(self, name: str) -> Iterator[str]:
        self.reads.setdefault(name, [])
        return iter([read for read in dict.fromkeys(self.items[name].reads) if read in self.items])

    def main(self, name: str) -> str | None:
        """The input of an item through which the longest path leads."""
        return max(self.reads[name], key=lambda read: self.rank[read], default=None)

    def path(self, among: Iterable[str]) -> list[str]:
        """The longest path through `among`, to its first output if it has one, else to its farthest end."""
        names = set(among)
        ends = [name for name in self.items if name in names and self.items[name].kind == "output"][:1]
        farthest = max((name for name in self.items if name in names), key=lambda name: self.rank[name])
        trail: list[str] = [*ends, farthest][:1]
        while (before := self._before(trail[-1], names)) is not None:
            trail.append(before)
        return trail[::-1]

    def _before(self, name: str, among: set[str]) -> str | None:
        return max((read for read in self.reads[name] if read in among), key=lambda read: self.rank[read], default=None)

    @property
    def is_chain(self) -> bool:
        """Whether the items are one line without branches."""
        return len(self.spine) == len(self.items) and all(len(each) < 2 for each in self.readers.values())

    @property
    def is_lattice(self) -> bool:
        """Whether a path upwards leaves the way down before its end and has skips of its own."""
        deepest = max(self.items[name].level for name in self.spine)
        bottom = next(number for number, name in enumerate(self.spine) if self.items[name].level == deepest)
        down, spine = set(self.spine[:bottom]), set(self.spine)
        for name in self.items.keys() - spine:
            level = self.items[name].level
            rises = any(read in down and self.items[read].level > level for read in self.reads[name])
            beside = (read for each in (name, *self.readers.get(name, ())) for read in self.reads[each] if read != name)
            if rises and any(self.items[read].level == level and self.items[read].kind == "node" for read in beside):
                return True
        return False

    def rises(self, path: Sequence[str]) -> int:
        """How often the image grows along a path."""
        levels = [self.items[name].level for name in path]
        return sum(after < before for before, after in pairwise(levels))


def _line(flow: Wiring) -> dict[str, Cell]:
    """Place a chain from left to right, in lines of equal length if it is long."""
    lines = -(-len(flow.spine) // (RUN + 2))
    length = -(-len(flow.spine) // lines)
    return {name: Cell(0, number // length, number % length) for number, name in enumerate(flow.spine)}


@dataclass
class _Placing:
    """The cells assigned so far. Bands are the levels themselves; lanes and columns may be negative."""

    flow: Wiring
    cells: dict[str, Cell] = field(default_factory=dict)

    def place(self) -> dict[str, Cell]:
        """Place the spine first, then branches, the outputs last."""
        items = self.flow.items
        if self.flow.is_lattice:
            self._lattice()
        else:
            self._spine([name for name in self.flow.spine if items[name].kind != "output"])
        left = [name for name in items if name not in self.cells and items[name].kind != "output"]
        while left:
            path = self.flow.path(left)
            self._branch(path)
            left = [name for name in left if name not in path]
        last = 1 + max((cell.column for cell in self.cells.values()), default=-1)
        for name in (name for name in items if items[name].kind == "output"):
            home = self.cells.get(self.flow.main(name) or "", Cell(items[name].level, 0, last))
            self._settle(name, home.band, last, home.lane)
        return self.cells

    def _lattice(self) -> None:
        """Place each item in the column counted by the steps along or up a scale on the longest path to it."""
        items = self.flow.items
        for name in sorted(self.flow.rank, key=self.flow.rank.__getitem__):
            if items[name].kind != "output":
                reads = [read for read in self.flow.reads[name] if read in self.cells]
                steps = (self.cells[read].column + (items[read].level >= items[name].level) for read in reads)
                self._settle(name, items[name].level, max(steps, default=0), 0)

    # ------------------------------------------------------------------ spine

    def _spine(self, names: Sequence[str]) -> None:
        """Place the spine: down one column, along the bottom, up another column, and so on."""
        levels = [self.flow.items[name].level for name in names]
        turn = 0  # direction of the last change of scale: 1 is down, -1 up
        run: list[str] = []
        for number, name in enumerate(names):
            ahead = next((_sign(later - levels[number]) for later in levels[number:] if later != levels[number]), 0)
            if not run:
                self.cells[name] = Cell(levels[number], 0, 0)
            elif levels[number] == levels[number - 1]:
                self.cells[name] = self._along(name, run, turn, ahead)
            else:
                step = _sign(levels[number] - levels[number - 1])
                end = next((n for n in range(number, len(levels)) if levels[n] != levels[number]), len(levels))
                self.cells[name] = self._across(names[number:end], run, turn, step, ahead)
                turn, run = step, []
            run.append(name)

    def _along(self, name: str, run: Sequence[str], turn: int, ahead: int) -> Cell:
        """The next cell at the same scale: below or above on the way down or up, else to the right, in lines."""
        last, first = self.cells[run[-1]], self.cells[run[0]]
        if ahead == 1 and turn != -1 and self.flow.items[run[-1]].kind != "input":
            return last._replace(lane=last.lane + 1)
        if ahead == -1 and turn == -1:
            return last._replace(lane=last.lane - 1)
        joins = len(self.flow.reads[name]) > 1  # a join stays beside what it joins
        if last.column - first.column + 1 >= RUN + joins:
            return Cell(last.band, last.lane + 1, first.column)
        return last._replace(column=last.column + 1)

    def _across(self, new: Sequence[str], run: Sequence[str], turn: int, step: int, ahead: int) -> Cell:
        """The first cell at the next scale: in the same column, or in the next one where the spine turns.

        `new` is the run that begins here; a long one at the bottom leaves room for the skips above it anyway.
        """
        last, band = self.cells[run[-1]], self.flow.items[new[0]].level
        column = max(self.cells[each].column for each in run)
        cells = [self.cells[name] for name in run if self.flow.items[name].kind != "input"] or [last]
        lines = len({cell.lane for cell in cells}) > 1 and len({cell.column for cell in cells}) > 1
        column += lines or (turn == -step and len(run) < 3) or (step == 1 and ahead == -1 and len(new) == 1)
        if step == -1:
            column = max([column, *(cell.column + 1 for cell in self.cells.values() if cell.band == band)])
        stacked = new if step == ahead == -1 else new[:1]
        beside = (
            self.cells[read].lane + number
            for number, name in enumerate(stacked)
            for read in self.flow.reads[name]
            if read in self.cells and self.cells[read].band == band
        )
        return Cell(band, next(beside, len(stacked) - 1), column)

    # ------------------------------------------------------------------ branches

    def _branch(self, path: Sequence[str]) -> None:
        """Place a path off the spine, as close as possible to where it joins placed boxes."""
        flow = self.flow
        source = next((read for read in flow.reads[path[0]] if read in self.cells), None)
        climbing = flow.rises([*([source] if source else []), *path]) > 1
        joins = [
            self.cells[reader].column - number - 1
            for number, name in enumerate(path)
            for reader in flow.readers.get(name, ())
            if reader in self.cells
        ]
        latest = min(joins, default=None)
        if climbing and not joins:
            latest = 1 + max((cell.column for cell in self.cells.values()), default=-1)
        if flow.items[path[0]].kind == "input" and joins and len({flow.items[name].level for name in path}) > 2:
            self._arm(path)
            return
        for number, name in enumerate(path):
            placed = [self.cells[read] for read in flow.reads[name] if read in self.cells]
            band = self._band(name, placed, climbing)
            earliest = max((cell.column + (cell.band == band) for cell in placed), default=None)
            wanted = latest + (0 if climbing and not joins else number) if latest is not None else earliest
            column = max((each for each in (wanted, earliest) if each is not None), default=0)
            lane = next((cell.lane for cell in placed if cell.band == band), 0)
            self._settle(name, band, column, lane)

    def _arm(self, path: Sequence[str]) -> None:
        """Place a second encoder: in a column left of all others, each box below the others of its scale."""
        column = min((cell.column for cell in self.cells.values()), default=0)
        for name in path:
            band = self.flow.items[name].level
            lanes = [cell.lane for cell in self.cells.values() if cell.band == band]
            self.cells[name] = Cell(band, max(lanes, default=-1) + 1, column)
        first = self.cells[path[1]]
        self.cells[path[0]] = Cell(self.flow.items[path[0]].level, self.cells[path[0]].lane, column - 1)
        if first.band == self.cells[path[0]].band:
            self.cells[path[0]] = first._replace(column=column - 1)

    def _band(self, name: str, placed: Sequence[Cell], climbing: bool) -> int:
        """The band of an item: its scale, except that a node which only enlarges a feature stays beside the feature."""
        item = self.flow.items[name]
        reads = [read for read in self.flow.reads[name] if self.flow.items[read].kind != "input"]
        level = item.level
        at_level = any(self.cells[read].band == level for read in reads if read in self.cells)
        main = self.flow.main(name)
        home = self.cells[main].band if main in self.cells else level
        return level if climbing or at_level or not placed else max(level, home)

    def _settle(self, name: str, band: int, column: int, lane: int) -> None:
        """Assign the nearest free lane of the column, or of a column further right."""
        while True:
            used = [cell.lane for cell in self.cells.values() if cell.band == band]
            lanes = range(min(used, default=0), max(used, default=-1) + 2)
            for other in sorted(lanes, key=lambda each: (abs(each - lane), each)):
                if self._free(Cell(band, other, column)):
                    self.cells[name] = Cell(band, other, column)
                    return
            column += 1

    def _free(self, cell: Cell) -> bool:
        """Whether a cell has no box and no straight wire between two boxes crosses it."""
        if cell in self.cells.values():
            return False
        for name, end in self.cells.items():
            for start in (self.cells[read] for read in self.flow.reads[name] if read in self.cells):
                low, high = sorted((start.row, end.row))
                if start.row == end.row == cell.row and start.column < cell.column < end.column:
                    return False
                if start.column == end.column == cell.column and low < cell.row < high:
                    return False
        return True


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
