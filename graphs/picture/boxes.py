"""The boxes of a picture: their size and their look."""

import textwrap
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from crossband.graphs.picture.layout import Item
from crossband.graphs.picture.parts import Part
from crossband.graphs.picture.pixels import Box
from crossband.graphs.picture.svg import BLUSH, COLOURS, INK, MUTED, PAPER, RED, add, clean, text_width, write
from crossband.graphs.picture.words import WIDTH, shortened

LINE = 15.5  # pixels from one line of text to the next
DETAIL = 13.0  # the same for the smaller text of details and faults
LEAST = 84.0  # smallest width of a node in pixels
PILL = 28.0  # the height of an input or output
ROUND, CUT = 7.0, 13.0  # radius of the corners of a node; size of those cut off to show its direction


def item_of(part: Part) -> Item:
    """The box of a part, large enough for its words."""
    if part.role != "node":
        return Item(part.key, text_width(_pill(part), 12.5, bold=True) + 34, PILL, part.level, part.reads, part.role)
    widths = [text_width(part.heading, 13, bold=True) + sum(_mark_width(mark) + 4 for mark in _marks(part))]
    height = 29.0
    for line in part.lines:
        widths += [13 + text_width(line.text, 11), *(13 + text_width(detail, 10) for detail in line.details)]
        height += LINE + DETAIL * len(line.details)
    complaint = _complaint(part)
    widths += [text_width(line, 10.5) for line in complaint]
    return Item(part.key, max(LEAST, max(widths) + 22), height + DETAIL * len(complaint), part.level, part.reads)


def _pill(part: Part) -> str:
    """The text of an input or output: its name, and the codes of its faults."""
    return " ".join([part.name, *dict.fromkeys(fault.code for fault in part.faults)])


def _marks(part: Part) -> list[str]:
    """The marks beside the name of a node: its repetitions, its taps, the codes of its faults."""
    times = [f"× {part.count}"] if part.count > 1 else []
    return [*times, *part.taps, *dict.fromkeys(fault.code for fault in part.faults)]


def _mark_width(mark: str) -> float:
    return text_width(mark, 10) + 10


def _complaint(part: Part) -> list[str]:
    """The first fault of a part in a few lines; all faults are listed below the picture."""
    lines = [line for fault in part.faults[:1] for line in textwrap.wrap(fault.message, WIDTH)]
    return lines if len(lines) <= 3 else [*lines[:2], shortened(" ".join(lines[2:]))]


# ---------------------------------------------------------------------- drawing


def draw_stack(plane: ET.Element, part: Part, box: Box) -> None:
    """Draw the stack behind a repeated node, below the wires that end there."""
    fill, edge, _ = COLOURS[part.kind]
    for shift in (6, 3) if part.count > 1 else ():
        behind = Box(box.x + shift, box.y - shift, box.width, box.height)
        outline(plane, behind, part.turn, {"fill": fill, "stroke": edge, "stroke_width": 1})


def draw_part(plane: ET.Element, part: Part, box: Box) -> None:
    """Draw a part in its box; hovering over it shows everything known about it."""
    group = ET.SubElement(plane, "g", {"data-part": clean(part.key)})
    ET.SubElement(group, "title").text = clean("\n".join(_hover(part)))
    if part.role == "node":
        _node(group, part, box)
    else:
        _terminal(group, part, box)


def _hover(part: Part) -> list[str]:
    lines = [" · ".join([line.text, *line.details]) for line in part.lines]
    said = [part.heading, part.doc, *lines, part.exact, *(fault.render() for fault in part.faults)]
    return [text for text in said if text]


def _terminal(group: ET.Element, part: Part, box: Box) -> None:
    """Draw an input or output as a pill, an output as a dark one, a missing part with a broken outline."""
    wrong = bool(part.faults) or part.role == "missing"
    fill, ink = (INK, PAPER) if part.role == "output" and not wrong else (PAPER, RED if wrong else INK)
    dashes = {"stroke_dasharray": "4 3"} if part.role == "missing" else {}
    _rect(group, box, rx=PILL / 2, fill=fill, stroke=RED if wrong else INK, stroke_width=1.5, **dashes)
    x, y = box.middle
    write(group, _pill(part), (x, y + 4.5), 12.5, ink, font_weight="600", text_anchor="middle")


def _node(group: ET.Element, part: Part, box: Box) -> None:
    fill, edge, _ = COLOURS[part.kind]
    look = {"fill": BLUSH, "stroke": RED, "stroke_width": "2"} if part.faults else {"fill": fill, "stroke": edge}
    outline(group, box, part.turn, look)
    x, y = box.x + 11, box.y + 19
    write(group, part.heading, (x, y), 13, font_weight="600")
    _draw_marks(group, part, box)
    for line in part.lines:
        y += LINE
        add(group, "circle", cx=x + 3.5, cy=y - 3.8, r=3.5, fill=COLOURS[line.kind][1])
        write(group, line.text, (x + 13, y), 11)
        for detail in line.details:
            y += DETAIL
            write(group, detail, (x + 13, y), 10, MUTED)
    for text in _complaint(part):
        y += DETAIL
        write(group, text, (x, y + 3), 10.5, RED)


def _draw_marks(group: ET.Element, part: Part, box: Box) -> None:
    """Draw the marks from the right: fault codes on red, taps in a broken outline, repetitions."""
    right = box.x + box.width - 7
    codes = {fault.code for fault in part.faults}
    for mark in reversed(_marks(part)):
        width = _mark_width(mark)
        right -= width
        tapped = {"stroke": MUTED, "stroke_dasharray": "2 2"} if mark in part.taps else {}
        fill, ink = (RED, PAPER) if mark in codes else (PAPER, INK) if tapped else ("none", MUTED)
        add(group, "rect", x=right, y=box.y + 7, width=width, height=15, rx=7.5, fill=fill, **tapped)
        write(group, mark, (right + width / 2, box.y + 18), 10, ink, text_anchor="middle")
        right -= 4


def outline(parent: ET.Element, box: Box, turn: int, look: Mapping[str, str | float], scale: float = 1) -> None:
    """Draw the outline of a node, narrower in its direction: at the bottom on the way down, on top on the way up."""
    corner, cut = scale * ROUND, scale * CUT
    if not turn:
        _rect(parent, box, rx=corner, **look)
        return
    start, back = box.y + box.height * (turn < 0), turn * corner
    wide = f"q0 {-back:g} {corner:g} {-back:g}h{box.width - 2 * corner:.1f}q{corner:g} 0 {corner:g} {back:g}"
    narrow = f"l{-cut:g} {turn * cut:g}h{2 * cut - box.width:.1f}l{-cut:g} {-turn * cut:g}z"
    path = f"M{box.x:.1f} {start + back:.1f}{wide}v{turn * (box.height - corner - cut):.1f}{narrow}"
    add(parent, "path", d=path, **look)


def _rect(parent: ET.Element, box: Box, **look: str | float) -> None:
    add(parent, "rect", x=box.x, y=box.y, width=box.width, height=box.height, **look)
