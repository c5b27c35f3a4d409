"""The page of a picture: title and facts, bands of scales, wires and boxes, legend, faults."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from crossband.graphs.language.diagnostics import Diagnostic
from crossband.graphs.picture.boxes import draw_part, draw_stack, item_of, outline
from crossband.graphs.picture.parts import INSIDE, Sketch
from crossband.graphs.picture.pixels import Box, Layout, arrange
from crossband.graphs.picture.routing import Wire
from crossband.graphs.picture.svg import (
    BANDS,
    COLOURS,
    FONT,
    MUTED,
    PAPER,
    RED,
    SKIP,
    WIRE,
    add,
    clean,
    head_of,
    path_of,
    text_width,
    write,
)

MARGIN, HEADER = 24.0, 84.0
LEAST = 360.0  # smallest width of a page in pixels
COLUMNS = 110  # characters of a line below the picture
DASHES = "6 4"
TURNS = {"to a coarser scale": 1, "to a finer scale": -1}
SHAPE = 10.5  # font size of the shapes on wires


def layout_of(picture: Sketch) -> Layout:
    """The position of everything in a picture.

    The shape of a part is written if it differs from that of its first input, and before outputs.
    """
    shapes = {part.key: part.shape for part in picture.parts}
    ends = {read for part in picture.parts if part.role == "output" for read in part.reads}
    told = [p for p in picture.parts if p.key in ends or p.shape not in [shapes.get(read) for read in p.reads[:1]]]
    room = {part.key: text_width(part.shape, SHAPE) for part in told if part.shape}
    return arrange([item_of(part) for part in picture.parts], room)


class Page:
    """The SVG tree of one picture."""

    def __init__(self, picture: Sketch) -> None:
        self.picture, self.layout = picture, layout_of(picture)
        self.banded = len(self.layout.bands) > 1
        scales = [text_width(picture.scales[band.level], 11) for band in self.layout.bands]
        self.facts = "  ·  ".join(picture.facts)
        self.notes = [(part, colour) for line, colour in self._notes() for part in textwrap.wrap(line, COLUMNS)]
        words = [text_width(picture.name, 19, bold=True), text_width(self.facts, 12), self._legend_width()]
        words += [text_width(line, 11) for line, _ in self.notes]
        left = MARGIN + self.banded * (max(scales, default=0) + 12)
        self.width = max(LEAST, left + self.layout.width + MARGIN, max(words) + 2 * MARGIN)
        spare = self.width - left - self.layout.width - MARGIN
        self.left = left if self.banded else left + spare / 2
        self.below = HEADER + self.layout.height + 26
        self.height = self.below + 40 + 17 * len(self.notes)

    def text(self) -> str:
        """The whole picture."""
        width, height = f"{self.width:.0f}", f"{self.height:.0f}"
        box = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
        root = ET.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **box, "font-family": FONT, "role": "img"})
        ET.SubElement(root, "title").text = clean(self.picture.name)
        add(root, "rect", width="100%", height="100%", rx=10, fill=PAPER)
        write(root, self.picture.name, (MARGIN, 32), 19, font_weight="600")
        write(root, self.facts, (MARGIN, 51), 12, RED if self.picture.faults else MUTED)
        if self.banded:
            self._bands(root)
        self._plane(ET.SubElement(root, "g", {"transform": f"translate({self.left:.1f} {HEADER:.1f})"}))
        self._legend(root)
        for number, (line, colour) in enumerate(self.notes):
            write(root, line, (MARGIN, self.below + 42 + 17 * number), 11, colour)
        ET.indent(root, " ")
        return ET.tostring(root, encoding="unicode") + "\n"

    def _bands(self, root: ET.Element) -> None:
        for number, band in enumerate(self.layout.bands):
            top, bottom = HEADER + band.top - 14 * (number == 0), HEADER + band.bottom
            bottom += 14 * (number == len(self.layout.bands) - 1)
            add(root, "rect", x=12, y=top, width=self.width - 24, height=bottom - top, fill=BANDS[number % 2])
            write(root, self.picture.scales[band.level], (MARGIN, (top + bottom) / 2 + 4), 11, MUTED)

    def _plane(self, plane: ET.Element) -> None:
        boxes = [(part, self.layout.boxes[part.key]) for part in self.picture.parts]
        for part, box in boxes:
            draw_stack(plane, part, box)
        self._wires(plane)
        shapes = {part.key: part.shape for part in self.picture.parts}
        for name, at in self.layout.labels.items():
            write(plane, shapes[name] or "", at, SHAPE, MUTED)
        for part, box in boxes:
            draw_part(plane, part, box)

    def _wires(self, plane: ET.Element) -> None:
        """Draw one path for all wires of a box, so that its branches join; skips are drawn below the main flow."""
        missing = {part.key for part in self.picture.parts if part.role == "missing"}
        bundles: dict[tuple[bool, str], list[Wire]] = {}
        for wire in self.layout.wires:
            bundles.setdefault((wire not in self.picture.skips, wire[0]), []).append(wire)
        for (solid, source), wires in sorted(bundles.items()):
            ways = [self.layout.wires[wire] for wire in wires]
            colour = RED if source in missing else WIRE if solid else SKIP
            look: dict[str, str | float] = {"fill": "none", "stroke": colour, "stroke_width": 1.6}
            dashes = {} if solid else {"stroke_dasharray": DASHES}
            path = add(plane, "path", d="".join(path_of(points) for points in ways), **look, **dashes)
            path.set("data-wires", clean(" ".join([source, *(target for _, target in wires)])))
            add(plane, "path", d="".join(head_of(points) for points in ways), fill=colour)

    # ------------------------------------------------------------------ words around

    def _legend_entries(self) -> list[tuple[str, str]]:
        """The entries of the legend: kind and text."""
        used = {line.kind for part in self.picture.parts for line in part.lines}
        parts = self.picture.parts
        marks = {mark: any(part.turn == turn for part in parts) for mark, turn in TURNS.items()}
        marks |= {"skip": bool(self.picture.skips), "tap": any(part.taps for part in parts)}
        return [(kind, COLOURS[kind][2]) for kind in COLOURS if kind in used] + [(m, m) for m in marks if marks[m]]

    def _legend_width(self) -> float:
        return sum(text_width(text, 11) + 44 for _, text in self._legend_entries())

    def _legend(self, root: ET.Element) -> None:
        x, y = MARGIN, self.below + 14
        for kind, text in self._legend_entries():
            if kind == "skip":
                add(root, "path", d=f"M{x} {y - 4}h24", stroke=SKIP, stroke_width=1.6, stroke_dasharray=DASHES)
            elif kind in TURNS:
                outline(root, Box(x + 4, y - 11, 20, 14), TURNS[kind], {"fill": PAPER, "stroke": MUTED}, 0.4)
            elif kind == "tap":
                look = {"fill": PAPER, "stroke": MUTED, "stroke_dasharray": "2 2"}
                add(root, "rect", x=x + 4, y=y - 10, width=18, height=12, rx=6, **look)
            else:
                add(root, "circle", cx=x + 5, cy=y - 4, r=5, fill=COLOURS[kind][1])
            room = 16 if kind in COLOURS else 30
            write(root, text, (x + room, y), 11, MUTED)
            x += room + text_width(text, 11) + 14

    def _notes(self) -> list[tuple[str, str]]:
        """The lines below the picture: every fault, the opened nodes, and the nodes that are not drawn."""
        faults = [line for fault in self.picture.faults for line in _told(fault)]
        opened = "; ".join(f"{node} is {graph}" for node, graph in self.picture.opened.items())
        idle = ", ".join(self.picture.idle)
        told = [f"drawn as what is inside: {opened}"] * bool(opened)
        told += [f"not drawn, since repeated 0 times: {idle}"] * bool(idle)
        return [*faults, *((line.replace(INSIDE, "."), MUTED) for line in told)]


def _told(fault: Diagnostic) -> Sequence[tuple[str, str]]:
    where = f"{Path(fault.place.file).name}:{fault.place.mark.line}: " if fault.place and fault.place.mark else ""
    hint = [(f"hint: {fault.hint}", MUTED)] if fault.hint else []
    return [(f"{where}{fault.code} {fault.message}", RED), *hint]
