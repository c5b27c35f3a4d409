"""The palette of a picture, its few SVG elements, and an estimate of text width."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias
from xml.etree import ElementTree as ET

Point: TypeAlias = tuple[float, float]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
INK, MUTED, WIRE, SKIP = "#1f2933", "#66727f", "#4a5663", "#7a5fc7"
RED, BLUSH = "#c93a3a", "#fdeaea"
PAPER, BANDS = "#ffffff", ("#f7f9fb", "#eff3f7")
COLOURS: Mapping[str, tuple[str, str, str]] = {  # by kind of block: fill, edge, text of the legend
    "convolution": ("#e6effc", "#6f9ad8", "convolution"),
    "attention": ("#fde6ee", "#d97b9f", "attention"),
    "sampling": ("#e3f4ea", "#6db58b", "sampling"),
    "join": ("#fdf1d6", "#d9a944", "join"),
    "pointwise": ("#f0f2f4", "#a3adb8", "norm, activation"),
    "block": ("#ebe8fa", "#9387d6", "block of the graph"),
}
CORNER = 9.0  # radius of the corners of wires
HEAD = 8.0  # length of an arrow head
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[]/ ·"), frozenset("mwMW×→%@…")


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The largest width of `text` in pixels in the sans-serif fonts of common systems."""
    ems = sum(0.38 if c in _NARROW else 0.9 if c in _WIDE or c > "⹿" else 0.68 if c.isupper() else 0.61 for c in text)
    return ems * size * (1.13 if bold else 1)


def clean(text: str) -> str:
    """`text` with characters that XML cannot hold replaced."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def add(parent: ET.Element, tag: str, **attributes: str | float) -> ET.Element:
    """Add an element; numbers get one decimal, `_` in a name stands for `-`."""
    texts = {name.replace("_", "-"): _number(value) for name, value in attributes.items()}
    return ET.SubElement(parent, tag, texts)


def write(parent: ET.Element, text: str, at: Point, size: float, colour: str = INK, **more: str) -> None:
    """Add a line of text whose baseline begins at a point, unless `text_anchor` says otherwise."""
    add(parent, "text", x=at[0], y=at[1], font_size=size, fill=colour, **more).text = clean(text)


def path_of(points: Sequence[Point]) -> str:
    """The path of a wire through `points` with rounded corners, up to its arrow head."""
    *corners, end = points
    points = [*corners, _toward(end, corners[-1], HEAD - 2)]
    parts = [f"M{_pair(points[0])}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(CORNER, math.dist(before, here) / 2, math.dist(here, after) / 2)
        parts.append(f"L{_pair(_toward(here, before, radius))}Q{_pair(here)} {_pair(_toward(here, after, radius))}")
    return "".join([*parts, f"L{_pair(points[-1])}"])


def head_of(points: Sequence[Point]) -> str:
    """The arrow head of a wire through `points`, its tip at the last one."""
    [(start, end)] = list(pairwise(points))[-1:]
    x, y = _toward(end, start, HEAD)
    across, along = (4.2, 0.0) if start[0] == end[0] else (0.0, 4.2)
    return f"M{_pair((x - across, y - along))}L{_pair(end)}L{_pair((x + across, y + along))}Z"


def _toward(start: Point, end: Point, distance: float) -> Point:
    share = distance / (math.dist(start, end) or 1)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _pair(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
